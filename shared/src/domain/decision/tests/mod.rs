use super::*;
use crate::attempt::{BodyFault, Missing, SendFailure};
use crate::delivery::DeliveryStatus;
use crate::event::{Event, EventContent};
use crate::event_name::EventName;
use crate::id::{EndpointId, EventId, ProjectId};
use crate::job::Chain;
use crate::notice::Kind;
use crate::operational::notice;
use crate::rate_limit::{RateLimit, Slot};
use crate::route::Routes;
use crate::shards::Shards;

mod given_up;
mod next;

const TIMEOUT: Duration = Duration::from_secs(15);
const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);

fn at(seconds: u64) -> Timestamp {
    T0.plus(Duration::from_secs(seconds))
}

fn fixture() -> (Delivery, Endpoint, DeliveryJob) {
    let name = EventName::from_stored("call.ended");
    let project_id = ProjectId::new(T0);
    let (id, url) = (EndpointId::new(T0), "https://example.com".to_owned());
    let names = vec![name.clone().into()];
    let endpoint = Endpoint::new(project_id, id, Shards::ONE, url, names, vec![1].into(), T0);
    let content = EventContent {
        name,
        customer_id: None,
        notification_id: None,
        data: serde_json::from_str("{}").expect("JSON"),
    };
    let month = Duration::from_secs(30 * 86_400);
    let event = Event::accept(project_id, EventId::new(T0), &content, &Routes::to(&endpoint), T0, month);
    let listed = event.deliveries[0];
    let job = event.first_job(&listed);
    (Delivery::pending(&event, &listed), endpoint, job)
}

/// An attempt at an endpoint that does not hang.
const fn attempt(number: u32, claim: bool, need: Need) -> Wake {
    Wake::Attempt { number, claim, need, probe: None }
}

#[test]
fn a_pending_delivery_is_attempted_at_once_by_its_own_job() {
    let (delivery, endpoint, job) = fixture();
    let wake = on_wake(&delivery, Some(&endpoint), &job, Lane::FirstAttempts, T0, TIMEOUT);
    assert_eq!(wake, attempt(1, false, Need::Nothing));
}

#[test]
fn a_job_that_comes_late_claims_its_turn_first() {
    let (delivery, endpoint, job) = fixture();
    let wake = |now| on_wake(&delivery, Some(&endpoint), &job, Lane::FirstAttempts, now, TIMEOUT);
    assert_eq!(wake(at(17)), attempt(1, false, Need::Nothing));
    assert_eq!(wake(at(18)), attempt(1, true, Need::Nothing));
}

#[test]
fn a_copy_stands_back_and_then_stands_in() {
    let (delivery, endpoint, job) = fixture();
    let copy = DeliveryJob { chain: Some(Chain::new()), ..job };
    let wake = |now| on_wake(&delivery, Some(&endpoint), &copy, Lane::FirstAttempts, now, TIMEOUT);
    assert_eq!(wake(at(0)), Wake::NotYet { until: at(35) });
    assert_eq!(wake(at(35)), attempt(1, true, Need::Nothing));
}

#[test]
fn a_copy_stands_back_from_the_last_change_of_the_row() {
    let (mut delivery, endpoint, job) = fixture();
    delivery.updated_at = at(100);
    let copy = DeliveryJob { chain: Some(Chain::new()), ..job };
    let wake = on_wake(&delivery, Some(&endpoint), &copy, Lane::Retries, at(101), TIMEOUT);
    assert_eq!(wake, Wake::NotYet { until: at(135) });
}

#[test]
fn a_retry_is_never_early_and_belongs_to_the_chain_on_the_row() {
    let (mut delivery, endpoint, job) = fixture();
    delivery.status = DeliveryStatus::Retrying;
    delivery.attempt_count = 1;
    delivery.next_retry_at = Some(at(60));
    delivery.chain = Some(Chain::new());
    let successor = DeliveryJob { chain: delivery.chain, ..job.clone() };
    let wake = |job, now| on_wake(&delivery, Some(&endpoint), job, Lane::Retries, now, TIMEOUT);
    assert_eq!(wake(&successor, at(59)), Wake::NotYet { until: at(60) });
    assert_eq!(wake(&successor, at(60)), attempt(2, false, Need::Nothing));
    assert_eq!(wake(&job, at(60)), Wake::NotYet { until: at(95) });
    assert_eq!(wake(&job, at(95)), attempt(2, true, Need::Nothing));
}

