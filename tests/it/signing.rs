//! The request that a receiver gets: its headers and signatures (contract §5).

use echo_tests::project::Project;
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::signature;
use echo_tests::time::now;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn the_request_is_a_json_post_to_the_url_as_registered() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url_of("/a/b%20c?d=e&f=%2F")).await;
    project.emit_one().await;
    let request = receiver.first().await;
    assert_eq!(request.method, "POST");
    assert_eq!(request.uri, "/a/b%20c?d=e&f=%2F");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("host"), format!("127.0.0.1:{}", receiver.port()));
}

#[tokio::test]
async fn both_signatures_verify_with_the_one_secret() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    project.emit_one().await;
    let request = receiver.first().await;
    signature::check(&endpoint.secret, &request.headers, &request.body);
}

#[tokio::test]
async fn headers_name_the_event_the_delivery_the_attempt_and_the_product() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let event_id = Uuid::new_v4().to_string();
    let before = now() / 1000;
    let event = json!({"event_name": "call.summary", "event_id": event_id});
    let accepted = project.post_event(&event).await;
    let request = receiver.first().await;
    assert_eq!(request.header("webhook-id"), event_id);
    assert_eq!(request.header("x-echo-event"), "call.summary");
    assert_eq!(request.header("x-echo-delivery"), echo_tests::project::delivery_ids(&accepted)[0]);
    assert_eq!(request.header("x-echo-attempt"), "1");
    // The id is random, so the event's time of creation is that of its acceptance.
    let shown = project.get(&format!("/events/{event_id}")).await.ok(200);
    assert_eq!(request.header("x-echo-event-time"), shown["created_at"]);
    let timestamp: i64 = request.header("webhook-timestamp").parse().expect("whole seconds");
    assert!((before..=request.at / 1000).contains(&timestamp), "{timestamp}");
    let (product, version) = request.header("user-agent").split_once('/').expect("product/version");
    assert!(!product.is_empty() && version.starts_with(|c: char| c.is_ascii_digit()), "{product}/{version}");
}

#[tokio::test]
async fn retries_repeat_the_id_and_the_bytes_and_sign_anew() {
    let project = Project::new().await;
    let receiver =
        Receiver::scripted([Reply::status(500), Reply::status(503), Reply::status(404)], 200).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let delivery = project.emit_one().await;
    let requests = receiver.received(4).await;
    let mut timestamps = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        signature::check(&endpoint.secret, &request.headers, &request.body);
        assert_eq!(request.body, requests[0].body);
        for same in ["webhook-id", "x-echo-event", "x-echo-event-time", "x-echo-delivery", "x-echo-signature"]
        {
            assert_eq!(request.header(same), requests[0].header(same));
        }
        assert_eq!(request.header("x-echo-attempt"), (index + 1).to_string());
        assert_eq!(request.header("x-echo-delivery"), delivery);
        let timestamp: i64 = request.header("webhook-timestamp").parse().expect("whole seconds");
        // At the fourth attempt the first one's timestamp is six seconds old.
        assert!((request.at / 1000 - timestamp) < 6, "the timestamp is not that of this attempt");
        timestamps.push(timestamp);
    }
    assert!(timestamps.is_sorted() && timestamps[0] < timestamps[3], "{timestamps:?}");
}

#[tokio::test]
async fn two_endpoints_get_the_same_envelope_each_signed_with_its_own_secret() {
    let (project, one, other) = (Project::new().await, Receiver::start().await, Receiver::start().await);
    let (first, second) = (project.endpoint(&one.url()).await, project.endpoint(&other.url()).await);
    project.post_event(&json!({"event_name": "call.ended", "data": {"a": 1}})).await;
    let (to_one, to_other) = (one.first().await, other.first().await);
    signature::check(&first.secret, &to_one.headers, &to_one.body);
    signature::check(&second.secret, &to_other.headers, &to_other.body);
    assert_eq!(to_one.body, to_other.body);
    assert_eq!(to_one.header("webhook-id"), to_other.header("webhook-id"));
    assert_ne!(to_one.header("x-echo-delivery"), to_other.header("x-echo-delivery"));
}

#[tokio::test]
async fn nothing_of_the_producers_request_leaks_into_the_delivery() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    project.emit_one().await;
    let request = receiver.first().await;
    let all = format!("{:?} {}", request.headers, String::from_utf8_lossy(&request.body));
    for secret in [&project.key, &endpoint.secret] {
        assert!(!all.contains(secret.as_str()), "a secret went out: {all}");
    }
}
