use super::*;
use crate::attempt::Attempt;
use crate::endpoint::EndpointState;
use crate::id::AttemptId;
use crate::transition::Transition;

const NEW: Chain = Chain::from_number(7);

/// A job as its lane's queue handed it out, for the first time and with room in the queue.
fn woken(job: &DeliveryJob, lane: Lane) -> Woken<'_> {
    Woken {
        job,
        lane,
        is_crowded: false,
        by_stream: false,
        receives: 1,
        request_timeout: TIMEOUT,
        next_chain: NEW,
    }
}

/// The job that another one sends on, as the decision names it.
fn sent_on(job: &DeliveryJob, waits_since: Option<Timestamp>, lane: Lane, at: Timestamp) -> Next {
    let job = DeliveryJob { chain: Some(NEW), manual_at: None, waits_since, ..job.clone() };
    Next::SendOn { job, lane, at, stands_in_at: at.plus(stand_back(TIMEOUT)) }
}

#[test]
fn a_waiting_job_hides_or_hops_where_hiding_is_no_longer_good() {
    let (delivery, _, job) = fixture();
    let copy = DeliveryJob { chain: Some(Chain::from_number(1)), ..job.clone() };
    let not_yet = Wake::NotYet { until: at(60) };
    let probe = |claim| Wake::WaitForProbe { until: at(60), claim };
    let hidden = (None, Next::HideUntil(at(60)));
    let named = |claim| Some(Write { transition: Transition::named(&delivery, Some(NEW), at(9)), claim });
    let passed_on = |job, claim| (named(claim), sent_on(job, Some(delivery.due_at()), Lane::Slow, at(60)));
    let cases = [
        (&job, false, 1, not_yet, hidden.clone()),
        (&job, false, 99, not_yet, hidden.clone()),
        (&job, false, 100, not_yet, passed_on(&job, false)),
        (&job, true, 1, not_yet, passed_on(&job, false)),
        // A copy must not take the attempt from the job that it stands back for.
        (&copy, true, 100, not_yet, hidden.clone()),
        (&job, false, 99, probe(true), hidden.clone()),
        (&job, true, 1, probe(true), passed_on(&job, true)),
        (&job, false, 100, probe(false), passed_on(&job, false)),
        (&copy, true, 1, probe(true), passed_on(&copy, true)),
    ];
    for (job, is_crowded, receives, wake, expected) in cases {
        let woken = Woken { is_crowded, receives, ..woken(job, Lane::Slow) };
        let decided = woken.without_attempt(&delivery, wake, at(9)).expect("no attempt");
        let context = format!("{:?} crowded {is_crowded} receives {receives} {wake:?}", job.chain);
        assert_eq!((decided.write, decided.next), expected, "{context}");
    }
}

#[test]
fn a_manual_job_that_waits_for_its_row_names_no_other() {
    let (mut delivery, _, job) = fixture();
    delivery.status = DeliveryStatus::Failed;
    let wake = Wake::NotYet { until: at(3) };
    let woken = Woken { is_crowded: true, receives: 100, ..woken(&job, Lane::Retries) };
    let decided = woken.without_attempt(&delivery, wake, at(1));
    assert_eq!(decided, Some(Decided { write: None, next: Next::HideUntil(at(3)) }));
}

#[test]
fn a_job_that_makes_no_attempt_ends_or_moves() {
    let (mut delivery, _, job) = fixture();
    delivery.next_retry_at = Some(at(2));
    delivery.slot = Some(Slot { at: at(4), limit_since: T0 });
    let decided = |wake| woken(&job, Lane::FirstAttempts).without_attempt(&delivery, wake, at(9));
    let finished = Some(Decided { write: None, next: Next::Finish });
    assert_eq!(decided(Wake::Finished), finished);
    assert_eq!(decided(Wake::TellOfEnd), finished);
    assert_eq!(decided(attempt(1, false, Need::Nothing)), None);

    for claim in [false, true] {
        let write = Write { transition: Transition::named(&delivery, Some(NEW), at(9)), claim };
        let next = sent_on(&job, Some(at(4)), Lane::Slow, at(9));
        assert_eq!(decided(Wake::MoveToSlowLane { claim }), Some(Decided { write: Some(write), next }));
    }

    assert!(delivery.payload.is_some());
    let ended = decided(Wake::EndUnaccepted).expect("no attempt");
    assert_eq!(ended.next, Next::Finish);
    let mut unaccepted = delivery.clone();
    ended.write.expect("a write").transition.apply(&mut unaccepted);
    assert_eq!(unaccepted.failure_reason, Some(FailureReason::Internal));
    assert!(unaccepted.payload.is_none(), "no erasure finds it, because there is no event's row");

    let ended = decided(Wake::End { reason: FailureReason::EndpointDeleted }).expect("no attempt");
    assert_eq!(ended.next, Next::Finish);
    let Write { transition, claim } = ended.write.expect("a write");
    transition.apply(&mut delivery);
    assert!(!claim && !delivery.uncounted && delivery.attempts.is_empty());
    assert_eq!(delivery.status, DeliveryStatus::Failed);
    assert_eq!(delivery.failure_reason, Some(FailureReason::EndpointDeleted));
    assert_eq!((delivery.next_retry_at, delivery.slot, delivery.updated_at), (None, None, at(9)));
}

