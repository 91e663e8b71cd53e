//! Filters: which events, of the names that it wants, an endpoint gets (contract §3).

use std::time::Duration;

use echo_tests::api::Answer;
use echo_tests::aws::{Queue, put_event};
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::Receiver;
use echo_tests::shape::{fields, text};
use echo_tests::time::{now, rfc3339};
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

async fn filtered(project: &Project, url: &str, filter: &Value) -> Endpoint {
    let body = json!({"url": url, "events": ["call.ended"], "filter": filter});
    let created = project.post("/webhooks", &body).await.ok(201);
    assert_eq!(created["filter"], *filter);
    Endpoint::new(project, created)
}

/// Calls that last longer than a minute.
fn long_calls() -> Value {
    json!({"data": {"duration_seconds": [{"numeric": [">", 60]}]}})
}

fn call(seconds: u32) -> Value {
    json!({"event_name": "call.ended", "data": {"duration_seconds": seconds}})
}

async fn skipped(project: &Project, event_id: &Value) -> Value {
    let event = project.get(&format!("/events/{}", event_id.as_str().expect("an id"))).await.ok(200);
    event["skipped"].clone()
}

fn of_filter(endpoint: &Endpoint) -> Value {
    json!([{"webhook_endpoint_id": endpoint.id, "reason": "filtered"}])
}

#[tokio::test]
async fn events_that_do_not_match_are_skipped_stay_visible_and_can_be_replayed() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = filtered(&project, &receiver.url(), &long_calls()).await;
    let long = project.post_event(&call(61)).await;
    let short = project.post_event(&call(60)).await;
    let [id] = &delivery_ids(&long)[..] else { panic!("one delivery was expected: {long}") };
    assert_eq!(short["deliveries"], json!([]));
    endpoint.ended(id, "success").await;
    assert_eq!(receiver.first().await.header("webhook-id"), text(&long, "event_id"));
    assert_eq!(skipped(&project, &short["event_id"]).await, of_filter(&endpoint));
    assert_eq!(skipped(&project, &long["event_id"]).await, json!([]));

    let replay = json!({"since": rfc3339(now() - 3_600_000), "include_skipped": true});
    let _ = project.api.post(&endpoint.path("/replay"), &replay).await.ok(202);
    let received = receiver.received(2).await;
    assert_eq!(received[1].header("webhook-id"), text(&short, "event_id"));
    assert_eq!(skipped(&project, &short["event_id"]).await, json!([]));

    // A test is sent even if the filter does not match it.
    let test = project.api.post_nothing(&endpoint.path("/test")).await.ok(202);
    endpoint.ended(&delivery_ids(&test)[0], "success").await;
}

#[tokio::test]
async fn a_changed_filter_holds_for_the_next_event() {
    // A receiver that answers, so that the endpoint stays active.
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = filtered(&project, &receiver.url(), &long_calls()).await;
    let posted = async |seconds| delivery_ids(&project.post_event(&call(seconds)).await).len();
    assert_eq!((posted(59).await, posted(61).await), (0, 1));
    for (filter, low, high) in [
        (json!({"data": {"duration_seconds": [{"numeric": ["<", 60]}]}}), 1, 0),
        (json!(null), 1, 1),
        (json!({"event_name": [{"anything-but": "call.ended"}]}), 0, 0),
        (long_calls(), 0, 1),
    ] {
        let shown = endpoint.patch(&json!({"filter": filter})).await;
        assert_eq!(shown["filter"], filter);
        assert_eq!((posted(59).await, posted(61).await), (low, high), "{filter}");
        assert_eq!(endpoint.show().await["filter"], filter);
    }
    let shown = endpoint.patch(&json!({"description": "unchanged"})).await;
    assert_eq!(shown["filter"], long_calls());
    assert_eq!((posted(59).await, posted(61).await), (0, 1));
    let plain = project.endpoint("https://example.com/").await;
    assert_eq!(plain.created["filter"], json!(null));
}

