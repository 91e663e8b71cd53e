//! Sending a sample event to one endpoint (contract §4).

use echo_tests::api::Answer;
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{ALL_EVENTS, Project, delivery_ids};
use echo_tests::receiver::{Received, Receiver};
use echo_tests::shape::{fields, own_id};
use echo_tests::signature;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

async fn test(endpoint: &Endpoint, project: &Project, body: &Value) -> Answer {
    project.api.post(&endpoint.path("/test"), body).await
}

/// The only delivery in a 202.
fn check_accepted(answer: &Answer, endpoint: &Endpoint, name: &str) -> String {
    let accepted = answer.ok(202);
    fields(&accepted, &["event_id", "event_name", "duplicate", "deliveries"]);
    own_id(&accepted["event_id"]);
    assert_eq!((&accepted["event_name"], &accepted["duplicate"]), (&json!(name), &json!(false)));
    let ids = delivery_ids(&accepted);
    assert_eq!(ids.len(), 1, "{accepted}");
    assert_eq!(accepted["deliveries"][0]["webhook_endpoint_id"], endpoint.id);
    ids[0].clone()
}

fn check_sample(request: &Received, endpoint: &Endpoint, name: &str) -> Value {
    assert_eq!(request.header("x-echo-signature"), signature::echo(&endpoint.secret, &request.body));
    assert_eq!(request.header("x-echo-event"), name);
    let envelope = request.json();
    fields(&envelope, &["event_id", "event_name", "customer_id", "notification_id", "data"]);
    assert_eq!(envelope["event_name"], name);
    assert!(envelope["data"].as_object().is_some_and(|data| data.len() > 1), "{envelope}");
    envelope["data"].clone()
}

#[tokio::test]
async fn a_test_event_reaches_the_one_endpoint_and_no_other() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint_for(&receiver.url_of("/one"), &["call.summary", "call.started"]).await;
    project.endpoint(&receiver.url_of("/other")).await;
    // The body may be absent, and an empty object means the same.
    let id =
        check_accepted(&project.api.post_nothing(&endpoint.path("/test")).await, &endpoint, "call.summary");
    check_accepted(&test(&endpoint, &project, &json!({})).await, &endpoint, "call.summary");
    for request in receiver.received(2).await {
        check_sample(&request, &endpoint, "call.summary");
        assert_eq!(request.uri.path(), "/one");
    }
    let delivery = endpoint.ended(&id, "success").await;
    assert_eq!(delivery["attempts"][0]["triggered_by"], "auto");
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn each_name_can_be_tried_subscribed_to_or_not_and_has_data_of_its_own() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint_for(&receiver.url(), &["call.ended"]).await;
    let mut seen = Vec::new();
    for (index, name) in ALL_EVENTS.into_iter().enumerate() {
        let answer = test(&endpoint, &project, &json!({"event_name": name})).await;
        let id = check_accepted(&answer, &endpoint, name);
        let requests = receiver.received(index + 1).await;
        let data = check_sample(&requests[index], &endpoint, name);
        assert!(!seen.contains(&data), "{data}");
        seen.push(data);
        endpoint.ended(&id, "success").await;
        // The endpoint's deliveries include it, with and without a filter by name.
        for query in [String::new(), format!("?event_name={name}")] {
            let page = endpoint.deliveries(&query).await.ok(200);
            assert_eq!(page["data"][0]["id"], id, "{query}");
        }
    }
    assert_eq!(endpoint.show().await["events"], json!(["call.ended"]), "nothing was subscribed to");
}

#[tokio::test]
async fn a_test_event_that_fails_is_retried_like_any_other() {
    let (project, receiver) = (Project::new().await, Receiver::scripted([500], 200).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id =
        check_accepted(&project.api.post_nothing(&endpoint.path("/test")).await, &endpoint, ALL_EVENTS[0]);
    assert_eq!(endpoint.ended(&id, "success").await["attempt_count"], 2);
}

#[tokio::test]
async fn a_disabled_endpoint_gets_no_test_event() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    endpoint.set_status("disabled").await;
    project.api.post_nothing(&endpoint.path("/test")).await.refused(409);
    // The service reports an error in the request before it reports the disabled endpoint.
    test(&endpoint, &project, &json!({"event_name": "call.unknown"})).await.refuses_field("event_name");
    assert_eq!(endpoint.deliveries("").await.ok(200)["data"], json!([]));
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn a_bad_test_request_is_refused() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    for name in [json!("call.unknown"), json!(true), json!(7)] {
        test(&endpoint, &project, &json!({"event_name": name})).await.refuses_field("event_name");
    }
    for body in ["[]", "null", "{"] {
        project.api.post_raw(&endpoint.path("/test"), body).await.refused(400);
    }
    project.api.post_raw(&endpoint.path("/test"), vec![b'x'; 65 * 1024]).await.refused(413);
    project.api.send(Method::GET, &endpoint.path("/test"), None).await.refused(405);
    let unknown = project.path(&format!("/webhooks/{}/test", Uuid::now_v7()));
    project.api.post_nothing(&unknown).await.refused(404);
    let other = Project::new().await;
    other.api.post_nothing(&endpoint.path("/test")).await.refused(403);
    project.api.without_credential().post_nothing(&endpoint.path("/test")).await.refused(401);
}