#[test]
fn a_finished_delivery_is_left_alone() {
    let (mut delivery, endpoint, job) = fixture();
    for status in [DeliveryStatus::Success, DeliveryStatus::Failed] {
        delivery.status = status;
        let wake = on_wake(&delivery, Some(&endpoint), &job, Lane::FirstAttempts, at(1_000), TIMEOUT);
        assert_eq!(wake, Wake::Finished);
    }
    delivery.uncounted = true;
    let wake = on_wake(&delivery, Some(&endpoint), &job, Lane::FirstAttempts, at(1_000), TIMEOUT);
    assert_eq!(wake, Wake::TellOfEnd);
    let untold = notice(Kind::DeliveryFailed, &delivery, Some(&endpoint), "calls").expect("JSON");
    (delivery.uncounted, delivery.untold) = (false, vec![untold]);
    let wake = on_wake(&delivery, Some(&endpoint), &job, Lane::FirstAttempts, at(1_000), TIMEOUT);
    assert_eq!(wake, Wake::TellOfEnd);
}

#[test]
fn a_manual_job_waits_for_its_row_and_then_gives_up() {
    let (mut delivery, endpoint, job) = fixture();
    delivery.status = DeliveryStatus::Failed;
    let chain = Some(Chain::new());
    let manual = DeliveryJob { chain, manual_at: Some(at(0)), ..job };
    let wake = |delivery: &Delivery, now| {
        on_wake(delivery, Some(&endpoint), &manual, Lane::FirstAttempts, now, TIMEOUT)
    };
    assert_eq!(wake(&delivery, at(1)), Wake::NotYet { until: at(3) });
    assert_eq!(wake(&delivery, at(60)), Wake::Finished);
    delivery.status = DeliveryStatus::Pending;
    delivery.triggered_by = Trigger::Manual;
    delivery.attempt_count = 4;
    delivery.chain = chain;
    assert_eq!(wake(&delivery, at(1)), attempt(5, false, Need::Nothing));
}

#[test]
fn a_disabled_or_deleted_endpoint_ends_what_waits() {
    let (delivery, mut endpoint, job) = fixture();
    let deleted = on_wake(&delivery, None, &job, Lane::FirstAttempts, T0, TIMEOUT);
    assert_eq!(deleted, Wake::End { reason: FailureReason::EndpointDeleted });
    endpoint.status = EndpointStatus::Disabled;
    let disabled = on_wake(&delivery, Some(&endpoint), &job, Lane::FirstAttempts, T0, TIMEOUT);
    assert_eq!(disabled, Wake::End { reason: FailureReason::EndpointDisabled });
}

#[test]
fn a_slow_endpoint_is_served_by_the_slow_lane() {
    let (delivery, mut endpoint, job) = fixture();
    endpoint.state.slow_until = Some(at(300));
    let wake = |lane, now| on_wake(&delivery, Some(&endpoint), &job, lane, now, TIMEOUT);
    for lane in [Lane::FirstAttempts, Lane::Retries] {
        assert_eq!(wake(lane, at(1)), Wake::MoveToSlowLane { claim: false });
        assert_eq!(wake(lane, at(300)), attempt(1, true, Need::Nothing));
    }
    assert_eq!(wake(Lane::Slow, at(1)), attempt(1, false, Need::Nothing));
}