#[test]
fn a_claim_gives_the_turn_to_the_job_that_makes_it() {
    let (mut delivery, _, job) = fixture();
    delivery.chain = Some(Chain::from_number(1));
    let copy = DeliveryJob { chain: Some(Chain::from_number(2)), ..job };
    let Write { transition, claim } = woken(&copy, Lane::Retries).claim(&delivery, at(9));
    assert!(claim, "another job may act meanwhile");
    let before = delivery.clone();
    transition.apply(&mut delivery);
    assert_eq!(delivery, Delivery { chain: copy.chain, updated_at: at(9), ..before });
}

#[test]
fn a_job_remembers_since_when_it_is_sent_on() {
    let (delivery, _, job) = fixture();
    let job = DeliveryJob { waits_since: Some(at(1)), manual_at: Some(at(1)), by_hand: true, ..job };
    let wake = Wake::MoveToSlowLane { claim: false };
    let decided = woken(&job, Lane::Retries).without_attempt(&delivery, wake, at(9)).expect("no attempt");
    let Next::SendOn { job: next, .. } = decided.next else { panic!("{:?}", decided.next) };
    assert_eq!(next, DeliveryJob { chain: Some(NEW), manual_at: None, ..job.clone() });
}

/// A stream's message goes on with the next delivery. A copy names no job, whatever its message is.
#[test]
fn no_delivery_waits_in_a_streams_message() {
    let (delivery, mut endpoint, job) = fixture();
    let copy = DeliveryJob { chain: Some(Chain::from_number(1)), ..job.clone() };
    let by_stream = |job| Woken { by_stream: true, ..woken(job, Lane::Slow) };
    let sent_on = |since| sent_on(&job, since, Lane::Slow, at(60));
    let (not_yet, probe) =
        (Wake::NotYet { until: at(60) }, Wake::WaitForProbe { until: at(60), claim: false });
    for wake in [not_yet, probe] {
        let decided = by_stream(&job).without_attempt(&delivery, wake, at(9));
        let write = Some(Transition::named(&delivery, Some(NEW), at(9)).into());
        let next = sent_on(Some(delivery.due_at()));
        assert_eq!(decided, Some(Decided { write, next }), "{wake:?}");
    }
    let decided = by_stream(&copy).without_attempt(&delivery, not_yet, at(9));
    assert_eq!(decided, Some(Decided { write: None, next: Next::HideUntil(at(60)) }));

    endpoint.state.slow_until = Some(at(100));
    let made = made(&answered(500, None), 50);
    let retried = by_stream(&job).conclude(&delivery, &endpoint, made, Step::RetryAt(at(60)), at(9));
    let slot = Slot { at: at(60), limit_since: T0 };
    let put_off = by_stream(&job).put_off(&delivery, &endpoint, slot, at(9));
    for Decided { write, next } in [retried, put_off] {
        let mut delivery = delivery.clone();
        write.expect("a write").transition.apply(&mut delivery);
        assert_eq!((delivery.chain, next), (Some(NEW), sent_on(None)));
    }
}

