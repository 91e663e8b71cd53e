//! The erasure of an account, with all of its projects.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use echo_shared::account::Account;
use echo_shared::erasure::CLOSED_FOR;
use echo_shared::fields::string;
use echo_shared::session::Session;
use echo_shared::store::Ended;
use echo_shared::time::Timestamp;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::time::Duration;
use tokio::time::timeout;

use super::tokens::{claims, living};
use crate::app::{App, AppState};
use crate::auth::tokens::TokenType;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{FromAddress, QueryValues};
use crate::routes::erasure;

/// How many projects are erased at once.
const PROJECTS_AT_ONCE: usize = 8;

/// The function has 15 s. Rows that are erased by the end of this time stay erased, and the next request goes on.
const WORK_TIME: Duration = Duration::from_secs(12);

/// `DELETE /auth/account`
pub async fn erase_account(
    State(app): State<AppState>,
    from: FromAddress,
    headers: HeaderMap,
    query: QueryValues,
    body: RequestBody,
) -> Result<StatusCode, ApiError> {
    let now = Timestamp::now();
    let claims = claims(&app, &headers, &[TokenType::Access], now).await?;
    let claims = claims.ok_or_else(ApiError::access_token_refused)?;
    let (account, session) = living(&app, &claims, now).await?.ok_or_else(ApiError::access_token_refused)?;
    query.only(&[])?;
    let password = body.fields()?.required("password", "a string", string)?;
    erasure::confirm(&app, &account, password, &from.network(), now).await?;
    let erased = timeout(WORK_TIME, erase(&app, &account, &session, now)).await;
    erased.map_err(|_| ApiError::unavailable("an account was not erased in time"))??;
    app.sessions.forget(&(account.id, session.id));
    Ok(StatusCode::ACCEPTED)
}

/// The account's own row goes last. Until then the caller's session lives, and the request can be sent again.
async fn erase(app: &App, account: &Account, session: &Session, now: Timestamp) -> Result<(), ApiError> {
    let (registry, until) = (&app.registry, now.plus(CLOSED_FOR));
    if !registry.close_account(account, until).await? {
        return Err(ApiError::access_token_refused());
    }
    let projects = registry.projects(&account.id).await?;
    let erased: Vec<_> = projects
        .iter()
        .map(|project| erasure::erase_project(app, &account.id, &project.id, project.shards, now))
        .collect();
    stream::iter(erased).buffer_unordered(PROJECTS_AT_ONCE).try_collect::<()>().await?;
    registry.erase_event_types(&account.id).await?;
    registry.erase_other_sessions(&account.id, &session.id).await?;
    registry.erase_login_failures(&account.email_key).await?;
    match registry.erase_account(account, &session.id, until).await? {
        Ended::Done => Ok(()),
        Ended::Overtaken => Err(ApiError::unavailable("another request erases the same account")),
    }
}