#[test]
fn an_endpoint_that_hangs_gets_a_probe_now_and_then_and_the_rest_waits() {
    let (mut delivery, mut endpoint, mut job) = fixture();
    endpoint.state.rate_limit = Some(RateLimit { per_second: 5, since: T0 });
    (endpoint.state.hanging_since, endpoint.state.hanging_tried_at) = (Some(T0), Some(at(80)));
    let probe = Some(Hanging { since: T0, tried_at: at(80) });
    let probing = |number| Wake::Attempt { number, claim: true, need: Need::Nothing, probe };
    let wake = |delivery: &Delivery, job: &DeliveryJob, lane, now| {
        on_wake(delivery, Some(&endpoint), job, lane, now, TIMEOUT)
    };
    assert_eq!(wake(&delivery, &job, Lane::FirstAttempts, at(90)), Wake::MoveToSlowLane { claim: true });
    let waits = |until| Wake::WaitForProbe { until, claim: true };
    assert_eq!(wake(&delivery, &job, Lane::Slow, at(90)), waits(at(180)));
    assert_eq!(wake(&delivery, &job, Lane::Slow, at(160)), probing(1));
    delivery.attempt_count = 1;
    assert_eq!(wake(&delivery, &job, Lane::Slow, at(99)), waits(at(198)));
    assert_eq!(wake(&delivery, &job, Lane::Slow, at(100)), probing(2));
    job.by_hand = true;
    assert_eq!(wake(&delivery, &job, Lane::Slow, at(99)), waits(at(198)));
    delivery.triggered_by = Trigger::Manual;
    assert_eq!(wake(&delivery, &job, Lane::Slow, at(81)), probing(2));
}

#[test]
fn a_limited_endpoints_attempt_takes_a_slot_and_waits_for_it() {
    let (mut delivery, mut endpoint, job) = fixture();
    let wake = |delivery: &Delivery, endpoint: &Endpoint, now| {
        on_wake(delivery, Some(endpoint), &job, Lane::Retries, now, TIMEOUT)
    };
    endpoint.state.rate_limit = Some(RateLimit { per_second: 5, since: T0 });
    assert_eq!(wake(&delivery, &endpoint, T0), attempt(1, false, Need::Slot));
    delivery.slot = Some(Slot { at: at(100), limit_since: T0 });
    assert_eq!(wake(&delivery, &endpoint, at(99)), Wake::NotYet { until: at(100) });
    assert_eq!(wake(&delivery, &endpoint, at(100)), attempt(1, false, Need::Nothing));
    assert_eq!(wake(&delivery, &endpoint, at(102)), attempt(1, false, Need::Nothing));
    assert_eq!(wake(&delivery, &endpoint, at(103)), attempt(1, false, Need::LateSlot));
    endpoint.state.rate_limit = Some(RateLimit { per_second: 500, since: at(1) });
    assert_eq!(wake(&delivery, &endpoint, at(100)), attempt(1, false, Need::Slot), "a slot of another limit");
    endpoint.state.rate_limit = None;
    assert_eq!(wake(&delivery, &endpoint, at(110)), attempt(1, false, Need::Nothing), "no limit any more");
}

#[test]
fn a_copy_stands_back_from_the_slot_that_is_waited_for() {
    let (mut delivery, mut endpoint, job) = fixture();
    endpoint.state.rate_limit = Some(RateLimit { per_second: 5, since: T0 });
    delivery.chain = Some(Chain::new());
    delivery.slot = Some(Slot { at: at(1_000), limit_since: T0 });
    let wake = |now| on_wake(&delivery, Some(&endpoint), &job, Lane::FirstAttempts, now, TIMEOUT);
    assert_eq!(wake(at(500)), Wake::NotYet { until: at(1_035) });
    assert_eq!(wake(at(1_035)), attempt(1, true, Need::LateSlot));
}

#[test]
fn a_slot_makes_no_retry_early() {
    let (mut delivery, mut endpoint, job) = fixture();
    endpoint.state.rate_limit = Some(RateLimit { per_second: 5, since: T0 });
    delivery.status = DeliveryStatus::Retrying;
    delivery.next_retry_at = Some(at(60));
    delivery.slot = Some(Slot { at: at(50), limit_since: T0 });
    let wake = |now| on_wake(&delivery, Some(&endpoint), &job, Lane::Retries, now, TIMEOUT);
    assert_eq!(wake(at(50)), Wake::NotYet { until: at(60) });
}

fn answered(status: u16, retry_after: Option<u64>) -> Outcome {
    ended(status, retry_after, None)
}

fn broken_off(status: u16, retry_after: Option<u64>) -> Outcome {
    ended(status, retry_after, Some(BodyFault::CutShort))
}

fn ended(status: u16, retry_after: Option<u64>, broken_off: Option<BodyFault>) -> Outcome {
    let retry_after = retry_after.map(Duration::from_secs);
    Outcome::Answered {
        status,
        body: String::new(),
        truncated: false,
        location: None,
        retry_after,
        broken_off,
    }
}

