//! Receivers that misbehave: each one costs its own delivery a limited time and nothing else (contract §5, §6).

use std::time::{Duration, Instant};

use echo_tests::endpoint::Endpoint;
use echo_tests::hostile::{Behaviour, HostileReceiver};
use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape::text;
use echo_tests::stack::stack;
use echo_tests::time::{millis, now, timestamp};
use echo_tests::wait::bounded;
use serde_json::{Value, json};

/// How one attempt must look.
struct Expected {
    success: bool,
    status: Option<u16>,
    /// The attempt lasts until the deadline, and no longer.
    times_out: bool,
    /// The attempt has a message: its error, or the reason why its body is incomplete.
    has_message: bool,
}

const TIMEOUT: Expected = Expected { success: false, status: None, times_out: true, has_message: true };
const BROKEN: Expected = Expected { times_out: false, ..TIMEOUT };
const ANSWERED: Expected =
    Expected { success: true, status: Some(200), times_out: false, has_message: false };
/// The head of the answer decides, even if the body breaks off (contract §5).
const BROKEN_OFF: Expected = Expected { has_message: true, ..ANSWERED };

/// Makes one attempt, checks it, and checks that the service opened exactly one connection for it.
async fn attempt(behaviour: Behaviour, expected: Expected) -> Value {
    let (project, receiver) = (Project::new().await, HostileReceiver::start(behaviour).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let delivery = endpoint.attempted(&id, 1).await;
    if !expected.success {
        // One attempt is enough. The job of the next one wakes, finds the endpoint disabled and ends the delivery.
        endpoint.set_status("disabled").await;
    }
    let attempt = delivery["attempts"][0].clone();
    assert_eq!(attempt["success"], expected.success, "{behaviour:?}: {attempt}");
    assert_eq!(attempt["http_status"].as_u64(), expected.status.map(u64::from), "{behaviour:?}: {attempt}");
    if !expected.has_message {
        assert!(attempt["error_message"].is_null(), "{behaviour:?}: {attempt}");
    } else {
        let message = text(&attempt, "error_message");
        assert!(!message.is_empty() && !message.contains("127.0.0.1"), "{behaviour:?}: {attempt}");
    }
    let (took, timeout) =
        (attempt["duration_ms"].as_i64().expect("a number"), millis(stack().request_timeout()));
    if expected.times_out {
        assert!((timeout..timeout * 2).contains(&took), "{behaviour:?} took {took} ms: {attempt}");
    } else {
        assert!(took < timeout, "{behaviour:?} took {took} ms: {attempt}");
    }
    let ended = endpoint.ended(&id, if expected.success { "success" } else { "failed" }).await;
    let attempts = ended["attempt_count"].as_u64().expect("a number");
    assert_eq!(receiver.connections() as u64, attempts, "{behaviour:?}: connections and attempts differ");
    attempt
}

#[tokio::test]
async fn one_that_ignores_the_request_is_a_timeout() {
    attempt(Behaviour::IgnoresTheRequest, TIMEOUT).await;
}

#[tokio::test]
async fn one_that_never_answers_is_a_timeout() {
    attempt(Behaviour::NeverAnswers, TIMEOUT).await;
}

#[tokio::test]
async fn one_that_drips_its_head_is_a_timeout() {
    attempt(Behaviour::DripsTheHead, TIMEOUT).await;
}

#[tokio::test]
async fn one_that_drips_its_body_has_answered_at_the_deadline() {
    let attempt = attempt(Behaviour::DripsTheBody, Expected { times_out: true, ..BROKEN_OFF }).await;
    assert!(attempt["response_body"].as_str().is_none_or(|body| body.starts_with('a')), "{attempt}");
}

#[tokio::test]
async fn one_that_stalls_in_its_body_has_answered_at_the_deadline() {
    attempt(Behaviour::StallsInTheBody, Expected { times_out: true, ..BROKEN_OFF }).await;
}

#[tokio::test]
async fn one_that_drips_after_the_first_kib_has_answered() {
    let attempt = attempt(Behaviour::DripsAfterTwoKib, ANSWERED).await;
    assert_eq!(attempt["response_body"], "a".repeat(1024));
}

#[tokio::test]
async fn one_whose_body_never_ends_has_answered() {
    let attempt = attempt(Behaviour::EndlessBody, ANSWERED).await;
    assert_eq!(attempt["response_body"], "a".repeat(1024));
}

#[tokio::test]
async fn one_whose_headers_never_end_fails_before_the_deadline() {
    attempt(Behaviour::EndlessHeaders, BROKEN).await;
}

#[tokio::test]
async fn one_whose_interim_answers_never_end_is_ended_by_the_deadline() {
    attempt(Behaviour::EndlessInterim, TIMEOUT).await;
}

#[tokio::test]
async fn one_that_closes_at_once_fails() {
    attempt(Behaviour::ClosesAtOnce, BROKEN).await;
}

#[tokio::test]
async fn one_that_closes_without_an_answer_fails_after_one_request() {
    attempt(Behaviour::ClosesAfterTheRequest, BROKEN).await;
}

#[tokio::test]
async fn one_that_half_closes_fails() {
    attempt(Behaviour::HalfCloses, BROKEN).await;
}

#[tokio::test]
async fn one_that_breaks_off_its_body_has_answered() {
    let attempt = attempt(Behaviour::BreaksOffTheBody, BROKEN_OFF).await;
    assert!(attempt["response_body"].as_str().is_none_or(|body| body == "only this"), "{attempt}");
}

#[tokio::test]
async fn one_that_speaks_no_http_fails() {
    attempt(Behaviour::SpeaksNonsense, BROKEN).await;
}

#[tokio::test]
async fn one_with_an_impossible_length_fails() {
    attempt(Behaviour::ImpossibleLength, BROKEN).await;
}

#[tokio::test]
async fn one_that_answers_invalid_utf8_has_answered() {
    let attempt = attempt(Behaviour::InvalidUtf8, ANSWERED).await;
    let shown = text(&attempt, "response_body");
    assert!(shown.starts_with("ok\u{fffd}") && shown.contains("\u{fffd}ok"), "{attempt}");
}

#[tokio::test]
async fn one_that_claims_gzip_has_answered() {
    let attempt = attempt(Behaviour::ClaimsGzip, ANSWERED).await;
    assert_eq!(attempt["response_body"], "not gzip!");
}

/// The receiver may close a kept connection at the moment of the next request. The service does not count that as a
/// failure.
#[tokio::test]
async fn one_that_hangs_up_after_each_answer_gets_each_delivery_once() {
    let (project, receiver) =
        (Project::new().await, HostileReceiver::start(Behaviour::AnswersAndHangsUp).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let ids = bounded(4, (0..20).map(|_| project.emit_one())).await;
    for id in &ids {
        assert_eq!(endpoint.ended(id, "success").await["attempt_count"], 1);
    }
    assert_eq!(receiver.connections(), ids.len());
}

#[tokio::test]
async fn a_hanging_receiver_is_tried_as_often_as_any_other() {
    let (project, receiver) = (Project::new().await, HostileReceiver::start(Behaviour::NeverAnswers).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let attempts = stack().retry_delays().len() as u64 + 1;
    let recorded = endpoint.attempted(&id, 2).await;
    assert!(recorded["status"] == "retrying" || recorded["attempt_count"] == attempts, "{recorded}");
    let delivery = endpoint.attempted(&id, attempts).await;
    assert_eq!((&delivery["status"], &delivery["failure_reason"]), (&"failed".into(), &"exhausted".into()));
    assert_eq!(receiver.connections() as u64, attempts);
}

/// Twelve receivers hang at once, more than one batch holds. Deliveries to working receivers must not wait for them.
#[tokio::test]
async fn hanging_receivers_delay_no_one_else() {
    let (project, healthy) = (Project::new().await, Receiver::start().await);
    let hanging = HostileReceiver::start(Behaviour::NeverAnswers).await;
    let mut bad: Vec<Endpoint> = Vec::new();
    for _ in 0..12 {
        bad.push(project.endpoint_for(&hanging.url(), &["call.started"]).await);
    }
    let mut good: Vec<Endpoint> = Vec::new();
    for _ in 0..3 {
        good.push(project.endpoint(&healthy.url()).await);
    }
    let begun = Instant::now();
    // The first event goes to all endpoints, the second only to those of the working receiver.
    assert_eq!(project.emit("call.started").await.len(), 15);
    assert_eq!(project.emit("call.ended").await.len(), 3);
    healthy.received(6).await;
    let took = begun.elapsed();
    // Twelve timeouts one after the other would take more than half a minute.
    assert!(took < stack().request_timeout() * 6, "healthy receivers waited {took:?}");
    for endpoint in &bad {
        endpoint.set_status("disabled").await;
    }
    for endpoint in &good {
        endpoint.when("nothing failed", |shown| shown["consecutive_failures"] == 0).await;
    }
}

/// One event goes to many kinds of hostile receivers and to a few that work.
#[tokio::test]
async fn hostile_receivers_of_one_event_fail_alone() {
    let (project, healthy) = (Project::new().await, Receiver::start().await);
    let behaviours = [
        Behaviour::EndlessBody,
        Behaviour::EndlessHeaders,
        Behaviour::EndlessInterim,
        Behaviour::DripsTheHead,
        Behaviour::IgnoresTheRequest,
        Behaviour::NeverAnswers,
        Behaviour::DripsTheBody,
        Behaviour::StallsInTheBody,
        Behaviour::SpeaksNonsense,
        Behaviour::ClosesAtOnce,
        Behaviour::HalfCloses,
        Behaviour::InvalidUtf8,
    ];
    let mut hostile = Vec::new();
    for behaviour in behaviours {
        let receiver = HostileReceiver::start(behaviour).await;
        hostile.push((project.endpoint(&receiver.url()).await, receiver));
    }
    let (one, other) = (project.endpoint(&healthy.url()).await, project.endpoint(&healthy.url()).await);
    let begun = Instant::now();
    let ids = project.emit("call.ended").await;
    assert_eq!(ids.len(), behaviours.len() + 2);
    healthy.received(2).await;
    // Six of the hostile ones last until the deadline.
    let took = begun.elapsed();
    assert!(took < stack().request_timeout() * 4, "healthy receivers waited {took:?}");
    for endpoint in [one, other] {
        let listed = endpoint.deliveries("").await.ok(200);
        let id = text(&listed["data"][0], "id").to_owned();
        assert_eq!(endpoint.ended(&id, "success").await["attempt_count"], 1);
    }
    for (endpoint, _) in &hostile {
        let listed = endpoint.deliveries("").await.ok(200);
        let id = text(&listed["data"][0], "id").to_owned();
        let delivery = endpoint.attempted(&id, 1).await;
        let longest = stack().request_timeout() * 2;
        assert!(delivery["attempts"][0]["duration_ms"].as_i64() < Some(millis(longest)), "{delivery}");
        endpoint.set_status("disabled").await;
    }
}

/// The second attempt without an answer marks the endpoint as hanging. A test event that a caller asks for is tried at
/// once, and its answer removes the mark.
#[tokio::test]
async fn an_endpoint_that_does_not_answer_says_since_when_until_it_does() {
    let hangs = Reply::status(200).after(stack().request_timeout() * 2);
    let (project, receiver) = (Project::new().await, Receiver::answering(hangs).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    assert!(endpoint.created["hanging_since"].is_null(), "{}", endpoint.created);
    for _ in 0..2 {
        let id = project.emit_one().await;
        endpoint.attempted(&id, 1).await;
    }
    let shown = endpoint.when("the endpoint hangs", |shown| !shown["hanging_since"].is_null()).await;
    assert!(timestamp(&shown["hanging_since"]) <= now(), "{shown}");
    receiver.set(200);
    let accepted = project.api.post(&endpoint.path("/test"), &json!({})).await.ok(202);
    let began = Instant::now();
    endpoint.ended(&delivery_ids(&accepted)[0], "success").await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    endpoint.when("the endpoint answers again", |shown| shown["hanging_since"].is_null()).await;
}
