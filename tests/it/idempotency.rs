//! The same event sent twice (contract §4).

use std::time::Duration;

use echo_tests::api::Answer;
use echo_tests::project::{Project, delivery_ids, unique};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::stack::stack;
use echo_tests::time::{now, timestamp};
use echo_tests::wait::at_once;
use serde_json::{Value, json};
use uuid::Uuid;

fn event() -> Value {
    json!({
        "event_id": Uuid::new_v4(),
        "event_name": "call.ended",
        "customer_id": "customer",
        "notification_id": "notification",
        "data": {"call_id": unique(), "duration": 1},
    })
}

fn changed(event: &Value, field: &str, value: Value) -> Value {
    let mut event = event.clone();
    event[field] = value;
    event
}

/// Longer than a second job for the same delivery stands back before it would act.
fn long_enough() -> Duration {
    stack().request_timeout() * 2 + Duration::from_secs(8)
}

#[tokio::test]
async fn the_same_event_again_gives_the_same_answer_and_starts_nothing() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event = event();
    let first = project.post_event(&event).await;
    endpoint.ended(&delivery_ids(&first)[0], "success").await;
    let again = project.post_event(&event).await;
    assert_eq!(again, changed(&first, "duplicate", json!(true)));
    receiver.no_more_than(1, Duration::from_secs(3)).await;
    assert_eq!(endpoint.deliveries("").await.ok(200)["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_same_event_16_times_at_once_is_one_delivery_and_one_request() {
    // The receiver is slow, so a second job for the same delivery would find the attempt still under way.
    let slow = Reply::status(200).after(Duration::from_millis(1_800));
    let (project, receiver) = (Project::new().await, Receiver::answering(slow).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event = event();
    let answers = at_once(16, |_| project.post("/events", &event)).await;
    let answers: Vec<Value> = answers.iter().map(|answer| answer.ok(202)).collect();
    let originals = answers.iter().filter(|answer| answer["duplicate"] == false).count();
    assert_eq!(originals, 1);
    for answer in &answers {
        assert_eq!(answer["deliveries"], answers[0]["deliveries"]);
        assert_eq!(answer["event_id"], event["event_id"]);
    }
    let ids = delivery_ids(&answers[0]);
    assert_eq!(ids.len(), 1);
    let ended = endpoint.ended(&ids[0], "success").await;
    assert_eq!(ended["attempt_count"], 1);
    receiver.no_more_than(1, long_enough()).await;
    assert_eq!(receiver.count(), 1);
    assert_eq!(endpoint.deliveries("").await.ok(200)["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn of_16_different_events_at_once_with_one_id_one_is_accepted() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event = event();
    let post = |number| {
        let event = changed(&event, "data", json!({"number": number}));
        let project = project.clone();
        async move { (number, project.post("/events", &event).await) }
    };
    let answers: Vec<(usize, Answer)> = at_once(16, post).await;
    let mut statuses: Vec<u16> = answers.iter().map(|(_, answer)| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[202][..], &[409; 15]].concat());
    let (winner, accepted) = answers.iter().find(|(_, answer)| answer.status == 202).expect("one 202");
    endpoint.ended(&delivery_ids(&accepted.json())[0], "success").await;
    assert_eq!(receiver.first().await.json()["data"]["number"], *winner);
    receiver.no_more_than(1, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn the_same_id_with_other_content_is_a_conflict() {
    let project = Project::new().await;
    let event = event();
    let before = now();
    project.post_event(&event).await;
    let after = now();
    let others = [
        ("event_name", json!("call.started")),
        ("customer_id", json!("another")),
        ("notification_id", json!("another")),
        ("data", json!({})),
    ];
    for (field, value) in others {
        let message = project.post("/events", &changed(&event, field, value)).await.refused(409);
        let (_, rest) = message.split_once("accepted at ").expect("when the first was accepted");
        let accepted_at = timestamp(&json!(rest[..24]));
        // Clocks may differ by a second.
        assert!((before - 1_000..=after + 1_000).contains(&accepted_at), "{message}");
    }
    for field in ["customer_id", "notification_id", "data"] {
        let mut without = event.clone();
        without.as_object_mut().expect("an object").remove(field);
        project.post("/events", &without).await.refused(409);
    }
    assert_eq!(project.post_event(&event).await["duplicate"], true, "the first event stays as it was");
}

#[tokio::test]
async fn spelling_counts_inside_data_only() {
    let project = Project::new().await;
    let id = Uuid::new_v4();
    let post = |body: String| {
        let project = &project;
        async move { project.api.post_raw(&project.path("/events"), body).await }
    };
    let data = r#"{"a":1.10,"b":"é"}"#;
    let first = format!(r#"{{"event_id":"{id}","event_name":"call.ended","customer_id":"c","data":{data}}}"#);
    assert_eq!(post(first).await.ok(202)["duplicate"], false);
    let same = [
        format!(r#"{{"data":{data},"customer_id":"c","event_name":"call.ended","event_id":"{id}"}}"#),
        format!(
            "{{ \"event_name\" : \"call.ended\",\n\"event_id\":\"{id}\",\"customer_id\":\"\\u0063\",\"data\": {data} }}"
        ),
        format!(
            r#"{{"event_id":"{id}","event_name":"call.ended","customer_id":"c","data":{data},"unknown":1}}"#
        ),
    ];
    for body in same {
        assert_eq!(post(body).await.ok(202)["duplicate"], true);
    }
    for data in [
        r#"{"a":1.1,"b":"é"}"#,
        r#"{"b":"é","a":1.10}"#,
        r#"{"a": 1.10,"b":"é"}"#,
        r#"{"a":1.10,"b":"\u00e9"}"#,
    ] {
        let body =
            format!(r#"{{"event_id":"{id}","event_name":"call.ended","customer_id":"c","data":{data}}}"#);
        post(body).await.refused(409);
    }
}

#[tokio::test]
async fn a_duplicate_is_answered_as_the_endpoints_were_then() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event = event();
    let first = project.post_event(&event).await;
    endpoint.ended(&delivery_ids(&first)[0], "success").await;
    let later = Receiver::start().await;
    project.endpoint(&later.url()).await;
    endpoint.delete().await;
    let again = project.post_event(&event).await;
    assert_eq!(
        again["deliveries"], first["deliveries"],
        "a deleted endpoint's stay listed, a new one's are not made"
    );
    later.no_more_than(0, Duration::from_secs(2)).await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn an_id_is_unique_within_its_project_only() {
    let (one, other, receiver) = (Project::new().await, Project::new().await, Receiver::start().await);
    one.endpoint(&receiver.url_of("/one")).await;
    other.endpoint(&receiver.url_of("/other")).await;
    let event = event();
    let first = one.post_event(&event).await;
    let second = other.post_event(&changed(&event, "data", json!({"other": true}))).await;
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(false)));
    let requests = receiver.received(2).await;
    for request in requests {
        assert_eq!(request.json()["data"].get("other").is_some(), request.uri == "/other");
    }
}

#[tokio::test]
async fn repeating_an_event_while_it_is_being_retried_starts_nothing() {
    let slow = Reply::status(500).after(Duration::from_millis(500));
    let (project, receiver) = (Project::new().await, Receiver::answering(slow).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event = event();
    let id = delivery_ids(&project.post_event(&event).await).remove(0);
    let attempts = stack().retry_delays().len() + 1;
    for seen in 1..=attempts {
        receiver.received(seen).await;
        for answer in at_once(4, |_| project.post("/events", &event)).await {
            assert_eq!(answer.ok(202)["duplicate"], true);
        }
    }
    let delivery = endpoint.ended(&id, "failed").await;
    assert_eq!(delivery["attempt_count"], attempts);
    receiver.no_more_than(attempts, long_enough()).await;
    assert_eq!(endpoint.delivery(&id).await, delivery);
}
