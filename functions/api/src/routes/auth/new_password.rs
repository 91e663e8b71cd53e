//! New passwords: by the present one, or by a token of the operator's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use echo_shared::account::Account;
use echo_shared::fields::string;
use echo_shared::id::SessionSetId;
use echo_shared::session::Session;
use echo_shared::store::Guessed;
use echo_shared::time::Timestamp;

use super::tokens::{claims, living};
use super::{PASSWORD_ALLOWED, SignedInBody, password, signed_in, take_try};
use crate::app::AppState;
use crate::auth::passwords;
use crate::auth::reset::ResetToken;
use crate::auth::tokens::TokenType;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::observe::note_account;
use crate::http::request::{FromAddress, QueryValues};

/// `POST /auth/password`
pub async fn change_password(
    State(app): State<AppState>,
    from: FromAddress,
    headers: HeaderMap,
    query: QueryValues,
    body: RequestBody,
) -> Result<Json<SignedInBody>, ApiError> {
    let now = Timestamp::now();
    let claims = claims(&app, &headers, &[TokenType::Access], now).await?;
    let claims = claims.ok_or_else(ApiError::access_token_refused)?;
    let (account, old) = living(&app, &claims, now).await?.ok_or_else(ApiError::access_token_refused)?;
    query.only(&[])?;
    let fields = body.fields()?;
    let current = fields.required("current_password", "a string", string)?;
    let new = fields.required("new_password", PASSWORD_ALLOWED, password)?;
    // A thief of a token guesses the same password as a stranger at the login, so the budget is the same.
    take_try(&app, Guessed::Password, &account.email_key, &from.network(), now).await?;
    if !passwords::verify(current, Some(account.password_hash.clone())).await? {
        return Err(ApiError::current_password_wrong());
    }
    app.registry.clear_login_failures(Guessed::Password, &account.email_key, &from.network()).await?;
    let new = passwords::hash(new).await?;
    // The new session belongs to a set that no account names yet. The change of the password names the set, so the session
    // is valid from that moment on, and never if another change comes first. So this needs no transaction.
    let changed = Account { session_set: SessionSetId::new(now), ..account.clone() };
    let session = Session::new(&changed, now);
    if !app.registry.begin_session(&account, &session, now).await? {
        return Err(ApiError::access_token_refused());
    }
    if !app.registry.change_password(&account, &new, changed.session_set).await? {
        return Err(ApiError::current_password_wrong());
    }
    app.sessions.forget(&(old.account_id, old.id));
    Ok(Json(signed_in(&app, &changed, &session, now).await?))
}

/// `POST /auth/reset`
pub async fn reset_password(
    State(app): State<AppState>,
    from: FromAddress,
    query: QueryValues,
    body: RequestBody,
) -> Result<StatusCode, ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    let token = fields.required("token", "a string", string)?;
    let new = fields.required("new_password", PASSWORD_ALLOWED, password)?;
    let token = ResetToken::parse(&token).ok_or_else(ApiError::reset_token_refused)?;
    let now = Timestamp::now();
    take_try(&app, Guessed::ResetToken, &token.email, &from.network(), now).await?;
    let reset = &app.secrets.derived().await?.reset;
    let account = app.registry.account(&token.email).await?;
    let account = account.filter(|account| reset.accepts(&token, account, now));
    let account = account.ok_or_else(ApiError::reset_token_refused)?;
    note_account(&account.id);
    let new = passwords::hash(new).await?;
    if !app.registry.change_password(&account, &new, SessionSetId::new(now)).await? {
        return Err(ApiError::reset_token_refused());
    }
    // A person who forgot a password has often tried many.
    for guessed in [Guessed::ResetToken, Guessed::Password] {
        app.registry.clear_login_failures(guessed, &account.email_key, &from.network()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
