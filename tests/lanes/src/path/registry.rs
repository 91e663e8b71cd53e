//! Paths of accounts, keys and endpoints.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lane::Auth;
use crate::run::Run;
use crate::world::{PASSWORD, signup};

pub(super) async fn sign_up(run: &Run<'_>) {
    let email = "another@example.com";
    let answers = run.insist("POST", "/auth/signup", &Auth::None, Some(&signup(email)), &[201, 409]).await;
    if answers.len() == 1 && answers[0].status == 409 {
        run.violation("the e-mail was taken before anyone had it".to_owned());
    }
    run.notes().accounts.push((email.to_owned(), PASSWORD.to_owned()));
}

pub(super) async fn create_project(run: &Run<'_>) {
    let bearer = Auth::Bearer(&run.world.access_token);
    let body = json!({ "name": "second" });
    let answers = run.insist("POST", "/v1/projects", &bearer, Some(&body), &[201]).await;
    use_key(run, answers.last().map(|answer| answer.json()).as_ref(), "api_key").await;
}

pub(super) async fn create_key(run: &Run<'_>) {
    let bearer = Auth::Bearer(&run.world.access_token);
    let body = json!({ "name": "second" });
    let answers = run.insist("POST", "/v1/api-keys", &bearer, Some(&body), &[201]).await;
    use_key(run, answers.last().map(|answer| answer.json()).as_ref(), "key").await;
}

/// A key that was shown works.
async fn use_key(run: &Run<'_>, shown: Option<&Value>, field: &str) {
    let key = shown.and_then(|shown| shown[field].as_str()).unwrap_or_default().to_owned();
    run.insist("GET", "/v1/api-keys", &Auth::Key(&key), None, &[200]).await;
}

pub(super) async fn create_endpoint(run: &Run<'_>) {
    let url = format!("http://{}/new", run.lane.receiver.address());
    let body = json!({ "url": url, "events": ["call.ended"] });
    let answers = run.insist("POST", &run.project("/webhooks"), &run.key(), Some(&body), &[201]).await;
    let id = answers.last().map(|answer| answer.json()["id"].clone()).unwrap_or_default();
    let listed = run.insist("GET", &run.project("/webhooks"), &run.key(), None, &[200]).await;
    let listed = listed.last().map(|answer| answer.json()).unwrap_or_default();
    let listed = listed.as_array().cloned().unwrap_or_default();
    if !listed.iter().any(|endpoint| endpoint["id"] == id)
        || listed.iter().any(|one| one["signing_secret"].is_null())
    {
        run.violation(format!("the new endpoint {id} is not listed whole"));
    }
}

/// Once a revocation is answered the key stops opening anything within five seconds (contract §2).
pub(super) async fn revoke_key(run: &Run<'_>) {
    let bearer = Auth::Bearer(&run.world.access_token);
    let listed = run.insist("GET", "/v1/api-keys", &bearer, None, &[200]).await;
    let listed = listed.last().map(|answer| answer.json()).unwrap_or_default();
    let id = listed[0]["id"].as_str().unwrap_or_default().to_owned();
    run.insist("GET", "/v1/api-keys", &run.key(), None, &[200]).await;
    let target = format!("/v1/api-keys/{id}/revoke");
    let answers = run.insist("PATCH", &target, &bearer, None, &[200]).await;
    if answers.last().is_none_or(|answer| answer.json()["status"] != "revoked") {
        run.violation("the answer does not say that the key is revoked".to_owned());
    }
    let answered = Instant::now();
    loop {
        let asked_after = answered.elapsed();
        match run.lane.call("GET", "/v1/api-keys", &run.key(), None).await.status {
            401 => return,
            200 if asked_after > Duration::from_secs(5) => {
                return run.violation("a revoked key still opens after five seconds".to_owned());
            }
            _ if asked_after > Duration::from_secs(30) => {
                return run.violation("a revoked key is not refused".to_owned());
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