#[tokio::test]
async fn events_of_a_batch_the_queue_and_the_bus_are_filtered_too() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = filtered(&project, &receiver.url(), &long_calls()).await;
    let batch = json!({"events": [call(30), call(90), call(20)]});
    let results = project.post("/events/batch", &batch).await.ok(200)["results"].clone();
    let made: Vec<usize> =
        results.as_array().expect("results").iter().map(|result| delivery_ids(result).len()).collect();
    assert_eq!(made, [0, 1, 0]);

    let intake = Queue::named("IntakeQueue").await;
    let ids: Vec<String> = (0..2).map(|_| Uuid::now_v7().to_string()).collect();
    for (id, seconds) in ids.iter().zip([10, 100]) {
        let mut event = call(seconds);
        event["project_id"] = json!(project.id);
        event["event_id"] = json!(id);
        intake.send(&event.to_string()).await;
    }
    let shown = async |id: &str| {
        eventually("the event is accepted", PATIENCE, || async {
            let answer = project.get(&format!("/events/{id}")).await;
            (answer.status == 200).then(|| answer.ok(200))
        })
        .await
    };
    let (short, long) = (shown(&ids[0]).await, shown(&ids[1]).await);
    assert_eq!((&short["deliveries"], &short["skipped"]), (&json!([]), &of_filter(&endpoint)));
    assert_eq!(long["deliveries"].as_array().map(Vec::len), Some(1), "{long}");

    let id = Uuid::now_v7().to_string();
    let detail = json!({"project_id": project.id, "event_id": id, "data": {"duration_seconds": 5}});
    put_event("call.ended", &detail.to_string()).await;
    assert_eq!(shown(&id).await["skipped"], of_filter(&endpoint));
    receiver.received(2).await;
    receiver.no_more_than(2, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn the_payload_stays_the_producers_bytes() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    filtered(&project, &receiver.url(), &json!({"data": {"n": [1.1], "s": [{"prefix": "\u{e9}"}]}})).await;
    let data = r#"{"z": 1.10, "n": 1.10, "a": 123456789012345678901234567890, "s": "\u00e9\ud800"}"#;
    // A string with half a surrogate pair is no text that an operator could look at.
    let body = format!(r#"{{"event_name": "call.ended", "data": {data}}}"#);
    let accepted = project.api.post_raw(&project.path("/events"), body.as_str()).await.ok(202);
    assert_eq!(accepted["deliveries"], json!([]));
    let data = data.replace(r"\ud800", "");
    let body = format!(r#"{{"event_name": "call.ended", "data": {data}}}"#);
    let accepted = project.api.post_raw(&project.path("/events"), body.as_str()).await.ok(202);
    assert_eq!(delivery_ids(&accepted).len(), 1);
    let request = receiver.first().await;
    let sent = String::from_utf8(request.body).expect("UTF-8");
    assert!(sent.ends_with(&format!(r#""data":{data}}}"#)), "{sent}");
}

#[tokio::test]
async fn a_wrong_filter_is_refused_with_its_place() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    let refused = |answer: &Answer, place: &str| {
        let message = answer.refused(400);
        assert!(message.starts_with(&format!("filter is wrong at {place}: ")), "{}: {message}", answer.what);
    };
    let deep = (0..20).fold(json!([1]), |inner, _| json!({"a": inner}));
    for (filter, place) in [
        (json!([]), "$"),
        (json!("x"), "$"),
        (json!({}), "$"),
        (json!({"detail": {"a": [1]}}), "$.detail"),
        (json!({"data": {"a": 1}}), "$.data.a"),
        (json!({"data": {"a": [{"numeric": [">"]}]}}), "$.data.a[0].numeric"),
        (json!({"data": {"a": ["x", {"regexp": "x"}]}}), "$.data.a[1].regexp"),
        (json!({"$or": [{"event_name": ["a"]}, {"event_name": []}]}), "$.$or[1].event_name"),
        (json!({"data": {"a": ["x".repeat(4_096)]}}), "$"),
        (json!({"data": deep}), "$.data.a.a"),
    ] {
        let body = json!({"url": "https://example.com/", "events": ["call.ended"], "filter": filter});
        let message = project.post("/webhooks", &body).await.refused(400).to_owned();
        assert!(message.starts_with(&format!("filter is wrong at {place}")), "{filter}: {message}");
        let patch = project.api.patch(&endpoint.path(""), &json!({"filter": filter})).await;
        assert_eq!(patch.refused(400), message);
        let tried = json!({"filter": filter, "event": call(1)});
        assert_eq!(project.api.post(&endpoint.path("/filter/test"), &tried).await.refused(400), message);
    }
    let twice = r#"{"filter": {"data": {"a": [1], "a": [2]}}}"#;
    let answer = project.api.send(reqwest::Method::PATCH, &endpoint.path(""), Some(twice.into())).await;
    refused(&answer, "$.data.a");
    assert_eq!(endpoint.show().await["filter"], json!(null), "and nothing was changed");
}

#[tokio::test]
async fn a_filter_can_be_tried_on_an_event() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    let path = endpoint.path("/filter/test");
    let verdict = async |filter: Value, event: &Value| {
        let answer = project.api.post(&path, &json!({"filter": filter, "event": event})).await.ok(200);
        fields(&answer, &["matches"]);
        answer["matches"].as_bool().expect("a verdict")
    };
    assert!(verdict(long_calls(), &call(61)).await);
    assert!(!verdict(long_calls(), &call(60)).await);
    assert!(verdict(Value::Null, &call(60)).await);
    assert!(verdict(json!({"customer_id": [null]}), &call(60)).await);
    // What an event shows as its payload can be tried too.
    let accepted = project.post_event(&call(75)).await;
    let event = project.get(&format!("/events/{}", text(&accepted, "event_id"))).await.ok(200);
    assert!(verdict(json!({"event_id": [accepted["event_id"]]}), &event["payload"]).await);
    for (field, body) in [
        ("filter is required", json!({"event": call(1)})),
        ("event is required", json!({"filter": null})),
        ("event must be an object", json!({"filter": null, "event": [1]})),
        ("event.event_name", json!({"filter": null, "event": {}})),
        ("event.data", json!({"filter": null, "event": {"event_name": "call.ended", "data": 1}})),
    ] {
        project.api.post(&path, &body).await.refuses_field(field);
    }
    let unknown = project.path(&format!("/webhooks/{}/filter/test", Uuid::now_v7()));
    project.api.post(&unknown, &json!({})).await.refused(404);
    assert_eq!(endpoint.show().await["filter"], json!(null));
}
