//! The service refuses a delivery that comes back to it, and does nothing else for that request (contract §1 and §5).

use echo_tests::api::Api;
use echo_tests::project::{Account, PASSWORD, Project, random_email, signup_request};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape::{hex_after, text};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

const HEADER: &str = "x-echo-origin";

/// The mark of this deployment, as a receiver sees it.
async fn mark() -> String {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    project.emit_one().await;
    receiver.first().await.header(HEADER).to_owned()
}

#[tokio::test]
async fn every_attempt_of_every_project_carries_the_same_mark() {
    let (project, receiver) = (Project::new().await, Receiver::scripted([Reply::status(500)], 200).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    project.emit_one().await;
    let mark = mark().await;
    hex_after(&mark, "", 32);
    for request in receiver.received(2).await {
        assert_eq!(request.header(HEADER), mark);
    }
    // An endpoint's own headers can neither replace the mark nor remove it.
    for value in ["none", ""] {
        let change = json!({"headers": {HEADER: value}});
        project.api.patch(&endpoint.path(""), &change).await.refuses_field("headers");
    }
}

#[tokio::test]
async fn a_marked_request_changes_nothing_on_any_route() {
    let (account, receiver, mark) = (Account::sign_up().await, Receiver::start().await, mark().await);
    let project = account.default_project();
    let endpoint = project.endpoint(&receiver.url()).await;
    let delivery = project.emit_one().await;
    endpoint.ended(&delivery, "success").await;
    let key_id = account.bearer().get("/v1/api-keys").await.ok(200)[0]["id"].clone();
    let revoke = format!("/v1/api-keys/{}/revoke", key_id.as_str().expect("an id"));
    let before = (endpoint.show().await, project.get("/events").await.ok(200));
    let event = json!({"event_name": "call.ended"});
    let webhook = json!({"url": "https://example.com/", "events": ["call.ended"]});
    let email = random_email();
    let routes = [
        (Method::POST, "/auth/signup".to_owned(), signup_request(&email)),
        (Method::POST, "/auth/login".to_owned(), json!({"email": account.email, "password": PASSWORD})),
        (Method::POST, "/auth/refresh".to_owned(), json!({})),
        (Method::POST, "/v1/projects".to_owned(), json!({"name": "another"})),
        (Method::POST, "/v1/api-keys".to_owned(), json!({"name": "another"})),
        (Method::PATCH, revoke, json!({})),
        (Method::POST, project.path("/webhooks"), webhook),
        (Method::PATCH, endpoint.path(""), json!({"status": "disabled"})),
        (Method::DELETE, endpoint.path(""), json!({})),
        (Method::POST, endpoint.path("/secret/rotate"), json!({})),
        (Method::POST, endpoint.path("/test"), json!({})),
        (
            Method::POST,
            endpoint.path("/replay"),
            json!({"since": "2020-01-01T00:00:00Z", "status": "success"}),
        ),
        (Method::POST, endpoint.path(&format!("/deliveries/{delivery}/retry")), json!({})),
        (Method::POST, project.path("/events"), event),
        // The 508 comes before 404, 405 and 400, which would take work to find out.
        (Method::POST, "/v1/nothing".to_owned(), json!({})),
        (Method::PUT, project.path("/webhooks"), json!({})),
        (Method::POST, "/v1/projects/not-a-uuid/events".to_owned(), json!({})),
    ];
    let callers = [project.api.clone(), account.bearer(), account.bearer().under_api(), Api::anonymous()];
    for (method, path, body) in routes {
        for caller in &callers {
            let marked = caller.with_header(HEADER, mark.as_str());
            let answer = marked.send(method.clone(), &path, Some(body.to_string().into_bytes())).await;
            assert!(answer.refused(508).contains("came back"), "{}", answer.text());
        }
    }
    let after = (endpoint.show().await, project.get("/events").await.ok(200));
    assert_eq!(after, before);
    assert_eq!(endpoint.delivery(&delivery).await["attempt_count"], 1);
    assert_eq!(project.get("/webhooks").await.ok(200).as_array().map(Vec::len), Some(1));
    assert_eq!(account.bearer().get("/v1/projects").await.ok(200).as_array().map(Vec::len), Some(1));
    assert_eq!(account.bearer().get("/v1/api-keys").await.ok(200).as_array().map(Vec::len), Some(1));
    let login = json!({"email": email, "password": PASSWORD});
    Api::anonymous().post("/auth/login", &login).await.refused(401);
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn only_this_deployments_mark_is_refused_and_only_where_something_would_change() {
    let (project, mark) = (Project::new().await, mark().await);
    let events = project.path("/events");
    let event = json!({"event_name": "call.ended"});
    // Requests with another deployment's mark are accepted: another deployment may well deliver to this one.
    for others in ["", "0123456789abcdef0123456789abcdef", &mark[1..], &format!("{mark}0")] {
        let accepted = project.api.with_header(HEADER, others).post(&events, &event).await.ok(202);
        assert!(Uuid::parse_str(text(&accepted, "event_id")).is_ok());
    }
    for ours in [mark.clone(), mark.to_uppercase(), format!("0123456789abcdef0123456789abcdef, {mark}")] {
        let marked = project.api.with_header(HEADER, ours);
        marked.post(&events, &event).await.refused(508);
        assert_eq!(marked.get(&events).await.ok(200)["data"].as_array().map(Vec::len), Some(4));
    }
}
