//! `/v1/api-keys`: a project's keys (contract §2).

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::api_key::{ApiKey, ApiKeyRecord, ApiKeyStatus, MAX_ACTIVE_KEYS};
use echo_shared::fields::NAME_CHARS;
use echo_shared::id::ApiKeyId;
use echo_shared::store::Created;
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::ChosenProject;
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
    ChosenProject(project): ChosenProject,
    body: RequestBody,
) -> Result<(StatusCode, Json<NewApiKeyBody>), ApiError> {
    let name = body.fields()?.text("name", NAME_CHARS)?;
    let key = ApiKey::generate();
    let record =
        ApiKeyRecord::new(project.account_id, project.id, project.shards, name, &key, Timestamp::now());
    if app.registry.create_api_key(&record).await? == Created::CapReached {
        return Err(ApiError::conflict(format!(
            "The project has {MAX_ACTIVE_KEYS} active API keys, which is the most allowed; revoke one first"
        )));
    }
    let ApiKeyBody { id, name, key_prefix, status, created_at, .. } = record.into();
    let body = NewApiKeyBody { id, name, key: key.expose().to_owned(), key_prefix, status, created_at };
    Ok((StatusCode::CREATED, Json(body)))
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
    ChosenProject(project): ChosenProject,
    ids: PathIds,
    body: RequestBody,
) -> Result<Json<ApiKeyBody>, ApiError> {
    let id = ids.api_key()?;
    body.check()?;
    let record =
        app.registry.revoke_api_key(&project.id, &id, Timestamp::now(), app.settings.retention).await?;
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
