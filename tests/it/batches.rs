//! Many events in one request (contract §4).

use std::collections::BTreeSet;
use std::time::Duration;

use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::Receiver;
use echo_tests::shape::{fields, own_id, text};
use echo_tests::wait::eventually;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const LIMIT: usize = 1024 * 1024;

async fn post(project: &Project, events: &[Value]) -> Vec<Value> {
    let answer = project.post("/events/batch", &json!({ "events": events })).await.ok(200);
    fields(&answer, &["results"]);
    answer["results"].as_array().cloned().expect("an array")
}

#[track_caller]
fn accepted(result: &Value) -> &Value {
    assert_eq!(result["status"], 202, "{result}");
    fields(result, &["status", "event_id", "event_name", "duplicate", "deliveries"]);
    result
}

#[track_caller]
fn refused(result: &Value, status: u16) -> &str {
    assert_eq!(result["status"], status, "{result}");
    fields(result, &["status", "message"]);
    text(result, "message")
}

fn event(n: usize) -> Value {
    json!({ "event_name": "call.ended", "event_id": Uuid::new_v4(), "data": { "n": n } })
}

#[tokio::test]
async fn each_event_of_a_batch_is_accepted_and_delivered() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let mut events: Vec<Value> = (0..30).map(event).collect();
    events[7] = json!({ "event_name": "call.started" });
    let results = post(&project, &events).await;
    let mut listed = BTreeSet::new();
    for (event, result) in events.iter().zip(&results) {
        let accepted = accepted(result);
        assert_eq!(accepted["event_name"], event["event_name"]);
        assert_eq!(accepted["duplicate"], false);
        assert_eq!(accepted["deliveries"][0]["webhook_endpoint_id"], endpoint.id);
        if event["event_id"].is_null() {
            own_id(&accepted["event_id"]);
        } else {
            assert_eq!(accepted["event_id"], event["event_id"]);
        }
        listed.extend(delivery_ids(accepted));
    }
    assert_eq!((results.len(), listed.len()), (30, 30));
    let sent: BTreeSet<String> = receiver
        .received(30)
        .await
        .iter()
        .map(|request| request.headers["x-echo-delivery"].to_str().expect("text").to_owned())
        .collect();
    assert_eq!(sent, listed);
    let shown = project.get(&format!("/events/{}", text(&results[3], "event_id"))).await.ok(200);
    assert_eq!(shown["payload"]["data"], json!({ "n": 3 }));
}

#[tokio::test]
async fn one_bad_event_fails_alone() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let too_large = json!({ "event_name": "call.ended", "data": { "text": "x".repeat(256 * 1024) } });
    let results = post(
        &project,
        &[
            event(0),
            json!({ "event_name": "call.endet" }),
            json!({ "event_name": "call.ended", "event-id": Uuid::new_v4() }),
            json!("call.ended"),
            too_large,
            json!({ "event_name": "call.ended", "data": [] }),
            event(6),
        ],
    )
    .await;
    accepted(&results[0]);
    assert!(refused(&results[1], 400).starts_with("event_name must be one of: "));
    assert!(refused(&results[2], 400).contains("did you mean event_id?"));
    assert_eq!(refused(&results[3], 400), "An event must be a JSON object");
    assert_eq!(refused(&results[4], 413), "An event must be at most 256 KiB");
    assert!(refused(&results[5], 400).starts_with("data must be "));
    accepted(&results[6]);
    assert_eq!(results.len(), 7);
    receiver.received(2).await;
    receiver.no_more_than(2, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn the_same_event_id_is_a_duplicate_within_a_batch_and_after_it() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let (first, second) = (event(1), event(2));
    let mut other = first.clone();
    other["data"] = json!({ "n": 3 });
    let results = post(&project, &[first.clone(), second.clone(), first.clone(), other.clone()]).await;
    assert_eq!(accepted(&results[0])["duplicate"], false);
    assert_eq!(accepted(&results[2])["duplicate"], true);
    assert_eq!(results[2]["deliveries"], results[0]["deliveries"]);
    assert!(refused(&results[3], 409).contains("other content"));
    for result in &results[..2] {
        endpoint.ended(&delivery_ids(result)[0], "success").await;
    }
    // A batch that starts with other content is judged by the stored event, and so are the events after it.
    let again = post(&project, &[other, first.clone(), second, first]).await;
    assert!(refused(&again[0], 409).contains("other content"));
    for (again, result) in again[1..].iter().zip([&results[0], &results[1], &results[0]]) {
        assert_eq!(accepted(again)["duplicate"], true);
        assert_eq!(again["deliveries"], result["deliveries"]);
    }
    receiver.no_more_than(2, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused_as_a_whole() {
    let project = Project::new().await;
    let many: Vec<Value> = (0..101).map(event).collect();
    for events in [json!([]), json!(many), json!({ "0": event(0) }), json!("x"), Value::Null] {
        let refusal = project.post("/events/batch", &json!({ "events": events })).await;
        assert_eq!(refusal.refused(400), "events must be an array of 1 to 100 events");
    }
    project.post("/events/batch", &json!({})).await.refuses_field("events is required");
    project.post("/events/batch", &json!([event(0)])).await.refuses_field("a JSON object");
    let misspelled = project.post("/events/batch", &json!({ "event": [event(0)] })).await;
    assert!(misspelled.refused(400).contains("did you mean events?"));
    project.post("/events/batch?limit=1", &json!({ "events": [event(0)] })).await.refuses_field("limit");
    let foreign = Project::new().await;
    foreign.api.post(&project.path("/events/batch"), &json!({ "events": [event(0)] })).await.refused(403);
    project.api.send(Method::GET, &project.path("/events/batch"), None).await.refused(405);
    assert_eq!(project.get("/events").await.ok(200)["data"], json!([]));
}

#[tokio::test]
async fn a_batch_may_have_a_mebibyte() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event = |bytes: usize| {
        let with = |text: &str| json!({ "event_name": "call.ended", "data": { "text": text } }).to_string();
        with(&"x".repeat(bytes - with("").len()))
    };
    let frame = r#"{"events":[,,,]}"#.len();
    let body = |bytes: usize| {
        let each = (bytes - frame) / 4;
        let sizes = [each, each, each, bytes - frame - 3 * each];
        format!(r#"{{"events":[{}]}}"#, sizes.map(event).join(","))
    };
    let path = project.path("/events/batch");
    let too_large = project.api.post_raw(&path, body(LIMIT + 1)).await.refused(413);
    assert_eq!(too_large, "The body must be at most 1024 KiB");
    let answer = project.api.post_raw(&path, body(LIMIT)).await.ok(200);
    for result in answer["results"].as_array().expect("an array") {
        accepted(result);
    }
    let ended = || async {
        let page = endpoint.deliveries("?status=success&limit=10").await.ok(200);
        (page["data"].as_array().map(Vec::len) == Some(4)).then_some(())
    };
    eventually("all four are delivered", Duration::from_secs(30), ended).await;
}
