//! Sessions and new passwords. A request that got no answer is sent again. It may then be refused, because the first one did
//! its work; the state is right all the same.

use async_trait::async_trait;
use serde_json::json;

use super::Path;
use super::accounts::refused_soon;
use crate::lane::Auth;
use crate::run::{Run, Session};
use crate::signed;
use crate::world::{EMAIL, PASSWORD};

const OTHER_PASSWORD: &str = "staple of another horse";

/// Checks that a refresh token gives nothing.
async fn gives_nothing(run: &Run<'_>, refresh: &str) {
    run.insist("POST", "/auth/refresh", &Auth::Bearer(refresh), None, &[401]).await;
}

/// Checks that a session goes on.
async fn lives(run: &Run<'_>, session: &Session) {
    run.insist("GET", "/v1/api-keys", &Auth::Bearer(&session.access), None, &[200]).await;
    run.insist("POST", "/auth/refresh", &Auth::Bearer(&session.refresh), None, &[201]).await;
}

/// Checks that a session has ended.
async fn has_ended(run: &Run<'_>, session: &Session) {
    gives_nothing(run, &session.refresh).await;
    refused_soon(run, &Auth::Bearer(&session.access), "an access token of an ended session").await;
}

/// Checks that a new password holds and that the old one does not.
async fn password_is_new(run: &Run<'_>) {
    let body = json!({ "email": EMAIL, "password": PASSWORD });
    run.insist("POST", "/auth/login", &Auth::None, Some(&body), &[401]).await;
    let session = run.log_in(OTHER_PASSWORD).await;
    lives(run, &session).await;
}

/// If any answer is lost, the token gives the same one successor, and the session goes on with it.
#[derive(Debug)]
pub(super) struct Refresh;

#[async_trait]
impl Path for Refresh {
    fn name(&self) -> &'static str {
        "refresh"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let first = run.session(0);
        let mut successors = Vec::new();
        for _ in 0..2 {
            let bearer = Auth::Bearer(&first.refresh);
            let answers = run.insist("POST", "/auth/refresh", &bearer, None, &[201]).await;
            successors.extend(answers.last().map(|answer| Session::of(&answer.json())));
        }
        match successors.as_slice() {
            [one, other] if one.refresh == other.refresh => lives(run, other).await,
            _ => run.violation("a refresh token has more than one successor".to_owned()),
        }
        // Its successor was used.
        gives_nothing(run, &first.refresh).await;
    }
}

#[derive(Debug)]
pub(super) struct LogOut;

#[async_trait]
impl Path for LogOut {
    fn name(&self) -> &'static str {
        "log-out"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let (ended, other) = (run.session(0), run.session(1));
        run.insist("POST", "/auth/logout", &Auth::Bearer(&ended.access), None, &[204]).await;
        has_ended(run, &ended).await;
        lives(run, &other).await;
    }
}

#[derive(Debug)]
pub(super) struct LogOutEverywhere;

#[async_trait]
impl Path for LogOutEverywhere {
    fn name(&self) -> &'static str {
        "log-out-everywhere"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let (own, other) = (run.session(0), run.session(1));
        let bearer = Auth::Bearer(&own.access);
        run.insist("POST", "/auth/logout?everywhere=true", &bearer, None, &[204, 401]).await;
        has_ended(run, &own).await;
        has_ended(run, &other).await;
        let session = run.log_in(PASSWORD).await;
        lives(run, &session).await;
    }
}

#[derive(Debug)]
pub(super) struct ChangePassword;

#[async_trait]
impl Path for ChangePassword {
    fn name(&self) -> &'static str {
        "change-password"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let (own, other) = (run.session(0), run.session(1));
        let bearer = Auth::Bearer(&own.access);
        let body = json!({ "current_password": PASSWORD, "new_password": OTHER_PASSWORD });
        let answers = run.insist("POST", "/auth/password", &bearer, Some(&body), &[200, 401]).await;
        if let Some(answer) = answers.last().filter(|answer| answer.status == 200) {
            lives(run, &Session::of(&answer.json())).await;
        }
        has_ended(run, &own).await;
        has_ended(run, &other).await;
        password_is_new(run).await;
    }
}

#[derive(Debug)]
pub(super) struct ResetPassword;

#[async_trait]
impl Path for ResetPassword {
    fn name(&self) -> &'static str {
        "reset-password"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let session = run.session(0);
        let accounts = run.lane.aws.dynamo.rows("accounts");
        let account = accounts.iter().find(|row| row["email_key"] == EMAIL).cloned().unwrap_or_default();
        let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
        let until = crate::clock::now_millis() / 1_000 + 3_600;
        let signed = format!("echo-webhooks/reset/v1|{}|{}|{until}", text("id"), text("password_hash"));
        let code = signed::echo(&run.lane.aws.root_secret, signed.as_bytes());
        let body = json!({ "token": format!("{until}.{code}.{EMAIL}"), "new_password": OTHER_PASSWORD });
        run.insist("POST", "/auth/reset", &Auth::None, Some(&body), &[204, 401]).await;
        has_ended(run, &session).await;
        password_is_new(run).await;
    }
}