/// The lane that waiting goes on in: a first retry's leaves the first lane, a later one's stays unless its lane is full.
#[test]
fn a_wait_after_an_attempt_or_for_a_slot_goes_to_its_lane() {
    use Lane::{FirstAttempts, Retries, Slow};
    let (mut delivery, mut endpoint, mut job) = fixture();
    (job.chain, delivery.chain) = (Some(Chain::from_number(3)), Some(Chain::from_number(3)));
    // The next job begins a wait of its own, and does not wait for a row to change.
    (job.manual_at, job.waits_since) = (Some(at(1)), Some(at(1)));
    let cases = [
        (FirstAttempts, false, false, Some(Retries)),
        (FirstAttempts, false, true, Some(Slow)),
        (Retries, false, false, None),
        (Retries, false, true, None),
        (Retries, true, false, Some(Retries)),
        (Retries, true, true, Some(Slow)),
        (Slow, false, false, None),
        (Slow, true, true, Some(Slow)),
        (Slow, true, false, Some(Retries)),
    ];
    for (lane, is_crowded, is_slow, leaves_for) in cases {
        let context = format!("{lane:?} crowded {is_crowded} slow {is_slow}");
        endpoint.state.slow_until = is_slow.then_some(at(100));
        let woken = Woken { is_crowded, ..woken(&job, lane) };
        let chain = if leaves_for.is_some() { Some(NEW) } else { job.chain };
        let next = leaves_for.map_or(Next::HideUntil(at(60)), |lane| sent_on(&job, None, lane, at(60)));

        let made = made(&answered(500, None), 50);
        let step = Step::RetryAt(at(60));
        let decided = woken.conclude(&delivery, &endpoint, made.clone(), step, at(9));
        let transition = Transition {
            status: DeliveryStatus::Retrying,
            next_retry_at: Some(at(60)),
            attempt: Some(made),
            ..Transition::named(&delivery, chain, at(9))
        };
        let write = Some(Write { transition, claim: false });
        assert_eq!(decided, Decided { write, next: next.clone() }, "a retry: {context}");

        let slot = Slot { at: at(60), limit_since: T0 };
        let decided = woken.put_off(&delivery, &endpoint, slot, at(9));
        let transition = Transition { slot: Some(slot), ..Transition::named(&delivery, chain, at(9)) };
        let write = Some(Write { transition, claim: false });
        assert_eq!(decided, Decided { write, next }, "a slot: {context}");
    }
}

#[test]
fn an_attempt_that_took_long_sends_its_retry_to_the_slow_lane() {
    let (delivery, endpoint, job) = fixture();
    for (took, lane) in [(1_999, Lane::Retries), (2_000, Lane::Slow)] {
        let made = made(&answered(500, None), took);
        let step = Step::RetryAt(at(60));
        let decided = woken(&job, Lane::FirstAttempts).conclude(&delivery, &endpoint, made, step, at(9));
        assert_eq!(decided.next, sent_on(&job, None, lane, at(60)), "{took} ms");
    }
}

fn made(outcome: &Outcome, took: u64) -> Attempt {
    Attempt::new(
        AttemptId::new(T0),
        Trigger::Auto,
        "https://example.com/",
        outcome,
        Duration::from_millis(took),
    )
}

/// The endings that count for an endpoint. After each of them the job's work is done.
#[test]
fn an_endpoint_hears_of_counted_failures_and_of_successes_that_change_it() {
    let (mut delivery, endpoint, job) = fixture();
    let in_state = |state| Endpoint { state, ..endpoint.clone() };
    let failing = in_state(EndpointState { consecutive_failures: 1, ..EndpointState::default() });
    let since = in_state(EndpointState { first_failure_at: Some(T0), ..EndpointState::default() });
    let down = in_state(EndpointState { is_down: true, ..EndpointState::default() });
    let (gone, exhausted) = (Step::Failed(FailureReason::Gone), Step::Failed(FailureReason::Exhausted));
    let cases = [
        (Trigger::Auto, &endpoint, Step::Succeeded, false),
        (Trigger::Auto, &failing, Step::Succeeded, true),
        (Trigger::Auto, &since, Step::Succeeded, true),
        (Trigger::Manual, &down, Step::Succeeded, true),
        (Trigger::Auto, &endpoint, exhausted, true),
        (Trigger::Manual, &failing, exhausted, false),
        (Trigger::Auto, &endpoint, gone, true),
        (Trigger::Manual, &endpoint, gone, true),
    ];
    for (trigger, endpoint, step, hears) in cases {
        delivery.triggered_by = trigger;
        let made = made(&answered(500, None), 50);
        let decided = woken(&job, Lane::Retries).conclude(&delivery, endpoint, made, step, at(9));
        let write = decided.write.expect("a write");
        assert_eq!(write.transition.uncounted, hears, "{trigger:?} {step:?}");
        assert_eq!((decided.next, write.claim), (Next::Finish, false), "{trigger:?} {step:?}");
    }
}