#[test]
fn outcomes_lead_where_the_contract_says() {
    let schedule = RetrySchedule::parse("60,300,1800").expect("the default");
    let timeout = Outcome::Failed { cause: SendFailure::TimedOut { missing: Missing::Answer, seconds: 15 } };
    let exhausted = Step::Failed(FailureReason::Exhausted);
    let cases = [
        (1, Trigger::Auto, answered(200, None), Step::Succeeded),
        (4, Trigger::Auto, answered(299, None), Step::Succeeded),
        (5, Trigger::Manual, answered(204, None), Step::Succeeded),
        (1, Trigger::Auto, answered(301, None), Step::RetryAt(at(60))),
        (2, Trigger::Auto, answered(404, None), Step::RetryAt(at(300))),
        (3, Trigger::Auto, timeout.clone(), Step::RetryAt(at(1_800))),
        (4, Trigger::Auto, timeout, exhausted),
        (1, Trigger::Auto, answered(410, None), Step::Failed(FailureReason::Gone)),
        (5, Trigger::Manual, answered(500, None), exhausted),
        // The head decides, even if the body broke off.
        (1, Trigger::Auto, broken_off(200, None), Step::Succeeded),
        (1, Trigger::Auto, broken_off(410, None), Step::Failed(FailureReason::Gone)),
        (1, Trigger::Auto, broken_off(503, Some(90)), Step::RetryAt(at(90))),
        // `retry-after` counts where it asks for longer, up to an hour, and only with 429 and 503.
        (1, Trigger::Auto, answered(429, Some(90)), Step::RetryAt(at(90))),
        (1, Trigger::Auto, answered(503, Some(10)), Step::RetryAt(at(60))),
        (1, Trigger::Auto, answered(503, Some(86_400)), Step::RetryAt(at(3_600))),
        (3, Trigger::Auto, answered(429, Some(900)), Step::RetryAt(at(1_800))),
        (1, Trigger::Auto, answered(500, Some(900)), Step::RetryAt(at(60))),
        (4, Trigger::Auto, answered(429, Some(90)), exhausted),
    ];
    for (number, trigger, outcome, expected) in cases {
        let step = after_attempt(number, trigger, &outcome, &schedule, T0, 0.0);
        assert_eq!(step, expected, "attempt {number} {trigger:?} {outcome:?}");
    }
}

#[test]
fn only_automatic_exhaustion_and_gone_count_against_health() {
    let counted = [(FailureReason::Exhausted, Trigger::Auto), (FailureReason::Gone, Trigger::Auto)];
    for reason in [
        FailureReason::Exhausted,
        FailureReason::Gone,
        FailureReason::EndpointDisabled,
        FailureReason::EndpointDeleted,
        FailureReason::Internal,
    ] {
        for trigger in [Trigger::Auto, Trigger::Manual] {
            let expected = counted.contains(&(reason, trigger));
            assert_eq!(counts_against_health(reason, trigger), expected, "{reason:?} {trigger:?}");
        }
    }
}

#[test]
fn a_job_that_comes_before_its_events_row_looks_again_until_no_acceptance_can_be_at_work() {
    let (delivery, _, job) = fixture();
    let api_timeout = Duration::from_secs(15);
    let decide = |delivery, now| without_event(&job, delivery, now, api_timeout);
    let again = |at| WithoutEvent::LookAgain { at };
    let millis = |millis| T0.plus(Duration::from_millis(millis));
    for row in [None, Some(&delivery)] {
        // At once for a job that is early by milliseconds, and ever more rarely.
        assert_eq!(decide(row, T0), again(millis(50)));
        assert_eq!(decide(row, millis(400)), again(millis(800)));
        assert_eq!(decide(row, at(20)), again(at(40)));
        assert_eq!(decide(row, at(119)), again(at(149)));
        // The api's clock may be ahead.
        assert_eq!(
            decide(row, T0.minus(Duration::from_secs(30))),
            again(millis(50).minus(Duration::from_secs(30)))
        );
    }
    assert_eq!(decide(None, at(120)), WithoutEvent::Gone);
    assert_eq!(decide(Some(&delivery), at(120)), WithoutEvent::NeverAccepted);
    let tried = Delivery { attempt_count: 1, ..delivery.clone() };
    assert_eq!(decide(Some(&tried), T0), WithoutEvent::Lost);
}
