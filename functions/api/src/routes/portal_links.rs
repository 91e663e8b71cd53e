//! `/v1/projects/{projectId}/portal-links`: links that open a project to its customer (contract §2).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::api_key::CreatedBy;
use echo_shared::audit::Action;
use echo_shared::fields::{Fields, Refused};
use echo_shared::id::PortalLinkId;
use echo_shared::portal_link::{Asked, Bounds, PortalLink, REDEEMABLE_SECONDS, SESSION_SECONDS};
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{App, AppState};
use crate::auth::{By, InProject};
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::loops::{CalledHost, CalledPath};
use crate::http::request::{PathIds, QueryValues};
use crate::openapi::values;

/// A new portal link.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPortalLink)]
pub struct NewPortalLinkBody {
    #[schema(value_type = values::Id)]
    id: PortalLinkId,
    /// Shown only in this answer: its fragment is the code.
    #[schema(value_type = values::PortalUrl)]
    url: String,
    /// Until then the link can be redeemed.
    #[schema(value_type = values::Time)]
    expires_at: String,
}

/// A portal link in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalLink)]
pub struct PortalLinkBody {
    #[schema(value_type = values::Id)]
    id: PortalLinkId,
    #[schema(value_type = values::Time)]
    created_at: String,
    /// Until then the link can be redeemed.
    #[schema(value_type = values::Time)]
    expires_at: String,
    /// How long its session lasts.
    #[schema(minimum = 300, maximum = 86_400)]
    session_seconds: u32,
    /// Whether it only looks, and gets no secrets.
    read_only: bool,
    /// The id of the key that made it, or `account`.
    #[schema(value_type = values::Maker)]
    created_by: CreatedBy,
    /// When its code was used. Null before.
    #[schema(value_type = Option<values::Time>, required)]
    redeemed_at: Option<String>,
    /// When its session ends. Null before it is redeemed.
    #[schema(value_type = Option<values::Time>, required)]
    session_expires_at: Option<String>,
}

impl From<PortalLink> for PortalLinkBody {
    fn from(link: PortalLink) -> Self {
        Self {
            id: link.id,
            created_at: link.id.created_at().to_string(),
            expires_at: link.redeemable_until.to_string(),
            session_seconds: link.session_seconds,
            read_only: link.is_read_only(),
            created_by: link.created_by,
            redeemed_at: link.session.as_ref().map(|session| session.redeemed_at.to_string()),
            session_expires_at: link.session.map(|session| session.ends_at.to_string()),
        }
    }
}

/// The link, or 404.
///
/// # Errors
/// When the project has no such link, or one that is over, or the store did not answer.
pub async fn find(app: &App, project: &InProject, id: &PortalLinkId) -> Result<PortalLink, ApiError> {
    let link = app.registry.portal_link(&project.id, id).await?;
    link.filter(|link| link.lives(Timestamp::now())).ok_or_else(ApiError::portal_link_not_found)
}

