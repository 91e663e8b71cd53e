//! `/auth/portal`: the code of a portal link, for a session.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use echo_shared::audit::{Action, Actor, AuditEntry, Author};
use echo_shared::fields::string;
use echo_shared::id::{PortalLinkId, ProjectId};
use echo_shared::portal_link::{Nonce, PortalCode, PortalToken};
use echo_shared::store::{LoginBudget, Redeemed};
use echo_shared::time::Timestamp;
use serde::Serialize;
use tracing::{Span, field};
use utoipa::ToSchema;

use crate::app::{App, AppState};
use crate::auth::bearer;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{FromAddress, QueryValues};
use crate::openapi::values;

/// A session of the portal.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalOpened)]
pub struct PortalOpenedBody {
    /// For `/v1`, as far as the link opens the project.
    #[schema(value_type = values::PortalToken)]
    token: String,
    #[schema(value_type = values::Id)]
    project_id: ProjectId,
    /// Whether it only looks, and gets no secrets.
    read_only: bool,
    /// When the session ends.
    #[schema(value_type = values::Time)]
    expires_at: String,
}

/// `POST /auth/portal`
pub async fn open_portal(
    State(app): State<AppState>,
    from: FromAddress,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<PortalOpenedBody>), ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    let code = fields.required("code", "a string", string)?;
    let allowed = "64 lower-case hex digits, made up at random for this code";
    let nonce = fields.required("nonce", allowed, |value| Nonce::parse(&string(value)?))?;
    let code = PortalCode::parse(&code).ok_or_else(ApiError::portal_code_refused)?;
    let now = Timestamp::now();
    let (project_id, link_id) = (code.project_id(), code.link_id());
    let registry = &app.registry;
    let link = registry.portal_link(&project_id, &link_id).await?;
    let link = link.ok_or_else(ApiError::portal_code_refused)?;
    Span::current().record("portal_link_id", field::display(link_id));
    // A code of 256 bits cannot be guessed. The budget bounds the cost of tries; an unknown link costs a read.
    let taken = registry.take_portal_try(&project_id, &link_id, &from.network(), now).await?;
    let read_only = link.is_read_only();
    let entry = entry(&app, from, (project_id, link_id), Action::PortalLinkRedeemed, now);
    let redeemed = match taken {
        LoginBudget::Allowed => registry.redeem_portal_link(link, &code, &nonce, now, &entry).await?,
        LoginBudget::Spent { until } => {
            clear_if_gone(&app, &code, from).await?;
            return Err(ApiError::too_many_portal_tries(until.since(now).as_secs() + 1));
        }
    };
    if !matches!(redeemed, Redeemed::To(_)) {
        clear_if_gone(&app, &code, from).await?;
    }
    match redeemed {
        Redeemed::To(session) => {
            registry.clear_portal_tries(&project_id, &link_id, &from.network()).await?;
            Span::current().record("project_id", field::display(project_id));
            let body = PortalOpenedBody {
                token: code.token(&nonce).expose(),
                project_id,
                read_only,
                expires_at: session.ends_at.to_string(),
            };
            Ok((StatusCode::CREATED, Json(body)))
        }
        Redeemed::Used => Err(ApiError::portal_code_used()),
        Redeemed::Expired => Err(ApiError::portal_code_expired()),
        Redeemed::Unknown => Err(ApiError::portal_code_refused()),
    }
}

/// Forgets the tries at a link that is gone by now: the erasure of its project may have looked for them before this one.
async fn clear_if_gone(app: &App, code: &PortalCode, from: FromAddress) -> Result<(), ApiError> {
    let (project_id, link_id) = (code.project_id(), code.link_id());
    if app.registry.portal_link(&project_id, &link_id).await?.is_none() {
        app.registry.clear_portal_tries(&project_id, &link_id, &from.network()).await?;
    }
    Ok(())
}

/// `POST /auth/logout` with the token of a portal session.
pub(super) async fn leave_portal(
    app: &App,
    headers: &HeaderMap,
    from: FromAddress,
    query: &QueryValues,
    body: &RequestBody,
) -> Result<StatusCode, ApiError> {
    let token = bearer(headers).and_then(PortalToken::parse).ok_or_else(ApiError::session_token_refused)?;
    body.check()?;
    query.only(&[])?;
    let now = Timestamp::now();
    let entry = entry(app, from, (token.project_id(), token.link_id()), Action::PortalLinkEnded, now);
    if app.registry.end_portal_session(&token, now, &entry).await? {
        let span = Span::current();
        span.record("by_portal_link", field::display(token.link_id()));
        span.record("project_id", field::display(token.project_id()));
    }
    app.portals.forget(&token.link_id());
    Ok(StatusCode::NO_CONTENT)
}

/// The entry of the activity list for a link that its holder redeems or ends.
fn entry(
    app: &App,
    FromAddress(from): FromAddress,
    (project_id, link_id): (ProjectId, PortalLinkId),
    action: Action,
    now: Timestamp,
) -> AuditEntry {
    let author = Author { actor: Actor::PortalLink(link_id), from, kept_for: app.settings.retention };
    author.entry(&project_id, action, link_id.as_uuid(), now)
}
