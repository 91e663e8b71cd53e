//! Retrying an ended delivery by hand (contract §6).

use std::time::Duration;

use echo_tests::api::Answer;
use echo_tests::endpoint::Endpoint;
use echo_tests::project::Project;
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape::fields;
use echo_tests::stack::stack;
use echo_tests::wait::at_once;
use serde_json::Value;

/// The answer to an accepted retry is the delivery, pending again.
fn check_accepted(answer: &Answer, id: &str) -> Value {
    let mut delivery = answer.ok(202);
    // The answer may show the attempts or leave them out: the contract only says "the delivery".
    let attempts = delivery.as_object_mut().and_then(|object| object.remove("attempts"));
    echo_tests::shape::delivery(&delivery);
    assert_eq!(delivery["id"], id);
    assert_eq!(delivery["status"], "pending");
    if let Some(attempts) = attempts {
        assert_eq!(
            attempts.as_array().map(Vec::len),
            delivery["attempt_count"].as_u64().map(|count| count as usize)
        );
    }
    delivery
}

/// A delivery that has used up its automatic attempts.
async fn exhausted(receiver: &Receiver) -> (Project, Endpoint, String) {
    let project = Project::new().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "failed").await;
    (project, endpoint, id)
}

async fn delivered(receiver: &Receiver) -> (Project, Endpoint, String) {
    let project = Project::new().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
    (project, endpoint, id)
}

#[tokio::test]
async fn a_failed_delivery_is_tried_once_more_and_numbers_go_on() {
    let receiver = Receiver::answering(500).await;
    let (_project, endpoint, id) = exhausted(&receiver).await;
    let automatic = stack().retry_delays().len() + 1;

    let pending = check_accepted(&endpoint.retry(&id).await, &id);
    assert_eq!(pending["attempt_count"], automatic);
    let failed = endpoint.attempted(&id, u64::try_from(automatic + 1).expect("small")).await;
    assert_eq!(failed["status"], "failed", "a failed manual attempt leaves the delivery failed");
    let attempt = &failed["attempts"][automatic];
    assert_eq!(attempt["triggered_by"], "manual");
    assert_eq!(attempt["attempt_number"], automatic + 1);
    receiver.no_more_than(automatic + 1, Duration::from_secs(4)).await;

    receiver.set(200);
    check_accepted(&endpoint.retry(&id).await, &id);
    let success = endpoint.ended(&id, "success").await;
    assert_eq!(success["attempt_count"], automatic + 2);
    let requests = receiver.requests();
    let last = requests.last().expect("a request");
    assert_eq!(last.header("x-echo-attempt"), (automatic + 2).to_string());
    assert_eq!(
        (last.header("webhook-id"), &last.body),
        (requests[0].header("webhook-id"), &requests[0].body)
    );
}

