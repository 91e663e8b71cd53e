//! The erasure of a project, as far as a request does it itself; `echo_shared::erasure` does the rest.

use echo_shared::account::{Account, CallerNetwork};
use echo_shared::erasure::CLOSED_FOR;
use echo_shared::id::{AccountId, ProjectId};
use echo_shared::job::{AHEAD_OF_ITS_ROW, ErasureJob, ErasureStage};
use echo_shared::shards::Shards;
use echo_shared::store::{Ended, Guessed};
use echo_shared::time::Timestamp;

use super::auth::take_try;
use crate::app::App;
use crate::auth::passwords;
use crate::error::ApiError;

/// Checks the password of a caller that has a token already. A thief of a token guesses the same password as a stranger at the
/// login, so the budget is the same.
///
/// # Errors
/// When the password is wrong, or too many were tried.
pub async fn confirm(
    app: &App,
    account: &Account,
    password: String,
    from: &CallerNetwork,
    now: Timestamp,
) -> Result<(), ApiError> {
    take_try(app, Guessed::Password, &account.email_key, from, now).await?;
    if !passwords::verify(password, Some(account.password_hash.clone())).await? {
        return Err(ApiError::password_wrong());
    }
    Ok(app.registry.clear_login_failures(Guessed::Password, &account.email_key, from).await?)
}

/// Takes a project's keys and the project itself away, and leaves the rest of it to a job. A project that is gone already is
/// erased by another request.
///
/// # Errors
/// When that is not certain: the request may be sent again.
pub async fn erase_project(
    app: &App,
    account_id: &AccountId,
    id: &ProjectId,
    shards: Shards,
    now: Timestamp,
) -> Result<(), ApiError> {
    // The job goes first: without the mark it does nothing, and a marked project without a job would stay half erased.
    let job = ErasureJob { project_id: *id, asked_at: now, stage: ErasureStage::Endpoints };
    app.retries.send(&job, AHEAD_OF_ITS_ROW).await?;
    let until = now.plus(CLOSED_FOR);
    if !app.registry.close_project(account_id, id, until).await? {
        return Ok(());
    }
    app.registry.erase_api_keys(id).await?;
    app.registry.erase_portal_links(id).await?;
    match app.registry.erase_project(account_id, id, shards, until).await? {
        Ended::Done => Ok(()),
        Ended::Overtaken => Err(ApiError::unavailable("another request erases the same project")),
    }
}
