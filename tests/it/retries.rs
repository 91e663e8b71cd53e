//! When a failed delivery is tried again, and when it is not (contract §5).

use std::time::Duration;

use echo_tests::endpoint::Endpoint;
use echo_tests::project::Project;
use echo_tests::receiver::{Received, Receiver, Reply};
use echo_tests::shape::text;
use echo_tests::stack::stack;
use echo_tests::time::{millis, now, timestamp};
use echo_tests::wait::bounded;
use serde_json::{Value, json};

/// Allows for polling, for the queue's whole seconds and for a machine busy with other tests. These tests ask whether
/// a retry gets lost, not whether it comes late.
const LATE: Duration = Duration::from_secs(8);

/// Checks the gap between an answer and the next request: never early, and not later than jitter and `LATE` allow.
fn check_gap(before: &Received, after: &Received, delay: Duration) {
    let gap = after.at - before.answered_at.expect("an answer");
    assert!(gap >= millis(delay), "{gap} ms after the failure is early: {delay:?} were due");
    assert!(
        gap <= millis(delay.mul_f64(1.1) + LATE),
        "{gap} ms after the failure is late: {delay:?} were due"
    );
}

async fn set_up(receiver: &Receiver) -> (Project, Endpoint, String) {
    let project = Project::new().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    (project, endpoint, id)
}

/// How long after the end of the last attempt the next attempt is due, in milliseconds.
fn wait_shown(delivery: &Value) -> i64 {
    let attempt = delivery["attempts"].as_array().and_then(|all| all.last()).expect("an attempt");
    let over = timestamp(&attempt["created_at"]) + attempt["duration_ms"].as_i64().expect("a number");
    timestamp(&delivery["next_retry_at"]) - over
}

