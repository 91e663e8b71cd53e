//! An endpoint's consecutive failures, and their consequences (contract §7). This deployment disables an endpoint
//! as soon as it has had three of them.

use std::time::Duration;

use echo_tests::aws::set_number;
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::{Received, Receiver, Reply};
use echo_tests::stack::stack;
use echo_tests::time::{now, timestamp};
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

async fn set_up(receiver: &Receiver) -> (Project, Endpoint) {
    let project = Project::new().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    (project, endpoint)
}

/// Posts `count` events and waits until each delivery has used up its attempts.
async fn exhaust(project: &Project, endpoint: &Endpoint, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(project.emit_one().await);
    }
    for id in &ids {
        let delivery = endpoint.ended(id, "failed").await;
        assert_eq!(delivery["failure_reason"], "exhausted", "{delivery}");
    }
    ids
}

async fn failures_are(endpoint: &Endpoint, count: u64) -> Value {
    endpoint
        .when(&format!("consecutive_failures is {count}"), |shown| shown["consecutive_failures"] == count)
        .await
}

#[tokio::test]
async fn an_exhausted_delivery_counts_once_and_a_success_clears_the_count() {
    let receiver = Receiver::answering(500).await;
    let (project, endpoint) = set_up(&receiver).await;
    exhaust(&project, &endpoint, 1).await;
    assert_eq!(failures_are(&endpoint, 1).await["status"], "active");
    receiver.set(200);
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
    failures_are(&endpoint, 0).await;
}

#[tokio::test]
async fn attempts_that_fail_do_not_count_before_the_delivery_does() {
    let receiver = Receiver::scripted([500, 500, 500], 200).await;
    let (project, endpoint) = set_up(&receiver).await;
    let id = project.emit_one().await;
    endpoint.attempted(&id, 2).await;
    assert_eq!(endpoint.show().await["consecutive_failures"], 0);
    endpoint.ended(&id, "success").await;
    assert_eq!(endpoint.show().await["consecutive_failures"], 0);
}

#[tokio::test]
async fn enough_failures_in_a_row_disable_the_endpoint_with_reason_and_time() {
    let receiver = Receiver::answering(500).await;
    let (project, endpoint) = set_up(&receiver).await;
    assert!(endpoint.created["disabled_reason"].is_null() && endpoint.created["disabled_at"].is_null());
    let needed = usize::try_from(stack().disable_after_failures()).expect("small");
    let before = now();
    let ids = exhaust(&project, &endpoint, needed).await;
    let shown = endpoint.when("the endpoint is disabled", |shown| shown["status"] == "disabled").await;
    assert_eq!(shown["consecutive_failures"], needed);
    assert_eq!(shown["disabled_reason"], "consecutive_failures");
    assert!(endpoint.created["disables_at"].is_null() && shown["disables_at"].is_null());
    assert!((before..=now()).contains(&timestamp(&shown["disabled_at"])), "{shown}");

    assert_eq!(project.emit("call.ended").await.len(), 0, "a disabled endpoint gets no new deliveries");
    endpoint.retry(&ids[0]).await.refused(409);

    let active = endpoint.patch(&json!({"status": "active"})).await;
    assert_eq!(active["consecutive_failures"], 0);
    assert!(active["disabled_reason"].is_null() && active["disabled_at"].is_null(), "{active}");
    receiver.set(200);
    assert_eq!(endpoint.retry(&ids[0]).await.status, 202, "a failed delivery can be retried");
    endpoint.ended(&ids[0], "success").await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
}

#[tokio::test]
async fn enough_failures_disable_the_endpoint_although_clocks_differ() {
    let receiver = Receiver::answering(500).await;
    let (project, endpoint) = set_up(&receiver).await;
    exhaust(&project, &endpoint, 1).await;
    failures_are(&endpoint, 1).await;
    // As an instance writes it whose clock is a minute ahead. Two deliveries that fail at once have the same effect, if the later
    // one is counted first.
    set_number("EndpointsTable", ("id", &endpoint.id), "first_failure_at", now() + 60_000).await;
    let more = usize::try_from(stack().disable_after_failures() - 1).expect("small");
    exhaust(&project, &endpoint, more).await;
    endpoint.when("the endpoint is disabled", |shown| shown["status"] == "disabled").await;
}

#[tokio::test]
async fn failures_that_are_not_in_a_row_disable_nothing() {
    let receiver = Receiver::answering(500).await;
    let (project, endpoint) = set_up(&receiver).await;
    let almost = usize::try_from(stack().disable_after_failures() - 1).expect("small");
    exhaust(&project, &endpoint, almost).await;
    assert!(!failures_are(&endpoint, almost as u64).await["disables_at"].is_null(), "one more disables it");
    receiver.set(200);
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
    assert!(failures_are(&endpoint, 0).await["disables_at"].is_null());
    receiver.set(500);
    exhaust(&project, &endpoint, almost).await;
    assert_eq!(failures_are(&endpoint, almost as u64).await["status"], "active");
}

#[tokio::test]
async fn a_failed_manual_attempt_adds_nothing_and_a_successful_one_clears_the_count() {
    let receiver = Receiver::answering(500).await;
    let (project, endpoint) = set_up(&receiver).await;
    let ids = exhaust(&project, &endpoint, 1).await;
    failures_are(&endpoint, 1).await;
    let attempts = u64::try_from(stack().retry_delays().len() + 1).expect("small");
    for number in 1..=3 {
        assert_eq!(endpoint.retry(&ids[0]).await.status, 202);
        endpoint.attempted(&ids[0], attempts + number).await;
    }
    let shown = endpoint.show().await;
    assert_eq!((&shown["consecutive_failures"], &shown["status"]), (&json!(1), &json!("active")));
    receiver.set(200);
    assert_eq!(endpoint.retry(&ids[0]).await.status, 202);
    endpoint.ended(&ids[0], "success").await;
    failures_are(&endpoint, 0).await;
}

