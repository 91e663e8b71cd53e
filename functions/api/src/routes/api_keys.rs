//! `/v1/api-keys`: a project's keys (contract §2).

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::api_key::{ApiKey, ApiKeyRecord, ApiKeyStatus, CreatedBy, MAX_ACTIVE_KEYS, Reach};
use echo_shared::audit::Action;
use echo_shared::fields::{Fields, NAME_CHARS, Refused, string};
use echo_shared::id::ApiKeyId;
use echo_shared::scope::{Scope, Scopes};
use echo_shared::store::Created;
use echo_shared::time::{self, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::{By, ChosenProject};
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::PathIds;
use crate::openapi::values;

/// A list has all active keys and at most so many revoked ones. A Lambda answer has up to 6 MB
/// (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), and a key takes at most 2.3 KB of it.
const MOST_REVOKED_LISTED: usize = 1_000;

/// Whether a key still opens its project.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApiKeyStatus)]
pub enum ApiKeyState {
    Active,
    Revoked,
}

/// An API key in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeySummary)]
pub struct ApiKeyBody {
    #[schema(value_type = values::Id)]
    id: ApiKeyId,
    name: String,
    #[schema(value_type = values::KeyPrefix)]
    key_prefix: String,
    status: ApiKeyState,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
    /// What the key may do.
    #[schema(value_type = Vec<values::ScopeName>)]
    scopes: Scopes,
    /// The id of the key that made it, or `account`.
    #[schema(value_type = values::Maker)]
    created_by: CreatedBy,
    /// From then on the key opens nothing. Null is never.
    #[schema(value_type = Option<values::Time>, required)]
    expires_at: Option<String>,
}

/// A new API key.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub struct NewApiKeyBody {
    #[schema(value_type = values::Id)]
    id: ApiKeyId,
    name: String,
    /// Shown only in this answer.
    #[schema(value_type = values::ApiKey)]
    key: String,
    #[schema(value_type = values::KeyPrefix)]
    key_prefix: String,
    status: ApiKeyState,
    #[schema(value_type = values::Time)]
    created_at: String,
    /// What the key may do.
    #[schema(value_type = Vec<values::ScopeName>)]
    scopes: Scopes,
    /// The id of the key that made it, or `account`.
    #[schema(value_type = values::Maker)]
    created_by: CreatedBy,
    /// From then on the key opens nothing. Null is never.
    #[schema(value_type = Option<values::Time>, required)]
    expires_at: Option<String>,
}

impl From<ApiKeyRecord> for ApiKeyBody {
    fn from(record: ApiKeyRecord) -> Self {
        Self {
            id: record.id,
            name: record.name,
            key_prefix: record.key_prefix,
            status: record.status.into(),
            created_at: record.id.created_at().to_string(),
            updated_at: record.updated_at.to_string(),
            scopes: record.reach.scopes,
            created_by: record.created_by,
            expires_at: record.reach.ends_at.map(|end| end.to_string()),
        }
    }
}

impl From<ApiKeyStatus> for ApiKeyState {
    fn from(status: ApiKeyStatus) -> Self {
        match status {
            ApiKeyStatus::Active => Self::Active,
            ApiKeyStatus::Revoked => Self::Revoked,
        }
    }
}

/// `POST /v1/api-keys`
pub async fn create(
    State(app): State<AppState>,
    By { caller, author }: By,
    ChosenProject(project): ChosenProject,
    body: RequestBody,
) -> Result<(StatusCode, Json<NewApiKeyBody>), ApiError> {
    let fields = body.fields()?;
    let name = fields.text("name", NAME_CHARS)?;
    let now = Timestamp::now();
    let reach = reach(&fields, now)?;
    reach.within(&caller.reach()).map_err(ApiError::beyond_maker)?;
    let key = ApiKey::generate();
    let record = ApiKeyRecord {
        reach,
        created_by: caller.as_maker()?,
        ..ApiKeyRecord::new(project.account_id, project.id, project.shards, name, &key, now)
    };
    let entry = author.entry(&project.id, Action::ApiKeyCreated, record.id.as_uuid(), now);
    match app.registry.create_api_key(&record, now, &entry).await? {
        Created::Done => {}
        Created::CapReached => {
            return Err(ApiError::conflict(format!(
                "The project has {MAX_ACTIVE_KEYS} active API keys, which is the most allowed; revoke one first"
            )));
        }
        Created::OwnerGone => return Err(ApiError::foreign_project()),
    }
    let ApiKeyBody { id, name, key_prefix, status, created_at, scopes, created_by, expires_at, .. } =
        record.into();
    let key = key.expose().to_owned();
    let body =
        NewApiKeyBody { id, name, key, key_prefix, status, created_at, scopes, created_by, expires_at };
    Ok((StatusCode::CREATED, Json(body)))
}

