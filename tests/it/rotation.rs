//! Rotating a signing secret (contract §3, §5).

use echo_tests::endpoint::Endpoint;
use echo_tests::project::Project;
use echo_tests::receiver::{Received, Receiver, Reply};
use echo_tests::signature::{self, echo, standard};
use serde_json::json;

/// Checks that exactly `secrets` sign, the newest first.
fn check(request: &Received, secrets: &[&str]) {
    let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    assert_eq!(request.header("x-echo-signature"), echo(secrets[0], &request.body));
    let previous =
        request.headers.get("x-echo-signature-previous").map(|value| value.to_str().expect("text"));
    assert_eq!(previous, secrets.get(1).map(|secret| echo(secret, &request.body)).as_deref());
    let wanted: Vec<String> =
        secrets.iter().map(|secret| standard(secret, id, timestamp, &request.body)).collect();
    assert_eq!(signature::entries(&request.headers), wanted);
}

async fn set_up() -> (Project, Receiver, Endpoint) {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    (project, receiver, endpoint)
}

#[tokio::test]
async fn a_new_secret_is_answered_and_shown_from_then_on() {
    let (project, _receiver, endpoint) = set_up().await;
    let new = endpoint.rotate().await;
    assert_ne!(new, endpoint.secret);
    let shown = endpoint.show().await;
    assert_eq!(shown["signing_secret"], new);
    assert_eq!(project.get("/webhooks").await.ok(200), json!([shown]));
    let answer = project.get("/webhooks").await.text();
    assert!(!answer.contains(&endpoint.secret), "the previous secret is shown");
}

#[tokio::test]
async fn after_a_rotation_the_new_secret_signs_and_the_previous_one_still_verifies() {
    let (project, receiver, endpoint) = set_up().await;
    project.emit_one().await;
    let new = endpoint.rotate().await;
    let id = project.emit_one().await;
    let requests = receiver.received(2).await;
    // The first event's attempt may have come before or after the rotation. The second event's attempt came after it.
    let after = requests.iter().find(|request| request.header("x-echo-delivery") == id);
    check(after.expect("the second event's request"), &[&new, &endpoint.secret]);
}

#[tokio::test]
async fn before_a_rotation_there_is_one_entry() {
    let (project, receiver, endpoint) = set_up().await;
    project.emit_one().await;
    check(&receiver.first().await, &[&endpoint.secret]);
}

#[tokio::test]
async fn only_the_one_previous_secret_still_signs() {
    let (project, receiver, endpoint) = set_up().await;
    let second = endpoint.rotate().await;
    let third = endpoint.rotate().await;
    project.emit_one().await;
    check(&receiver.first().await, &[&third, &second]);
}

#[tokio::test]
async fn a_retry_after_a_rotation_is_signed_by_the_new_secret() {
    let project = Project::new().await;
    let later = Reply::status(503).header("retry-after", "8");
    let receiver = Receiver::scripted([Reply::status(500), later], 200).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    project.emit_one().await;
    // When the second attempt has come, the third one is still eight seconds away.
    let before = receiver.received(2).await;
    check(&before[0], &[&endpoint.secret]);
    let new = endpoint.rotate().await;
    let requests = receiver.received(3).await;
    check(&requests[2], &[&new, &endpoint.secret]);
    assert_eq!(requests[2].body, before[0].body);
}

#[tokio::test]
async fn rotating_changes_nothing_else() {
    let (_project, _receiver, endpoint) = set_up().await;
    endpoint.rotate().await;
    let shown = endpoint.show().await;
    for field in ["id", "project_id", "url", "status", "events", "consecutive_failures", "created_at"] {
        assert_eq!(shown[field], endpoint.created[field], "{field}");
    }
}