#[tokio::test]
async fn activating_clears_the_count_of_an_active_endpoint_too() {
    let receiver = Receiver::answering(500).await;
    let (project, endpoint) = set_up(&receiver).await;
    exhaust(&project, &endpoint, 1).await;
    failures_are(&endpoint, 1).await;
    assert_eq!(endpoint.patch(&json!({"status": "active"})).await["consecutive_failures"], 0);
    assert_eq!(endpoint.show().await["consecutive_failures"], 0);
}

#[tokio::test]
async fn a_delivery_waiting_for_a_disabled_endpoint_fails_at_its_next_wake_up() {
    let later = Reply::status(503).header("retry-after", "6");
    let receiver = Receiver::scripted([later], 200).await;
    let (project, endpoint) = set_up(&receiver).await;
    let id = project.emit_one().await;
    receiver.first().await;
    endpoint.set_status("disabled").await;
    let delivery = endpoint.ended(&id, "failed").await;
    assert_eq!(delivery["failure_reason"], "endpoint_disabled");
    assert_eq!(delivery["attempt_count"], 1);
    receiver.no_more_than(1, Duration::from_secs(3)).await;
    assert_eq!(endpoint.show().await["consecutive_failures"], 0, "the delivery adds no failure");

    endpoint.set_status("active").await;
    assert_eq!(endpoint.retry(&id).await.status, 202);
    assert_eq!(endpoint.ended(&id, "success").await["attempt_count"], 2);
}

#[tokio::test]
async fn a_delivery_goes_on_if_the_endpoint_is_active_again_by_its_next_wake_up() {
    let later = Reply::status(503).header("retry-after", "6");
    let receiver = Receiver::scripted([later], 200).await;
    let (project, endpoint) = set_up(&receiver).await;
    let id = project.emit_one().await;
    endpoint.attempted(&id, 1).await;
    endpoint.set_status("disabled").await;
    endpoint.set_status("active").await;
    assert_eq!(endpoint.ended(&id, "success").await["attempt_count"], 2);
}

#[tokio::test]
async fn a_delivery_waiting_for_a_deleted_endpoint_is_not_made() {
    let later = Reply::status(503).header("retry-after", "6");
    let receiver = Receiver::scripted([later], 200).await;
    let (project, endpoint) = set_up(&receiver).await;
    let event = json!({"event_id": Uuid::new_v4(), "event_name": "call.ended"});
    let accepted = project.post_event(&event).await;
    let id = delivery_ids(&accepted).remove(0);
    receiver.first().await;
    endpoint.delete().await;
    project.api.get(&endpoint.path(&format!("/deliveries/{id}"))).await.refused(404);
    endpoint.deliveries("").await.refused(404);
    endpoint.retry(&id).await.refused(404);
    receiver.no_more_than(1, Duration::from_secs(12)).await;
    let again = project.post_event(&event).await;
    assert_eq!(again["deliveries"], accepted["deliveries"], "the event still lists the delivery");
    receiver.no_more_than(1, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn one_endpoints_failures_are_not_anothers() {
    let (failing, working) = (Receiver::answering(500).await, Receiver::start().await);
    let project = Project::new().await;
    let bad = project.endpoint_for(&failing.url(), &["call.started"]).await;
    let good = project.endpoint_for(&working.url(), &["call.ended"]).await;
    let id = project.emit("call.started").await.remove(0);
    bad.ended(&id, "failed").await;
    failures_are(&bad, 1).await;
    assert_eq!(good.show().await["consecutive_failures"], 0);
    let id = project.emit_one().await;
    good.ended(&id, "success").await;
    assert_eq!(bad.show().await["consecutive_failures"], 1, "another endpoint's success clears no failure");
}

/// The order of completion decides: the success was under way when the earlier failure was counted.
#[tokio::test]
async fn a_success_that_completes_after_a_counted_failure_clears_it() {
    let answer = |request: &Received| match request.header("x-echo-event") {
        "call.started" => Reply::status(500),
        _ => Reply::status(200).after(Duration::from_millis(2_200)),
    };
    let receiver = Receiver::choosing(answer).await;
    let last = u64::try_from(stack().retry_delays().len()).expect("small");
    // The success must overlap the last failing attempt. Only the records tell whether it did, and a busy machine may
    // need some tries.
    for _ in 0..8 {
        let (project, endpoint) = set_up(&receiver).await;
        let failing = project.emit("call.started").await.remove(0);
        let waiting = endpoint.attempted(&failing, last).await;
        let due = timestamp(&waiting["next_retry_at"]);
        eventually("the last attempt is near", PATIENCE, || async { (now() > due - 700).then_some(()) })
            .await;
        let working = project.emit_one().await;
        let (failed, worked) =
            (endpoint.ended(&failing, "failed").await, endpoint.ended(&working, "success").await);
        let [failed_at, worked_at] = [&failed, &worked].map(|delivery| timestamp(&delivery["updated_at"]));
        let began_at = timestamp(&worked["attempts"][0]["created_at"]);
        // The failure is counted some calls after its record. If these take longer than here, the success finds no failure
        // to clear, and the test tries again.
        if began_at + 50 < failed_at
            && failed_at + 1_000 < worked_at
            && tokio::time::timeout(Duration::from_secs(10), failures_are(&endpoint, 0)).await.is_ok()
        {
            return;
        }
    }
    panic!("no success cleared a failure that was counted while the success was under way");
}
