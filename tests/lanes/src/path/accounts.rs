//! Accounts, projects and keys.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Path;
use crate::lane::Auth;
use crate::run::Run;
use crate::world::{PASSWORD, signup};

#[derive(Debug)]
pub(super) struct SignUp;

#[async_trait]
impl Path for SignUp {
    fn name(&self) -> &'static str {
        "sign-up"
    }

    async fn set_up(&self, _run: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        let email = "another@example.com";
        let answers =
            run.insist("POST", "/auth/signup", &Auth::None, Some(&signup(email)), &[201, 409]).await;
        if answers.len() == 1 && answers[0].status == 409 {
            run.violation("the e-mail was taken before anyone had it".to_owned());
        }
        run.notes().accounts.push((email.to_owned(), PASSWORD.to_owned()));
    }
}

#[derive(Debug)]
pub(super) struct CreateProject;

#[async_trait]
impl Path for CreateProject {
    fn name(&self) -> &'static str {
        "create-project"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let access = run.session(0).access;
        let bearer = Auth::Bearer(&access);
        let body = json!({ "name": "second" });
        let answers = run.insist("POST", "/v1/projects", &bearer, Some(&body), &[201]).await;
        use_key(run, answers.last().map(|answer| answer.json()).as_ref(), "api_key").await;
    }
}

#[derive(Debug)]
pub(super) struct CreateKey;

#[async_trait]
impl Path for CreateKey {
    fn name(&self) -> &'static str {
        "create-key"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let access = run.session(0).access;
        let bearer = Auth::Bearer(&access);
        let body = json!({ "name": "second" });
        let answers = run.insist("POST", "/v1/api-keys", &bearer, Some(&body), &[201]).await;
        use_key(run, answers.last().map(|answer| answer.json()).as_ref(), "key").await;
    }
}

/// Checks that the key from an answer works.
async fn use_key(run: &Run<'_>, shown: Option<&Value>, field: &str) {
    let key = shown.and_then(|shown| shown[field].as_str()).unwrap_or_default().to_owned();
    run.insist("GET", "/v1/api-keys", &Auth::Key(&key), None, &[200]).await;
}

/// Five seconds after the answer to a revocation, the key opens nothing (contract §2).
#[derive(Debug)]
pub(super) struct RevokeKey;

#[async_trait]
impl Path for RevokeKey {
    fn name(&self) -> &'static str {
        "revoke-key"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let access = run.session(0).access;
        let bearer = Auth::Bearer(&access);
        let listed = run.insist("GET", "/v1/api-keys", &bearer, None, &[200]).await;
        let listed = listed.last().map(|answer| answer.json()).unwrap_or_default();
        let id = listed[0]["id"].as_str().unwrap_or_default().to_owned();
        run.insist("GET", "/v1/api-keys", &run.key(), None, &[200]).await;
        let target = format!("/v1/api-keys/{id}/revoke");
        let answers = run.insist("PATCH", &target, &bearer, None, &[200]).await;
        if answers.last().is_none_or(|answer| answer.json()["status"] != "revoked") {
            run.violation("the answer does not say that the key is revoked".to_owned());
        }
        refused_soon(run, &run.key(), "a revoked key").await;
    }
}

/// Checks that a credential opens nothing from five seconds on (contract §2).
pub(super) async fn refused_soon(run: &Run<'_>, auth: &Auth<'_>, what: &str) {
    let answered = Instant::now();
    loop {
        let asked_after = answered.elapsed();
        match run.lane.call("GET", "/v1/api-keys", auth, None).await.status {
            401 => return,
            200 | 403 if asked_after > Duration::from_secs(5) => {
                return run.violation(format!("{what} still opens after five seconds"));
            }
            _ if asked_after > Duration::from_secs(30) => {
                return run.violation(format!("{what} is not refused"));
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