#[test]
fn a_delivery_takes_on_what_was_written_of_its_attempt() {
    let (mut delivery, endpoint, job) = fixture();
    delivery.slot = Some(Slot { at: at(4), limit_since: T0 });
    let conclude = |delivery: &mut Delivery, step, now| {
        let made = made(&answered(500, None), 50);
        let decided = woken(&job, Lane::FirstAttempts).conclude(delivery, &endpoint, made.clone(), step, now);
        decided.write.expect("a write").transition.apply(delivery);
        made
    };
    assert!(delivery.payload.is_some());
    let first = conclude(&mut delivery, Step::RetryAt(at(60)), at(9));
    assert_eq!((delivery.status, delivery.next_retry_at), (DeliveryStatus::Retrying, Some(at(60))));
    assert_eq!((delivery.attempt_count, delivery.chain, delivery.slot), (1, Some(NEW), None));
    assert_eq!((&delivery.payload, delivery.updated_at), (&None, at(9)));
    assert_eq!(delivery.attention, Some(format!("{}#0#retrying", delivery.endpoint_id)));
    let second = conclude(&mut delivery, Step::Succeeded, at(70));
    assert_eq!((delivery.status, delivery.next_retry_at), (DeliveryStatus::Success, None));
    assert_eq!((delivery.attempt_count, &delivery.attention), (2, &None));
    assert_eq!(delivery.attempts, [first, second]);
}

/// A pending delivery that a look at the newest rows would miss stands in the index.
#[test]
fn a_delivery_that_stays_pending_stands_in_the_index() {
    let (fresh, endpoint, job) = fixture();
    let listed = Some(format!("{}#0#pending", fresh.endpoint_id));
    assert_eq!((fresh.attention_at(at(9)), fresh.attention_at(at(10))), (None, listed.clone()));
    let put_off = |slot, now| {
        let slot = Slot { at: slot, limit_since: T0 };
        let decided = woken(&job, Lane::FirstAttempts).put_off(&fresh, &endpoint, slot, now);
        let mut delivery = fresh.clone();
        decided.write.expect("a write").transition.apply(&mut delivery);
        delivery.attention
    };
    assert_eq!(
        [(9, 2), (10, 2), (9, 9), (9, 10)].map(|(slot, now)| put_off(at(slot), at(now)).is_some()),
        [false, true, false, true]
    );
    for (now, expected) in [(9, None), (10, listed)] {
        let mut delivery = fresh.clone();
        Transition::by_hand(NEW, at(now)).apply(&mut delivery);
        assert_eq!(delivery.attention, expected, "by hand after {now} s");
    }
}

#[test]
fn a_short_wait_is_slept_through() {
    let (mut delivery, ..) = fixture();
    let slept = |delivery: &Delivery, ms| is_slept_through(delivery, Duration::from_millis(ms));
    assert_eq!([0, 1_000, 1_001].map(|ms| slept(&delivery, ms)), [true, true, false]);
    assert_eq!([0, 1_000, 1_001].map(|ms| is_short(Duration::from_millis(ms))), [true, true, false]);
    delivery.slot = Some(Slot { at: at(4), limit_since: T0 });
    assert_eq!([1_001, 1_500, 1_501].map(|ms| slept(&delivery, ms)), [true, true, false]);
}

#[test]
fn short_waits_leave_at_most_half_a_second_to_sleep() {
    let millis = [0, 499, 500, 980, 1_050, 2_100, 9_450, 9_999, 10_000, 60_001];
    let slot = Slot { at: at(4), limit_since: T0 };
    for other in [None, Some(slot)] {
        let wait = |ms| time_in_queue(at(100), other, at(100).minus(Duration::from_millis(ms)));
        let waits = millis.map(|ms| wait(ms).as_millis());
        assert_eq!(waits, [0, 0, 1_000, 1_000, 1_000, 2_000, 9_000, 10_000, 10_000, 60_001]);
    }
    assert_eq!(time_in_queue(at(1), None, at(9)), Duration::ZERO);
}

#[test]
fn a_job_wakes_half_a_second_before_its_slot_or_somewhat_earlier() {
    let slot = Slot { at: at(100), limit_since: T0 };
    let wait = |ms| time_in_queue(slot.at, Some(slot), slot.at.minus(Duration::from_millis(ms)));
    let waits = [0, 999, 1_499, 1_500, 12_345, 12_678].map(|ms| wait(ms).as_millis());
    assert_eq!(waits, [0, 0, 0, 1_000, 11_000, 12_000]);
}

#[test]
fn backing_off_doubles_up_to_a_quarter_of_an_hour() {
    let seconds: Vec<u64> = [0, 1, 2, 3, 8, 9, 200, u32::MAX].map(|n| backoff(n).as_secs()).to_vec();
    assert_eq!(seconds, [5, 5, 10, 20, 640, 900, 900, 900]);
}