#[tokio::test]
async fn a_failing_delivery_is_retried_on_schedule_and_then_exhausted() {
    let receiver = Receiver::answering(500).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    let delays = stack().retry_delays();
    let delivery = endpoint.ended(&id, "failed").await;
    assert_eq!(delivery["failure_reason"], "exhausted");
    assert_eq!(delivery["attempt_count"], delays.len() + 1);
    assert!(delivery["next_retry_at"].is_null());
    assert!(
        delivery["attempts"].as_array().expect("attempts").iter().all(|each| each["triggered_by"] == "auto")
    );

    let requests = receiver.requests();
    for (index, delay) in delays.iter().enumerate() {
        check_gap(&requests[index], &requests[index + 1], *delay);
    }
    receiver.no_more_than(delays.len() + 1, Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_next_attempt_is_announced_for_when_it_is_due() {
    let receiver = Receiver::answering(500).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    for (index, delay) in stack().retry_delays().into_iter().enumerate() {
        let attempts = u64::try_from(index + 1).expect("small");
        let delivery = endpoint.attempted(&id, attempts).await;
        // If the machine stood still for a while, the next attempt may be over already.
        if delivery["attempt_count"] == attempts {
            let wait = wait_shown(&delivery);
            // The time that recording the attempt takes comes on top of the jitter.
            let latest = millis(delay.mul_f64(1.1)) + 1_000;
            assert!((millis(delay)..=latest).contains(&wait), "due after {wait} ms: {delivery}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_recovers_gets_it_once_more_and_no_more() {
    let receiver = Receiver::scripted([500, 502], 200).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    let delivery = endpoint.ended(&id, "success").await;
    let statuses: Vec<&Value> =
        delivery["attempts"].as_array().expect("attempts").iter().map(|each| &each["http_status"]).collect();
    assert_eq!(statuses, [500, 502, 200]);
    assert!(delivery["failure_reason"].is_null() && delivery["next_retry_at"].is_null());
    receiver.no_more_than(3, Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_timeout_is_a_failure_and_is_retried() {
    let timeout = stack().request_timeout();
    let late = Reply::status(200).after(timeout + Duration::from_secs(2));
    let receiver = Receiver::scripted([late], 200).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    let delivery = endpoint.ended(&id, "success").await;
    assert_eq!(delivery["attempt_count"], 2);
    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["success"], false);
    assert!(attempt["http_status"].is_null() && attempt["response_body"].is_null(), "{attempt}");
    assert!(!text(attempt, "error_message").is_empty());
    let took = attempt["duration_ms"].as_i64().expect("a number");
    assert!((millis(timeout)..millis(timeout) * 2).contains(&took), "{took} ms");
}

#[tokio::test]
async fn a_slow_answer_within_the_timeout_is_a_success() {
    let slow = Reply::status(200).after(stack().request_timeout() - Duration::from_millis(1_500));
    let receiver = Receiver::answering(slow).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    assert_eq!(endpoint.ended(&id, "success").await["attempt_count"], 1);
}

#[tokio::test]
async fn retry_after_in_seconds_is_honoured_where_it_asks_for_longer() {
    for status in [429, 503] {
        let receiver = Receiver::scripted([Reply::status(status).header("retry-after", "4")], 200).await;
        let (_project, endpoint, id) = set_up(&receiver).await;
        endpoint.ended(&id, "success").await;
        let requests = receiver.requests();
        check_gap(&requests[0], &requests[1], Duration::from_secs(4));
    }
}

#[tokio::test]
async fn retry_after_as_a_date_is_honoured_where_it_asks_for_longer() {
    for status in [429, 503] {
        let receiver = Receiver::choosing(move |request| {
            if request.header("x-echo-attempt") == "1" {
                // The format has whole seconds only: the date is 5 to 6 s ahead, cut to the second.
                let date =
                    std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(now() + 6_000).unwrap_or(0));
                Reply::status(status).header("retry-after", httpdate(date))
            } else {
                Reply::status(200)
            }
        })
        .await;
        let (_project, endpoint, id) = set_up(&receiver).await;
        endpoint.ended(&id, "success").await;
        let requests = receiver.requests();
        let asked = (requests[0].at / 1_000 + 5) * 1_000;
        assert!(requests[1].at >= asked, "{} ms before the date", asked - requests[1].at);
        check_gap(&requests[0], &requests[1], Duration::from_millis(4_900));
    }
}

fn httpdate(moment: std::time::SystemTime) -> String {
    httpdate::fmt_http_date(moment)
}

#[tokio::test]
async fn retry_after_never_makes_a_retry_earlier() {
    for value in ["0", "1", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let script = [Reply::status(500), Reply::status(503).header("retry-after", value)];
        let receiver = Receiver::scripted(script, 200).await;
        let (_project, endpoint, id) = set_up(&receiver).await;
        endpoint.ended(&id, "success").await;
        let requests = receiver.requests();
        check_gap(&requests[1], &requests[2], stack().retry_delays()[1]);
    }
}

#[tokio::test]
async fn retry_after_counts_with_429_and_503_only_and_nonsense_does_not_count() {
    let cases =
        [(500, "600"), (400, "600"), (302, "600"), (503, "soon"), (503, "-600"), (503, "1e3"), (503, "")];
    let one = |(status, value): (u16, &'static str)| async move {
        let receiver = Receiver::scripted([Reply::status(status).header("retry-after", value)], 200).await;
        let (_project, endpoint, id) = set_up(&receiver).await;
        endpoint.ended(&id, "success").await;
        let requests = receiver.requests();
        check_gap(&requests[0], &requests[1], stack().retry_delays()[0]);
    };
    bounded(4, cases.map(one)).await;
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_an_hour() {
    for value in ["86400", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let receiver = Receiver::answering(Reply::status(503).header("retry-after", value)).await;
        let (_project, endpoint, id) = set_up(&receiver).await;
        let delivery = endpoint.attempted(&id, 1).await;
        assert_eq!(delivery["status"], "retrying", "{value}: {delivery}");
        let wait = wait_shown(&delivery);
        assert!((3_600_000..=3_965_000).contains(&wait), "{value}: due after {wait} ms");
        // With the endpoint deleted, the job that wakes in an hour makes no request.
        endpoint.delete().await;
    }
}

#[tokio::test]
async fn the_longest_of_several_waits_counts() {
    let receiver = Receiver::answering(Reply::status(429).header("retry-after", "5, 600, soon")).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    let delivery = endpoint.attempted(&id, 1).await;
    let wait = wait_shown(&delivery);
    assert!((600_000..=665_000).contains(&wait), "due after {wait} ms: {delivery}");
    endpoint.delete().await;
}

#[tokio::test]
async fn retry_after_does_not_add_an_attempt() {
    let receiver = Receiver::answering(Reply::status(503).header("retry-after", "1")).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    let delivery = endpoint.ended(&id, "failed").await;
    assert_eq!(delivery["attempt_count"], stack().retry_delays().len() + 1);
    assert_eq!(delivery["failure_reason"], "exhausted");
}

#[tokio::test]
async fn gone_fails_the_delivery_at_once_and_disables_the_endpoint() {
    let receiver = Receiver::answering(410).await;
    let (project, endpoint, id) = set_up(&receiver).await;
    let delivery = endpoint.ended(&id, "failed").await;
    assert_eq!(delivery["failure_reason"], "gone");
    assert_eq!(delivery["attempt_count"], 1);
    assert_eq!(delivery["attempts"][0]["http_status"], 410);
    let shown = endpoint.when("the endpoint is disabled", |shown| shown["status"] == "disabled").await;
    assert_eq!(shown["consecutive_failures"], 1);
    assert_eq!(shown["disabled_reason"], "gone");
    assert_eq!(project.post_event(&json!({"event_name": "call.ended"})).await["deliveries"], json!([]));
    receiver.no_more_than(1, Duration::from_secs(4)).await;
}

#[tokio::test]
async fn gone_on_a_retry_ends_it_too() {
    let receiver = Receiver::scripted([500], 410).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    let delivery = endpoint.ended(&id, "failed").await;
    assert_eq!((&delivery["failure_reason"], &delivery["attempt_count"]), (&json!("gone"), &json!(2)));
    endpoint.when("the endpoint is disabled", |shown| shown["status"] == "disabled").await;
}

#[tokio::test]
async fn gone_by_hand_disables_the_endpoint_too_and_counts_nothing() {
    let receiver = Receiver::scripted([200], 410).await;
    let (_project, endpoint, id) = set_up(&receiver).await;
    endpoint.ended(&id, "success").await;
    assert_eq!(endpoint.retry(&id).await.status, 202);
    assert_eq!(endpoint.ended(&id, "failed").await["attempt_count"], 2);
    let shown = endpoint.when("the endpoint is disabled", |shown| shown["status"] == "disabled").await;
    assert_eq!(shown["consecutive_failures"], 0, "manual failures add nothing");
}
