//! An ordered endpoint: its deliveries come one after another (contract §5).

use std::time::{Duration, Instant};

use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::{Received, Receiver, Reply};
use echo_tests::shape::text;
use echo_tests::wait::{PATIENCE, at_once, eventually};
use serde_json::{Value, json};

const SEQUENCE: &str = "x-echo-sequence";

/// A failure after which the next attempt comes much later than all that a test does meanwhile.
fn later() -> Reply {
    Reply::status(503).header("retry-after", "20")
}

async fn ordered(project: &Project, url: &str, order: &str) -> Endpoint {
    let body = json!({"url": url, "events": ["call.ended"], "ordered": order});
    let created = project.post("/webhooks", &body).await.ok(201);
    assert_eq!(created["ordered"], order);
    Endpoint::new(project, created)
}

fn event(n: usize) -> Value {
    json!({"event_name": "call.ended", "data": {"n": n}})
}

fn of_customer(customer: &str, n: usize) -> Value {
    json!({"event_name": "call.ended", "customer_id": customer, "data": {"n": n}})
}

/// Posts events one after another, and gives the ids of their deliveries.
async fn emit(project: &Project, events: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut ids = Vec::new();
    for event in events {
        ids.extend(delivery_ids(&project.post_event(&event).await));
    }
    ids
}

fn of(requests: &[Received]) -> Vec<String> {
    requests.iter().map(|request| request.header("x-echo-delivery").to_owned()).collect()
}

fn numbers(requests: &[Received]) -> Vec<u64> {
    requests.iter().map(|request| request.header(SEQUENCE).parse().expect("a number")).collect()
}

#[tokio::test]
async fn deliveries_come_in_the_order_of_their_events_with_numbers() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = ordered(&project, &receiver.url(), "endpoint").await;
    let ids = emit(&project, (0..30).map(event)).await;
    let requests = receiver.received(30).await;
    assert_eq!(of(&requests), ids);
    assert!(numbers(&requests).into_iter().eq(1..=30));
    for pair in requests.windows(2) {
        assert!(pair[1].at >= pair[0].answered_at.expect("an answer"), "one at a time");
    }
    endpoint.ended(&ids[29], "success").await;
    receiver.no_more_than(30, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn the_next_one_waits_for_the_retries_of_the_one_before() {
    let (project, receiver) = (Project::new().await, Receiver::scripted([500, 500], 200).await);
    let endpoint = ordered(&project, &receiver.url(), "endpoint").await;
    let ids = emit(&project, (0..3).map(event)).await;
    let requests = receiver.received(5).await;
    assert_eq!(of(&requests), [&ids[0], &ids[0], &ids[0], &ids[1], &ids[2]].map(Clone::clone));
    assert_eq!(numbers(&requests), [1, 1, 1, 2, 3], "all attempts of a delivery carry its number");
    let first = endpoint.ended(&ids[0], "success").await;
    assert_eq!(first["attempt_count"], 3);
}

#[tokio::test]
async fn a_delivery_that_fails_for_good_lets_the_next_one_go() {
    let project = Project::new().await;
    let fails = |request: &Received| Reply::status(if request.json()["data"]["n"] == 0 { 500 } else { 200 });
    let receiver = Receiver::choosing(fails).await;
    let endpoint = ordered(&project, &receiver.url(), "endpoint").await;
    let ids = emit(&project, (0..2).map(event)).await;
    endpoint.ended(&ids[0], "failed").await;
    endpoint.ended(&ids[1], "success").await;
    let last = receiver.requests().pop().expect("a request");
    assert_eq!((last.header("x-echo-delivery"), last.header(SEQUENCE)), (ids[1].as_str(), "2"));

    // A manual retry stands outside: it carries no number, and nothing waits for it.
    let before = receiver.count();
    assert_eq!(endpoint.retry(&ids[0]).await.ok(202)["status"], "pending");
    let retried = receiver.received(before + 1).await.remove(before);
    assert_eq!(retried.header("x-echo-delivery"), ids[0]);
    assert!(!retried.headers.contains_key(SEQUENCE));
    let next = emit(&project, [event(2)]).await;
    endpoint.ended(&next[0], "success").await;
    assert_eq!(receiver.requests().pop().expect("a request").header(SEQUENCE), "3");
}

#[tokio::test]
async fn a_customers_trouble_holds_up_that_customer_alone() {
    let project = Project::new().await;
    let fails = |request: &Received| {
        let is_first = request.json()["data"]["n"] == 0 && request.json()["customer_id"] == "a";
        if is_first && request.header("x-echo-attempt") == "1" { later() } else { Reply::status(200) }
    };
    let receiver = Receiver::choosing(fails).await;
    let endpoint = ordered(&project, &receiver.url(), "customer_id").await;
    let events = (0..3).flat_map(|n| [of_customer("a", n), of_customer("b", n), event(n)]);
    let ids = emit(&project, events).await;
    for id in &ids {
        endpoint.ended(id, "success").await;
    }
    let requests = receiver.received(10).await;
    for customer in [json!("a"), json!("b"), Value::Null] {
        let own: Vec<Received> =
            requests.iter().filter(|it| it.json()["customer_id"] == customer).cloned().collect();
        let seen: Vec<u64> = own.iter().map(|it| it.json()["data"]["n"].as_u64().expect("n")).collect();
        let (expected, given): (&[u64], &[u64]) =
            if customer == "a" { (&[0, 0, 1, 2], &[1, 1, 2, 3]) } else { (&[0, 1, 2], &[1, 2, 3]) };
        assert_eq!((seen.as_slice(), numbers(&own).as_slice()), (expected, given), "{customer}");
    }
    let last_of_b = requests.iter().rposition(|it| it.json()["customer_id"] == "b").expect("b");
    let retry_of_a = requests.iter().position(|it| it.header("x-echo-attempt") == "2").expect("a retry");
    assert!(last_of_b < retry_of_a, "b did not wait for a");
}

#[tokio::test]
async fn in_a_batch_the_arrays_order_counts() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    ordered(&project, &receiver.url(), "endpoint").await;
    let own_id =
        |n: usize| json!({"event_name": "call.ended", "event_id": uuid::Uuid::new_v4(), "data": {"n": n}});
    // Events with an id and without one are accepted apart.
    let events: Vec<Value> = (0..60).map(|n| if n % 3 == 0 { own_id(n) } else { event(n) }).collect();
    let answer = project.post("/events/batch", &json!({"events": events})).await.ok(200);
    let results = answer["results"].as_array().expect("results");
    let ids: Vec<String> = results.iter().flat_map(delivery_ids).collect();
    eventually("60 requests, one after the other, have come", PATIENCE * 3, || async {
        (receiver.count() >= 60).then_some(())
    })
    .await;
    let requests = receiver.requests();
    assert_eq!(of(&requests), ids);
    assert!(numbers(&requests).into_iter().eq(1..=60));
}

