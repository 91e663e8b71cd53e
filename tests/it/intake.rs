//! Events from producers with IAM credentials: straight into the intake queue, or through EventBridge (contract §4).

use std::time::Duration;

use echo_tests::aws::{Queue, logged, put_event};
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, delivery_ids, unique};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::signature;
use echo_tests::stack::stack;
use echo_tests::wait::{PATIENCE, at_once, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

async fn intake() -> Queue {
    Queue::named("IntakeQueue").await
}

async fn parked() -> Queue {
    Queue::named("ParkedQueue").await
}

fn event(project: &Project) -> Value {
    json!({
        "project_id": project.id,
        "event_name": "call.ended",
        "event_id": Uuid::now_v7(),
        "customer_id": "customer",
        "data": {"call_id": unique()},
    })
}

fn with(event: &Value, field: &str, value: Value) -> Value {
    let mut event = event.clone();
    event[field] = value;
    event
}

fn without(event: &Value, field: &str) -> Value {
    let mut event = event.clone();
    event.as_object_mut().expect("an object").remove(field);
    event
}

/// Waits until the API shows the event, and gives it.
async fn accepted(project: &Project, id: &str) -> Value {
    eventually(format!("event {id} is accepted"), PATIENCE, || async {
        let answer = project.get(&format!("/events/{id}")).await;
        (answer.status == 200).then(|| answer.ok(200))
    })
    .await
}

/// Longer than a second job for the same delivery stands back before it would act.
fn long_enough() -> Duration {
    stack().request_timeout() * 2 + Duration::from_secs(8)
}

async fn deliveries(endpoint: &Endpoint) -> usize {
    endpoint.deliveries("").await.ok(200)["data"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn an_event_sent_to_the_queue_is_delivered_with_the_producers_bytes() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let (id, data) = (Uuid::now_v7(), r#"{"z": 1.10, "a": 123456789012345678901234567890, "s": "\u00e9"}"#);
    let body = format!(
        r#"{{"data": {data}, "event_id": "{id}", "project_id": "{}", "event_name": "call.ended", "notification_id": "n-1", "more": 1}}"#,
        project.id
    );
    intake().await.send(&body).await;
    let request = receiver.first().await;
    signature::check(&endpoint.secret, &request.headers, &request.body);
    assert_eq!(request.header("webhook-id"), id.to_string());
    let envelope = format!(
        r#"{{"event_id":"{id}","event_name":"call.ended","customer_id":null,"notification_id":"n-1","data":{data}}}"#
    );
    assert_eq!(String::from_utf8(request.body), Ok(envelope));
    let shown = accepted(&project, &id.to_string()).await;
    let delivery = shown["deliveries"][0]["id"].as_str().expect("a delivery").to_owned();
    assert_eq!(endpoint.ended(&delivery, "success").await["attempt_count"], 1);
}

#[tokio::test]
async fn without_an_event_id_the_messages_own_is_it() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let message_id = intake().await.send(&without(&event(&project), "event_id").to_string()).await;
    assert_eq!(receiver.first().await.header("webhook-id"), message_id);
}

#[tokio::test]
async fn an_event_put_on_the_bus_is_delivered_under_the_id_of_eventbridge_or_its_own() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event = without(&event(&project), "event_name");
    let bus_id = put_event("call.ended", &without(&event, "event_id").to_string()).await;
    let request = receiver.first().await;
    signature::check(&endpoint.secret, &request.headers, &request.body);
    assert_eq!(request.header("webhook-id"), bus_id);
    let envelope = request.json();
    assert_eq!((&envelope["event_name"], &envelope["data"]), (&json!("call.ended"), &event["data"]));
    assert_eq!(envelope["customer_id"], "customer");

    put_event("call.ended", &event.to_string()).await;
    let second = receiver.received(2).await.remove(1);
    assert_eq!(second.header("webhook-id"), event["event_id"]);
    // The service does not know this event name.
    put_event("call.other", &with(&event, "event_id", json!(Uuid::now_v7())).to_string()).await;
    receiver.no_more_than(2, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn a_refused_event_is_parked_with_the_reason_and_nothing_else_happens() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let (event, mark) = (event(&project), unique());
    let names = "call.started, call.ended, call.summary";
    let id = "must be a hyphenated UUID";
    let text = "must be null or a string of 1 to 128 characters";
    let bodies = [
        (format!("not JSON {mark}"), "The body must be a JSON object".to_owned()),
        (format!("[\"{mark}\"]"), "The body must be a JSON object".to_owned()),
        (without(&event, "project_id").to_string(), format!("project_id is required and {id}")),
        (with(&event, "project_id", json!(mark)).to_string(), format!("project_id {id}")),
        (
            without(&event, "event_name").to_string(),
            format!("event_name is required and must be one of: {names}"),
        ),
        (
            with(&event, "event_name", json!("call.x")).to_string(),
            format!("event_name must be one of: {names}"),
        ),
        (
            with(&event, "event_id", json!(mark)).to_string(),
            "event_id must be null or a hyphenated UUID".to_owned(),
        ),
        (with(&event, "customer_id", json!("")).to_string(), format!("customer_id {text}")),
        (with(&event, "notification_id", json!(7)).to_string(), format!("notification_id {text}")),
        (
            with(&event, "data", json!([mark])).to_string(),
            "data must be null or an object, nested at most 128 deep".to_owned(),
        ),
        (
            with(&event, "data", json!({"a": mark.repeat(8 * 1024)})).to_string(),
            "The body must be at most 256 KiB".to_owned(),
        ),
        (
            json!({"detail-type": "call.ended", "detail": [mark], "id": Uuid::new_v4()}).to_string(),
            "detail must be a JSON object".to_owned(),
        ),
    ];
    let (intake, parked) = (intake().await, parked().await);
    for (body, reason) in &bodies {
        let message_id = intake.send(body).await;
        let why = parked.take(body).await;
        assert_eq!((&why["reason"], why["source"].as_str()), (reason, "intake"));
        assert_eq!(why["message_id"], message_id);
        let lines = eventually("the refusal is logged", PATIENCE, || async {
            let lines = logged("Delivery", &message_id).await;
            (!lines.is_empty()).then_some(lines)
        })
        .await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(reason), "{lines:?}");
    }
    assert!(logged("Delivery", &mark).await.is_empty(), "the content of a refused message is logged");
    assert!(!logged("Delivery", "\"IntakeRefused\":").await.is_empty(), "refusals are not counted");
    receiver.no_more_than(0, Duration::from_secs(2)).await;
    assert_eq!(deliveries(&endpoint).await, 0);
}

#[tokio::test]
async fn of_an_event_for_no_project_only_the_ids_are_parked() {
    let project = Project::new().await;
    let (nowhere, event) = (Uuid::now_v7(), event(&project));
    intake().await.send(&with(&event, "project_id", json!(nowhere)).to_string()).await;
    let ids = json!({"project_id": nowhere, "event_id": event["event_id"], "event_name": "call.ended"});
    let why = parked()
        .await
        .take_where(|body| serde_json::from_str::<Value>(body).is_ok_and(|body| body == ids))
        .await;
    let reason = "project_id names no project; the event's content is not kept";
    assert_eq!(why["reason"], reason);
    // Neither of an event that is refused for its content.
    let broken = with(&with(&event, "project_id", json!(nowhere)), "data", json!([unique()]));
    intake().await.send(&broken.to_string()).await;
    let id = json!({ "project_id": nowhere });
    let why = parked()
        .await
        .take_where(|body| serde_json::from_str::<Value>(body).is_ok_and(|body| body == id))
        .await;
    assert_eq!(why["reason"], reason);
}

#[tokio::test]
async fn an_event_of_the_bus_is_refused_like_any_other() {
    let project = Project::new().await;
    let id = put_event("call.ended", &json!({"project_id": project.id, "data": 7}).to_string()).await;
    let why = parked().await.take_where(|body| body.contains(&id)).await;
    assert_eq!(why["reason"], "data must be null or an object, nested at most 128 deep");
    assert_eq!(project.get(&format!("/events/{id}")).await.status, 404);
}

#[tokio::test]
async fn the_same_event_by_both_ways_starts_nothing_twice() {
    // The receiver is slow, so a second job for the same delivery would find the attempt still under way.
    let slow = Reply::status(200).after(Duration::from_millis(1_200));
    let (project, receiver) = (Project::new().await, Receiver::answering(slow).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    // EventBridge may change the spelling of `data`, and another spelling is other content. `{}` has only one.
    let event = with(&event(&project), "data", json!({}));
    let intake = intake().await;
    let body = event.to_string();
    at_once(8, |_| intake.send(&body)).await;
    put_event("call.ended", &body).await;
    let id = event["event_id"].as_str().expect("an id");
    let shown = accepted(&project, id).await;
    let answer = project.post_event(&event).await;
    assert_eq!(answer["duplicate"], true, "{answer}");
    assert_eq!(delivery_ids(&answer), [shown["deliveries"][0]["id"].as_str().expect("a delivery")]);
    receiver.no_more_than(1, long_enough()).await;
    assert_eq!(deliveries(&endpoint).await, 1);
    // A message that met a busy store is taken again some seconds later.
    let accepted = eventually("nine acceptances are logged", PATIENCE, || async {
        let lines = logged("Delivery", id).await.into_iter();
        let accepted: Vec<String> = lines.filter(|line| line.contains("an event was accepted")).collect();
        (accepted.len() >= 9).then_some(accepted)
    })
    .await;
    assert_eq!(accepted.len(), 9, "{accepted:?}");
    assert_eq!(
        accepted.iter().filter(|line| line.contains("\"duplicate\":false")).count(),
        1,
        "{accepted:?}"
    );

    let second = with(&event, "event_id", json!(Uuid::now_v7()));
    let answer = project.post_event(&second).await;
    intake.send(&second.to_string()).await;
    endpoint.ended(&delivery_ids(&answer)[0], "success").await;
    receiver.no_more_than(2, long_enough()).await;
    assert_eq!(deliveries(&endpoint).await, 2);
}

#[tokio::test]
async fn other_content_under_the_same_id_is_refused() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let event = event(&project);
    project.post_event(&event).await;
    let other = with(&event, "customer_id", json!("someone else")).to_string();
    intake().await.send(&other).await;
    let parked = parked().await.take(&other).await;
    let reason = parked["reason"].as_str();
    let told =
        "event_id was already used in this project, for an event with other content that was accepted at 20";
    assert!(reason.starts_with(told), "{reason}");
    receiver.no_more_than(1, Duration::from_secs(2)).await;
    assert_eq!(receiver.first().await.json()["customer_id"], "customer");
}

#[tokio::test]
async fn bad_events_hold_up_none_of_their_batch() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let (other, other_receiver) = (Project::new().await, Receiver::start().await);
    other.endpoint(&other_receiver.url()).await;
    let mut bodies: Vec<String> = (0..6).map(|_| event(&project).to_string()).collect();
    bodies.push(event(&other).to_string());
    let good = bodies.len();
    let mark = unique();
    bodies.push(format!("not JSON {mark}"));
    bodies.push(with(&event(&project), "event_name", json!("call.x")).to_string());
    let nowhere = with(&event(&project), "project_id", json!(Uuid::now_v7()));
    bodies.push(nowhere.to_string());
    intake().await.send_together(&bodies).await;
    let ids = |requests: &[echo_tests::receiver::Received]| -> Vec<String> {
        let mut ids: Vec<String> =
            requests.iter().map(|request| request.header("webhook-id").to_owned()).collect();
        ids.sort();
        ids
    };
    let sent = |range: std::ops::Range<usize>| -> Vec<String> {
        let events = bodies[range].iter().map(|body| serde_json::from_str::<Value>(body).expect("JSON"));
        let mut ids: Vec<String> =
            events.map(|event| event["event_id"].as_str().expect("an id").to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&receiver.received(6).await), sent(0..6));
    assert_eq!(ids(&other_receiver.received(1).await), sent(6..7));
    for body in &bodies[good..bodies.len() - 1] {
        parked().await.take(body).await;
    }
    // Of an event for no project only the ids are kept.
    let id = nowhere["event_id"].as_str().expect("an id");
    parked().await.take_where(|body| body.contains(id)).await;
    receiver.no_more_than(6, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_event_for_a_project_without_endpoints_is_accepted_and_listed() {
    let project = Project::new().await;
    let event = event(&project);
    intake().await.send(&event.to_string()).await;
    let shown = accepted(&project, event["event_id"].as_str().expect("an id")).await;
    assert_eq!((&shown["deliveries"], &shown["skipped"]), (&json!([]), &json!([])), "{shown}");
}

#[tokio::test]
async fn an_event_is_retried_like_any_other() {
    let project = Project::new().await;
    let receiver = Receiver::scripted([500], 200).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let event = event(&project);
    intake().await.send(&event.to_string()).await;
    let shown = accepted(&project, event["event_id"].as_str().expect("an id")).await;
    let delivery = shown["deliveries"][0]["id"].as_str().expect("a delivery");
    assert_eq!(endpoint.ended(delivery, "success").await["attempt_count"], 2);
}
