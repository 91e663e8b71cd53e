//! The tokens of a session: the next ones, and their end.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use echo_shared::account::{Account, EmailKey};
use echo_shared::id::SessionSetId;
use echo_shared::portal_link::PortalToken;
use echo_shared::session::{Refresh, Session};
use echo_shared::store::Refreshed;
use echo_shared::time::Timestamp;

use super::portal::leave_portal;
use super::{SignedInBody, signed_in};
use crate::app::{App, AppState};
use crate::auth::bearer;
use crate::auth::tokens::{Claims, TokenType};
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::observe::note_account;
use crate::http::request::{FromAddress, QueryValues};

/// `POST /auth/refresh`
pub async fn refresh(
    State(app): State<AppState>,
    headers: HeaderMap,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<SignedInBody>), ApiError> {
    let now = Timestamp::now();
    let claims = claims(&app, &headers, &[TokenType::Refresh], now).await?;
    let claims = claims.ok_or_else(ApiError::refresh_token_refused)?;
    let (account, session) = living(&app, &claims, now).await?.ok_or_else(ApiError::refresh_token_refused)?;
    body.check()?;
    query.only(&[])?;
    match app.registry.refresh_session(session, claims.generation, now).await? {
        Refreshed::To(session) => {
            Ok((StatusCode::CREATED, Json(signed_in(&app, &account, &session, now).await?)))
        }
        Refreshed::Ended => Err(ApiError::refresh_token_refused()),
    }
}

/// `POST /auth/logout`
pub async fn log_out(
    State(app): State<AppState>,
    headers: HeaderMap,
    from: FromAddress,
    query: QueryValues,
    body: RequestBody,
) -> Result<StatusCode, ApiError> {
    if bearer(&headers).is_some_and(PortalToken::is_meant) {
        return leave_portal(&app, &headers, from, &query, &body).await;
    }
    let now = Timestamp::now();
    let claims = claims(&app, &headers, &[TokenType::Access, TokenType::Refresh], now).await?;
    let claims = claims.ok_or_else(ApiError::session_token_refused)?;
    body.check()?;
    query.only(&["everywhere"])?;
    let everywhere = query.optional("everywhere", "true or false", |text| text.parse::<bool>().ok())?;
    if everywhere == Some(true) {
        let (account, session) =
            living(&app, &claims, now).await?.ok_or_else(ApiError::session_token_refused)?;
        // A token that shows a copy ends its own session, and no other.
        let is_copy =
            claims.typ == TokenType::Refresh && session.refresh(claims.generation, now) == Refresh::End;
        if is_copy {
            app.registry.end_session(&claims.sub, &claims.sid).await?;
            return Err(ApiError::session_token_refused());
        }
        app.registry.end_all_sessions(&account, SessionSetId::new(now)).await?;
    } else {
        // The session need not be looked up: with its token, a caller whose answer was lost may end it again.
        note_account(&claims.sub);
        app.registry.end_session(&claims.sub, &claims.sid).await?;
    }
    app.sessions.forget(&(claims.sub, claims.sid));
    Ok(StatusCode::NO_CONTENT)
}

/// The claims of the request's token, if it is valid and of one of these types.
pub(super) async fn claims(
    app: &App,
    headers: &HeaderMap,
    types: &[TokenType],
    now: Timestamp,
) -> Result<Option<Claims>, ApiError> {
    let Some(token) = bearer(headers) else { return Ok(None) };
    let tokens = &app.secrets.derived().await?.tokens;
    Ok(types.iter().find_map(|typ| tokens.verify(*typ, token, now)))
}

/// The session of a token with its account, read anew; `None` when the session has ended.
pub(super) async fn living(
    app: &App,
    claims: &Claims,
    now: Timestamp,
) -> Result<Option<(Account, Session)>, ApiError> {
    let email = EmailKey::of(&claims.email);
    let found = app.registry.session(&email, &claims.sub, &claims.sid, now).await?;
    if let Some((account, _)) = &found {
        note_account(&account.id);
    }
    Ok(found)
}