/// `POST …/portal-links`
pub async fn create(
    State(app): State<AppState>,
    By { caller, author }: By,
    project: InProject,
    CalledPath(path): CalledPath,
    CalledHost(host): CalledHost,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<NewPortalLinkBody>), ApiError> {
    query.only(&[])?;
    let asked = asked(&body.fields_if_any()?)?;
    let maker = caller.reach();
    if let Some(scope) = asked.scopes().first_beyond(maker.scopes) {
        return Err(ApiError::link_beyond_maker(scope));
    }
    let made_by = (caller.as_maker()?, maker);
    let of_project = (project.id, project.account_id, project.shards);
    let now = Timestamp::now();
    let (link, code) = PortalLink::new(of_project, &asked, made_by, now);
    let entry = author.entry(&project.id, Action::PortalLinkCreated, link.id.as_uuid(), now);
    if !app.registry.create_portal_link(&link, now, &entry).await? {
        return Err(ApiError::foreign_project());
    }
    let page = page(host.as_deref(), &app.settings.api_endpoint, &path);
    let body = NewPortalLinkBody {
        id: link.id,
        url: format!("{page}#{}", code.expose()),
        expires_at: link.redeemable_until.to_string(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// The address of the page: by the host name that the caller used, and under the caller's prefix. On a developer's machine that
/// is the address that the template gives the function.
fn page(called: Option<&str>, endpoint: &str, path: &str) -> String {
    let prefix = path.split_once("/v1/").map_or("", |(prefix, _)| prefix);
    let origin =
        called.map_or_else(|| endpoint.trim_end_matches('/').to_owned(), |host| format!("https://{host}"));
    format!("{origin}{prefix}/portal")
}

fn asked(fields: &Fields<'_>) -> Result<Asked, Refused> {
    // A misspelled `read_only` would open more than its sender meant.
    fields.only(&["expires_in_seconds", "session_seconds", "read_only"])?;
    let seconds = |name, Bounds { least, most, default }: Bounds| {
        let allowed = format!("a whole number from {least} to {most}");
        let read = fields.nullable(name, allowed, |value| {
            let number: Option<u32> = serde_json::from_str(value.get()).ok();
            number.filter(|number| (least..=most).contains(number))
        });
        read.map(|number| number.unwrap_or(default))
    };
    let read_only =
        fields.nullable("read_only", "true or false", |value| serde_json::from_str(value.get()).ok())?;
    Ok(Asked {
        expires_in_seconds: seconds("expires_in_seconds", REDEEMABLE_SECONDS)?,
        session_seconds: seconds("session_seconds", SESSION_SECONDS)?,
        read_only: read_only.unwrap_or(false),
    })
}

/// `GET …/portal-links`
pub async fn list(
    State(app): State<AppState>,
    project: InProject,
    query: QueryValues,
) -> Result<Json<Vec<PortalLinkBody>>, ApiError> {
    query.only(&[])?;
    let links = app.registry.portal_links(&project.id, Timestamp::now()).await?;
    Ok(Json(links.into_iter().map(PortalLinkBody::from).collect()))
}

/// `DELETE …/portal-links/{portalLinkId}`
pub async fn end(
    State(app): State<AppState>,
    By { author, .. }: By,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<StatusCode, ApiError> {
    let id = ids.portal_link()?;
    if let Err(refused) = query.only(&[]) {
        // A 404 comes first.
        return Err(find(&app, &project, &id).await.err().unwrap_or(refused));
    }
    let now = Timestamp::now();
    let entry = author.entry(&project.id, Action::PortalLinkEnded, id.as_uuid(), now);
    let has_ended = app.registry.end_portal_link(&project.id, &id, now, &entry).await?;
    app.portals.forget(&id);
    if has_ended { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::portal_link_not_found()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_the_contracts_defaults_and_limits() {
        let asked = |body: &str| asked(&Fields::parse(body.as_bytes()).expect("an object"));
        let default = Asked { expires_in_seconds: 3_600, session_seconds: 28_800, read_only: false };
        assert_eq!(asked("{}"), Ok(default));
        let null = r#"{"expires_in_seconds": null, "session_seconds": null, "read_only": null}"#;
        assert_eq!(asked(null), Ok(default));
        for good in [(60, 300), (86_400, 86_400)] {
            let body = format!(
                r#"{{"expires_in_seconds": {}, "session_seconds": {}, "read_only": true}}"#,
                good.0, good.1
            );
            let wanted = Asked { expires_in_seconds: good.0, session_seconds: good.1, read_only: true };
            assert_eq!(asked(&body), Ok(wanted));
        }
        for (field, bad) in [
            ("expires_in_seconds", "59"),
            ("expires_in_seconds", "86401"),
            ("expires_in_seconds", "60.5"),
            ("expires_in_seconds", "\"60\""),
            ("session_seconds", "299"),
            ("session_seconds", "86401"),
            ("session_seconds", "-1"),
            ("read_only", "1"),
            ("read_only", "\"true\""),
        ] {
            let refused = asked(&format!(r#"{{"{field}": {bad}}}"#)).expect_err(field).to_string();
            assert!(refused.starts_with(&format!("{field} must be ")), "{refused}");
        }
        let refused = asked(r#"{"readonly": true}"#).expect_err("a misspelled field").to_string();
        assert!(refused.contains("did you mean read_only?"), "{refused}");
    }

    #[test]
    fn a_link_leads_to_where_its_maker_called() {
        let endpoint = "http://a1.execute-api.localhost:4566";
        let own = "/v1/projects/x/portal-links";
        assert_eq!(page(Some("hooks.example.com"), endpoint, own), "https://hooks.example.com/portal");
        let under = format!("/api{own}");
        assert_eq!(page(Some("hooks.example.com"), endpoint, &under), "https://hooks.example.com/api/portal");
        assert_eq!(page(None, endpoint, own), "http://a1.execute-api.localhost:4566/portal");
    }
}