/// As after a batch of which the store did only a part: its last event has its place, the others have none.
#[tokio::test]
async fn a_batch_of_which_a_part_was_accepted_before_comes_whole() {
    let blocks = Reply::status(503).header("retry-after", "8");
    let (project, receiver) = (Project::new().await, Receiver::scripted([blocks], Reply::status(200)).await);
    ordered(&project, &receiver.url(), "endpoint").await;
    let own_id =
        |n: usize| json!({"event_name": "call.ended", "event_id": uuid::Uuid::new_v4(), "data": {"n": n}});
    let last = own_id(3);
    let mut ids = emit(&project, [event(0)]).await;
    receiver.first().await;
    ids.extend(emit(&project, [last.clone()]).await);
    ids.insert(1, ids[0].clone());
    let batch = json!({"events": [own_id(1), own_id(2), last]});
    let answer = project.post("/events/batch", &batch).await.ok(200);
    let results: Vec<Vec<String>> =
        answer["results"].as_array().expect("results").iter().map(delivery_ids).collect();
    assert_eq!(results[2], [ids[2].clone()], "the same delivery as before");
    assert_eq!(receiver.count(), 1, "the stream was blocked meanwhile");
    ids.extend([results[0].clone(), results[1].clone()].concat());
    let requests = receiver.received(5).await;
    assert_eq!(of(&requests), ids);
    assert_eq!(numbers(&requests), [1, 1, 2, 3, 4]);
    receiver.no_more_than(5, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn events_posted_side_by_side_come_one_at_a_time_and_once() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    ordered(&project, &receiver.url(), "endpoint").await;
    let accepted = at_once(12, |n| {
        let project = project.clone();
        async move { project.post_event(&event(n)).await }
    });
    let mut ids: Vec<String> = accepted.await.iter().flat_map(delivery_ids).collect();
    let requests = receiver.received(12).await;
    assert!(numbers(&requests).into_iter().eq(1..=12));
    let mut sent = of(&requests);
    sent.sort();
    ids.sort();
    assert_eq!(sent, ids);
    receiver.no_more_than(12, Duration::from_secs(2)).await;
}

/// A delivery keeps the order under which its event was accepted.
#[tokio::test]
async fn order_is_switched_on_and_off_for_the_events_from_then_on() {
    let project = Project::new().await;
    let holds = |request: &Received| {
        let n = request.json()["data"]["n"].as_u64().expect("n");
        if n == 0 && request.header("x-echo-attempt") == "1" { later() } else { Reply::status(200) }
    };
    let receiver = Receiver::choosing(holds).await;
    let endpoint = ordered(&project, &receiver.url(), "endpoint").await;
    let blocked = emit(&project, (0..3).map(event)).await;
    receiver.received(1).await;
    let shown = endpoint.patch(&json!({"ordered": null})).await;
    assert_eq!(shown["ordered"], Value::Null);
    // The new one does not wait for those in front of it, which keep their order.
    let free = emit(&project, [event(3)]).await;
    let second = receiver.received(2).await.remove(1);
    assert_eq!(second.header("x-echo-delivery"), free[0]);
    assert!(!second.headers.contains_key(SEQUENCE));
    for id in &blocked {
        endpoint.ended(id, "success").await;
    }
    let requests = receiver.received(5).await;
    assert_eq!(of(&requests[2..]), blocked);
    assert_eq!(numbers(&requests[2..]), [1, 2, 3]);
    // Switched on again, the stream goes on with its numbers.
    endpoint.patch(&json!({"ordered": "endpoint"})).await;
    emit(&project, [event(4)]).await;
    assert_eq!(receiver.received(6).await[5].header(SEQUENCE), "4");
}

#[tokio::test]
async fn a_disabled_or_deleted_endpoint_ends_what_waits_in_its_stream() {
    let (project, receiver) = (Project::new().await, Receiver::answering(500).await);
    let endpoint = ordered(&project, &receiver.url(), "endpoint").await;
    let ids = emit(&project, (0..3).map(event)).await;
    receiver.received(1).await;
    endpoint.set_status("disabled").await;
    for id in &ids {
        let ended = endpoint.ended(id, "failed").await;
        assert_eq!(ended["failure_reason"], "endpoint_disabled");
    }
    let sent = receiver.count();
    // Those that were never attempted took no number.
    receiver.set(200);
    endpoint.set_status("active").await;
    let next = emit(&project, [event(3)]).await;
    endpoint.ended(&next[0], "success").await;
    assert_eq!(receiver.requests()[sent].header(SEQUENCE), "2");

    receiver.set(500);
    let ids = emit(&project, (4..7).map(event)).await;
    receiver.received(sent + 2).await;
    let event_of = endpoint.delivery(&ids[2]).await["event_id"].clone();
    endpoint.delete().await;
    eventually("the deliveries end", PATIENCE, || async {
        let path = format!("/events/{}", event_of.as_str().expect("an id"));
        let shown = project.get(&path).await.ok(200);
        (shown["deliveries"][0]["status"] == "failed").then_some(())
    })
    .await;
}

/// A backlog of several chunks.
#[tokio::test]
async fn a_backlog_comes_whole_and_in_order() {
    let project = Project::new().await;
    let receiver = Receiver::answering(Reply::status(200).after(Duration::from_millis(5))).await;
    ordered(&project, &receiver.url(), "endpoint").await;
    let mut ids = Vec::new();
    for from in [0, 40] {
        let events: Vec<Value> = (from..from + 40).map(event).collect();
        let answer = project.post("/events/batch", &json!({"events": events})).await.ok(200);
        ids.extend(answer["results"].as_array().expect("results").iter().flat_map(delivery_ids));
    }
    // They come one at a time, and a busy machine takes a while.
    let all = || async { (receiver.count() >= 80).then_some(()) };
    eventually("the backlog comes", 3 * PATIENCE, all).await;
    let requests = receiver.requests();
    assert_eq!(of(&requests), ids);
    assert!(numbers(&requests).into_iter().eq(1..=80));
}

#[tokio::test]
async fn order_is_checked_and_a_test_event_stands_outside() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    assert_eq!(endpoint.created["ordered"], Value::Null);
    for bad in [json!("customer"), json!(true), json!(""), json!(["endpoint"])] {
        let answer = project.api.patch(&endpoint.path(""), &json!({"ordered": bad})).await;
        answer.refuses_field("ordered");
    }
    endpoint.patch(&json!({"ordered": "customer_id"})).await;
    assert_eq!(endpoint.show().await["ordered"], "customer_id");
    let test = project.api.post_nothing(&endpoint.path("/test")).await.ok(202);
    assert_eq!(delivery_ids(&test).len(), 1);
    assert!(!receiver.first().await.headers.contains_key(SEQUENCE));
}

#[tokio::test]
async fn an_erased_payload_holds_its_stream_up_no_longer() {
    let (project, receiver) = (Project::new().await, Receiver::scripted([later()], Reply::status(200)).await);
    let endpoint = ordered(&project, &receiver.url(), "endpoint").await;
    let first = project.post_event(&event(1)).await;
    let second = emit(&project, [event(2)]).await.remove(0);
    let [held_up] = delivery_ids(&first).try_into().expect("one delivery");
    endpoint.attempted(&held_up, 1).await;
    let payload = project.path(&format!("/events/{}/payload", text(&first, "event_id")));
    assert_eq!(project.api.delete(&payload).await.status, 204);
    let erased_at = Instant::now();
    endpoint.ended(&second, "success").await;
    assert!(erased_at.elapsed() < Duration::from_secs(10), "the second waits for no retry of the first");
    let requests = receiver.received(2).await;
    assert_eq!((of(&requests), numbers(&requests)), (vec![held_up, second], vec![1, 2]));
}