#[tokio::test]
async fn a_success_can_be_sent_again() {
    let receiver = Receiver::start().await;
    let (_project, endpoint, id) = delivered(&receiver).await;
    check_accepted(&endpoint.retry(&id).await, &id);
    let again = endpoint.attempted(&id, 2).await;
    assert_eq!(again["status"], "success");
    assert_eq!(again["attempts"][1]["triggered_by"], "manual");
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn a_failed_manual_attempt_leaves_a_success_failed() {
    let receiver = Receiver::scripted([200], 500).await;
    let (_project, endpoint, id) = delivered(&receiver).await;
    check_accepted(&endpoint.retry(&id).await, &id);
    let failed = endpoint.attempted(&id, 2).await;
    assert_eq!(failed["status"], "failed");
    receiver.no_more_than(2, Duration::from_secs(4)).await;
}

#[tokio::test]
async fn a_delivery_that_still_runs_cannot_be_retried() {
    let project = Project::new().await;
    let hangs = Reply::status(500).after(stack().request_timeout() * 2);
    let receiver = Receiver::scripted([hangs], Reply::status(503).header("retry-after", "20")).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    receiver.first().await;
    assert_eq!(endpoint.delivery(&id).await["status"], "pending");
    endpoint.retry(&id).await.refused(409);
    // The answer to the second attempt asks the service to come back much later.
    let delivery = endpoint.attempted(&id, 2).await;
    assert_eq!(delivery["status"], "retrying");
    endpoint.retry(&id).await.refused(409);
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn a_delivery_that_is_pending_by_hand_cannot_be_retried_again() {
    let hangs = Reply::status(200).after(stack().request_timeout() * 2);
    let receiver = Receiver::scripted([Reply::status(200)], hangs).await;
    let (_project, endpoint, id) = delivered(&receiver).await;
    check_accepted(&endpoint.retry(&id).await, &id);
    endpoint.retry(&id).await.refused(409);
    receiver.received(2).await;
    endpoint.retry(&id).await.refused(409);
    let again = endpoint.attempted(&id, 2).await;
    assert_eq!(again["status"], "failed", "no answer came in time");
}

#[tokio::test]
async fn of_16_retries_at_once_one_is_made() {
    let receiver = Receiver::start().await;
    let (_project, endpoint, id) = delivered(&receiver).await;
    receiver.set(Reply::status(200).after(Duration::from_secs(2)));
    let answers = at_once(16, |_| endpoint.retry(&id)).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    for answer in refused {
        answer.refused(409);
    }
    // A request that comes late, when the manual attempt of another one has ended, is rightly accepted. Its answer then
    // has one attempt more.
    let mut before: Vec<u64> = accepted
        .iter()
        .map(|answer| check_accepted(answer, &id)["attempt_count"].as_u64().expect("a number"))
        .collect();
    before.sort_unstable();
    let attempts = 1 + accepted.len();
    assert!(attempts > 1, "no retry was accepted");
    assert_eq!(before, (1..attempts as u64).collect::<Vec<_>>(), "attempts before each accepted retry");
    let again = endpoint.attempted(&id, attempts as u64).await;
    assert_eq!(again["status"], "success");
    receiver.no_more_than(attempts, stack().request_timeout() * 2 + Duration::from_secs(8)).await;
    assert_eq!(endpoint.delivery(&id).await["attempt_count"], attempts);
}

#[tokio::test]
async fn a_delivery_to_a_disabled_endpoint_cannot_be_retried_until_it_is_active() {
    let receiver = Receiver::start().await;
    let (_project, endpoint, id) = delivered(&receiver).await;
    endpoint.set_status("disabled").await;
    endpoint.retry(&id).await.refused(409);
    assert_eq!(endpoint.delivery(&id).await["status"], "success", "the refused retry changed the delivery");
    endpoint.set_status("active").await;
    check_accepted(&endpoint.retry(&id).await, &id);
    endpoint.attempted(&id, 2).await;
}

#[tokio::test]
async fn a_manual_attempt_that_finds_its_endpoint_disabled_ends_failed() {
    let receiver = Receiver::start().await;
    let (_project, endpoint, id) = delivered(&receiver).await;
    // If the attempt starts before the change, the service makes it. The test then tries again.
    for attempts in 1..=10 {
        check_accepted(&endpoint.retry(&id).await, &id);
        endpoint.set_status("disabled").await;
        let ended = |delivery: &Value| delivery["status"] != "pending";
        let delivery = endpoint.delivery_when(&id, "it ends", ended).await;
        if delivery["status"] == "failed" {
            assert_eq!(delivery["failure_reason"], "endpoint_disabled");
            assert_eq!(delivery["attempt_count"], attempts, "no attempt is recorded for a request not made");
            return;
        }
        endpoint.set_status("active").await;
    }
    panic!("the endpoint was never disabled before the attempt");
}

#[tokio::test]
async fn a_retry_takes_the_url_and_secret_of_its_moment() {
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let (_project, endpoint, id) = delivered(&old).await;
    endpoint.patch(&serde_json::json!({"url": new.url()})).await;
    let secret = endpoint.rotate().await;
    check_accepted(&endpoint.retry(&id).await, &id);
    let request = new.first().await;
    assert_eq!(request.header("x-echo-signature"), echo_tests::signature::echo(&secret, &request.body));
    assert_eq!(request.header("x-echo-attempt"), "2");
    assert_eq!(old.count(), 1);
}

#[tokio::test]
async fn a_delivery_has_at_most_50_attempts() {
    let receiver = Receiver::start().await;
    let (_project, endpoint, id) = delivered(&receiver).await;
    for number in 2..=50 {
        check_accepted(&endpoint.retry(&id).await, &id);
        let delivery = endpoint.attempted(&id, number).await;
        assert_eq!(delivery["status"], "success");
    }
    endpoint.retry(&id).await.refused(409);
    let delivery = endpoint.delivery(&id).await;
    fields(
        &delivery["attempts"][49],
        &delivery["attempts"][0]
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    assert_eq!((delivery["attempt_count"].as_u64(), receiver.count()), (Some(50), 50));
    assert_eq!(delivery["status"], "success");
}