/// The reach that the caller asks for; by default a whole one.
fn reach(fields: &Fields<'_>, now: Timestamp) -> Result<Reach, Refused> {
    let names = Scope::ALL.map(Scope::as_str).join(", ");
    let scopes = fields.nullable("scopes", format_args!("a non-empty array of: {names}"), |value| {
        let names: Vec<String> = serde_json::from_str(value.get()).ok()?;
        Scopes::try_from(names).ok().filter(|scopes| scopes.iter().next().is_some())
    })?;
    let allowed = format_args!("{} in the future", time::ALLOWED);
    let ends_at = fields.nullable("expires_at", allowed, |value| {
        Timestamp::parse(&string(value)?).ok().filter(|end| *end > now)
    })?;
    Ok(Reach { scopes: scopes.unwrap_or(Scopes::ALL), ends_at })
}

/// `GET /v1/api-keys`
pub async fn list(
    State(app): State<AppState>,
    ChosenProject(project): ChosenProject,
) -> Result<Json<Vec<ApiKeyBody>>, ApiError> {
    let mut keys = app.registry.api_keys(&project.id).await?;
    keep_listed(&mut keys, Timestamp::now(), app.settings.retention);
    Ok(Json(keys.into_iter().map(ApiKeyBody::from).collect()))
}

/// Leaves out keys that were revoked longer ago than the retention time. Of too many revoked keys it leaves out the oldest.
fn keep_listed(keys: &mut Vec<ApiKeyRecord>, now: Timestamp, retention: Duration) {
    let is_active = |key: &ApiKeyRecord| key.status == ApiKeyStatus::Active;
    keys.retain(|key| is_active(key) || now < key.updated_at.plus(retention));
    let revoked = keys.iter().filter(|key| !is_active(key)).count();
    let mut too_many = revoked.saturating_sub(MOST_REVOKED_LISTED);
    keys.retain(|key| {
        let is_left_out = too_many > 0 && !is_active(key);
        too_many -= usize::from(is_left_out);
        !is_left_out
    });
}

/// `PATCH /v1/api-keys/{apiKeyId}/revoke`
pub async fn revoke(
    State(app): State<AppState>,
    By { author, .. }: By,
    ChosenProject(project): ChosenProject,
    ids: PathIds,
    body: RequestBody,
) -> Result<Json<ApiKeyBody>, ApiError> {
    let id = ids.api_key()?;
    body.check()?;
    let now = Timestamp::now();
    let entry = author.entry(&project.id, Action::ApiKeyRevoked, id.as_uuid(), now);
    let record = app.registry.revoke_api_key(&project.id, &id, now, app.settings.retention, &entry).await?;
    let record = record.ok_or_else(ApiError::api_key_not_found)?;
    app.grants.refuse(record.key_hash.clone());
    Ok(Json(record.into()))
}

#[cfg(test)]
mod tests {
    use echo_shared::id::{AccountId, ProjectId};

    use echo_shared::shards::Shards;

    use super::*;

    #[test]
    fn a_key_has_every_scope_and_no_end_unless_it_is_asked_for() {
        let now = Timestamp::from_millis(1_776_009_119_499);
        let asked = |body: &str| reach(&Fields::parse(body.as_bytes()).expect("an object"), now);
        for body in ["{}", r#"{"scopes": null, "expires_at": null}"#] {
            assert_eq!(asked(body), Ok(Reach::WHOLE), "{body}");
        }
        let some = asked(r#"{"scopes": ["read", "read"], "expires_at": "2026-04-12T18:00:00+02:00"}"#);
        let end = Timestamp::parse("2026-04-12T16:00:00Z").ok();
        assert_eq!(some, Ok(Reach { scopes: [Scope::Read].into_iter().collect(), ends_at: end }));
        for bad in [
            r#"{"scopes": []}"#,
            r#"{"scopes": "read"}"#,
            r#"{"scopes": ["read", "write"]}"#,
            r#"{"scopes": [1]}"#,
            r#"{"expires_at": "2026-04-12T15:51:59.499Z"}"#,
            r#"{"expires_at": "tomorrow"}"#,
            r#"{"expires_at": 1776009120}"#,
        ] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_has_every_active_key_and_the_newest_that_were_revoked_of_late() {
        const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);
        let retention = Duration::from_secs(86_400);
        let (account, project) = (AccountId::new(NOW), ProjectId::new(NOW));
        let key = |name: &str, status, updated_at| ApiKeyRecord {
            status,
            updated_at,
            ..ApiKeyRecord::new(account, project, Shards::ONE, name.to_owned(), &ApiKey::generate(), NOW)
        };
        let long_ago = Timestamp::from_millis(NOW.as_millis() - 86_400_000);
        let mut keys = vec![
            key("first", ApiKeyStatus::Active, long_ago),
            key("vanished", ApiKeyStatus::Revoked, long_ago),
            key("too many", ApiKeyStatus::Revoked, NOW),
        ];
        keys.extend((0..MOST_REVOKED_LISTED).map(|_| key("revoked", ApiKeyStatus::Revoked, NOW)));
        keys.push(key("last", ApiKeyStatus::Active, NOW));
        keep_listed(&mut keys, NOW, retention);
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, [&["first"], &["revoked"; MOST_REVOKED_LISTED][..], &["last"]].concat());
    }
}
