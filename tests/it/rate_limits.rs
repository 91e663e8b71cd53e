//! A limit on an endpoint's requests in a second: deliveries beyond it wait, and nothing else does.

use std::collections::BTreeSet;
use std::time::Duration;

use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::{Received, Receiver, Reply};
use echo_tests::time::timestamp;
use echo_tests::wait::{PATIENCE, at_once, eventually};
use serde_json::{Value, json};

/// A slot may be used up to two seconds late, and the attempt takes some calls until its request is there. On a slow
/// machine these take up to two seconds too.
const LATE_MS: i64 = 4_000;

async fn limited(project: &Project, receiver: &Receiver, per_second: u32) -> Endpoint {
    let body = json!({"url": receiver.url(), "events": ["call.ended"], "rate_limit_per_second": per_second});
    let created = project.post("/webhooks", &body).await.ok(201);
    assert_eq!(created["rate_limit_per_second"], per_second);
    Endpoint::new(project, created)
}

/// Posts `count` events at the same time and gives the ids of their deliveries.
async fn emit(project: &Project, count: usize) -> Vec<String> {
    let event = json!({"event_name": "call.ended"});
    at_once(count, |_| project.post_event(&event)).await.iter().flat_map(delivery_ids).collect()
}

/// Checks that no stretch of time holds more requests than the limit allows, except for requests up to `LATE_MS` late.
#[track_caller]
fn keep_to(per_second: i64, mut times: Vec<i64>) {
    times.sort_unstable();
    for (first, begin) in times.iter().enumerate() {
        for (last, end) in times.iter().enumerate().skip(first + 1) {
            let slots = i64::try_from(last - first).expect("few");
            let least = slots * 1_000 / per_second - LATE_MS;
            assert!(end - begin >= least, "{slots} more in {} ms: {times:?}", end - begin);
        }
    }
}

fn times(receiver: &Receiver) -> Vec<i64> {
    receiver.requests().iter().map(|request| request.at).collect()
}

#[tokio::test]
async fn a_burst_is_spread_out_and_nothing_of_it_is_lost_or_tried_twice() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = limited(&project, &receiver, 5).await;
    let ids = emit(&project, 40).await;
    assert_eq!(ids.len(), 40);
    let last = eventually("a delivery waits for its slot", PATIENCE, || async {
        let page = endpoint.deliveries("?status=pending&limit=1").await.ok(200);
        page["data"].as_array().and_then(|page| page.first().cloned())
    })
    .await;
    assert_eq!((&last["attempt_count"], &last["next_retry_at"]), (&json!(0), &Value::Null));

    let requests = receiver.received(40).await;
    keep_to(5, times(&receiver));
    let reached: BTreeSet<&str> = requests.iter().map(|request| request.header("x-echo-delivery")).collect();
    assert_eq!(reached, ids.iter().map(String::as_str).collect());
    let mut attempted = Vec::new();
    for id in &ids {
        let delivery = endpoint.ended(id, "success").await;
        assert_eq!(delivery["attempt_count"], 1);
        attempted.push(timestamp(&delivery["attempts"][0]["created_at"]));
    }
    keep_to(5, attempted);
    assert_eq!(receiver.count(), 40);
    assert_eq!(endpoint.show().await["consecutive_failures"], 0);
}

#[tokio::test]
async fn a_limit_on_one_endpoint_does_not_hold_up_another() {
    let (project, slow, quick) = (Project::new().await, Receiver::start().await, Receiver::start().await);
    limited(&project, &slow, 1).await;
    project.endpoint_for(&quick.url(), &["call.ended"]).await;
    project.post_together(&vec![json!({"event_name": "call.ended"}); 20]).await;
    quick.received(20).await;
    // The endpoint with the limit needs 20 s.
    assert!(slow.count() < 17, "{} requests", slow.count());
}

#[tokio::test]
async fn a_change_of_the_limit_holds_from_then_on() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = limited(&project, &receiver, 1).await;
    emit(&project, 20).await;
    receiver.first().await;
    let removed = endpoint.patch(&json!({"rate_limit_per_second": null})).await;
    assert_eq!(removed["rate_limit_per_second"], Value::Null);
    let later = emit(&project, 5).await;
    for id in &later {
        endpoint.ended(id, "success").await;
    }
    assert!(receiver.count() < 25, "new deliveries do not queue behind waiting ones");

    // Deliveries that were put off under the old limit come no faster than the new limit allows.
    endpoint.patch(&json!({"rate_limit_per_second": 2})).await;
    receiver.received(25).await;
    let requests = receiver.requests();
    let is_later = |id: &str| later.iter().any(|later| later == id);
    let waited = requests.iter().filter(|request| !is_later(request.header("x-echo-delivery")));
    keep_to(2, waited.map(|request| request.at).collect());
    receiver.no_more_than(25, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn test_events_manual_retries_and_replays_keep_to_it_too() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = limited(&project, &receiver, 1).await;
    let test = endpoint.path("/test");
    let tests = at_once(9, |_| project.api.post_nothing(&test)).await;
    let ids: Vec<String> = tests.into_iter().flat_map(|test| delivery_ids(&test.ok(202))).collect();
    for id in &ids {
        endpoint.ended(id, "success").await;
    }
    keep_to(1, times(&receiver));

    for retried in at_once(9, |n| endpoint.retry(&ids[n])).await {
        let _ = retried.ok(202);
    }
    for id in &ids {
        let delivery = endpoint.attempted(id, 2).await;
        assert_eq!(delivery["attempts"][1]["triggered_by"], "manual");
    }
    keep_to(1, times(&receiver));

    let replay = json!({"since": "2020-01-01T00:00:00Z", "status": "success"});
    let _ = project.api.post(&endpoint.path("/replay"), &replay).await.ok(202);
    for id in &ids {
        let delivery = endpoint.attempted(id, 3).await;
        assert_eq!(delivery["attempt_count"], 3);
    }
    keep_to(1, times(&receiver));
}

#[tokio::test]
async fn retries_keep_to_it_too() {
    let first_fails = |request: &Received| {
        if request.header("x-echo-attempt") == "1" { Reply::status(500) } else { Reply::status(200) }
    };
    let (project, receiver) = (Project::new().await, Receiver::choosing(first_fails).await);
    let endpoint = limited(&project, &receiver, 2).await;
    let ids = emit(&project, 10).await;
    for id in &ids {
        let delivery = endpoint.ended(id, "success").await;
        assert_eq!(delivery["attempt_count"], 2, "{delivery}");
    }
    keep_to(2, times(&receiver));
}
