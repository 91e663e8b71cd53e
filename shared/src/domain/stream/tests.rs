//! The decisions about one stream, each by itself.

use super::*;
use crate::attempt::Trigger;
use crate::decision::{Lane, stand_back};
use crate::delivery::{Delivery, FailureReason};
use crate::job::Chain;

const TIMEOUT: Duration = Duration::from_secs(15);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_776_009_119_000 + seconds * 1_000)
}

fn entry(n: u8) -> Entry {
    let id = uuid::Uuid::from_bytes([n; 16]);
    Entry { delivery_id: DeliveryId::from_uuid(id), event_id: EventId::from_uuid(id) }
}

fn entries(count: u8) -> Vec<Entry> {
    (0..count).map(entry).collect()
}

/// Three deliveries, of which the first two have the numbers 5 and 6 if they are attempted.
fn block() -> Block {
    Block {
        turn: 3,
        chunk: 2,
        made: 9,
        from: 1,
        to: 4,
        last: entry(3).delivery_id,
        number: 5,
        runner: "me".to_owned(),
        token: 7,
        taken_at: at(0),
    }
}

fn ended(sequence: Option<u64>) -> Seen {
    Seen { has_ended: true, is_handed_on: true, sequence, may_have_a_number: false, updated_at: at(1) }
}

fn untried() -> Seen {
    Seen {
        has_ended: false,
        is_handed_on: false,
        sequence: None,
        may_have_a_number: false,
        updated_at: at(-60),
    }
}

const ME: LookingJob<'_> = LookingJob { message: "me", after: None };
const OTHER: LookingJob<'_> = LookingJob { message: "other", after: None };

#[test]
fn a_stream_is_named_by_its_endpoint_and_a_hash_of_its_customer() {
    let of = |order: Order, customer| String::from(order.stream_of(customer));
    assert_eq!(of(Order::Endpoint, Some("a")), "e");
    assert_eq!(of(Order::Customer, None), "c");
    assert_eq!(of(Order::Customer, Some("a")), "cca978112ca1bbdcafac231b3");
    assert_ne!(of(Order::Customer, Some("")), of(Order::Customer, None));
    for bad in ["", "x", "c1", "cca978112ca1bbdcafac231bg"] {
        assert_eq!(StreamTag::try_from(bad.to_owned()), Err(NotATag), "{bad}");
    }
}

#[test]
fn a_job_takes_what_comes_next_or_leaves() {
    let head = Head { tail: 2, block: Some(block()) };
    assert_eq!(look(None, None, OTHER, at(60)), Look::Next { place: Place::START, number: 1 });
    assert_eq!(
        look(Some(&Head::default()), None, OTHER, at(60)),
        Look::Next { place: Place::START, number: 1 }
    );
    assert_eq!(look(Some(&head), Some(untried()), OTHER, at(60)), Look::Leave);
    assert_eq!(look(Some(&head), Some(untried()), ME, at(60)), Look::Inside);
    let marked = LookingJob { after: Some(entry(1).delivery_id), ..OTHER };
    assert_eq!(look(Some(&head), Some(untried()), marked, at(60)), Look::Inside);
    assert_eq!(
        look(Some(&head), Some(ended(Some(7))), OTHER, at(60)),
        Look::Inside,
        "others may not have ended"
    );
    let one = Head { block: Some(Block { from: 3, ..block() }), ..head };
    let place = Place { chunk: 2, made: Some(9), from: 4 };
    assert_eq!(look(Some(&one), Some(ended(Some(5))), OTHER, at(60)), Look::Next { place, number: 6 });
    assert_eq!(look(Some(&one), Some(ended(None)), OTHER, at(60)), Look::Next { place, number: 5 });
}

#[test]
fn only_the_job_that_took_a_block_or_was_left_it_goes_on_inside() {
    let seen = [ended(Some(5)), untried(), untried()];
    let act = |looking, now| inside(&block(), &entries(5), &seen, looking, now, TIMEOUT);
    assert_eq!(act(OTHER, at(1_000)), Inside::Leave, "its runner comes back");
    // The last sign of life is the end of the first one.
    let until = at(1).plus(stand_back(TIMEOUT));
    assert_eq!(act(ME, at(30)), Inside::Wait { until });
    assert_eq!(act(ME, until), Inside::TakeOver { index: 2, number: 6, is_tried: true });
    let after = |n| LookingJob { after: Some(entry(n).delivery_id), ..OTHER };
    assert_eq!(act(after(1), at(2)), Inside::TakeOver { index: 2, number: 6, is_tried: false });
    // In front of the block, not ended, and unknown.
    for n in [0, 2, 4, 77] {
        assert_eq!(act(after(n), at(1_000)), Inside::Leave, "{n}");
    }
}

#[test]
fn a_mark_of_a_delivery_that_stands_twice_is_old_behind_its_first_place() {
    let twice = [entry(1), entry(2), entry(1), entry(3)];
    let behind = Block { from: 1, ..block() };
    let seen = [ended(Some(5)), ended(Some(4)), untried()];
    let marked = LookingJob { after: Some(entry(1).delivery_id), ..OTHER };
    assert_eq!(inside(&behind, &twice, &seen, marked, at(2), TIMEOUT), Inside::Leave);
    let whole = Block { from: 0, ..block() };
    let seen = [ended(Some(5)), untried(), ended(Some(5)), untried()];
    let next = Inside::TakeOver { index: 1, number: 6, is_tried: false };
    assert_eq!(inside(&whole, &twice, &seen, marked, at(2), TIMEOUT), next);
}

#[test]
fn any_job_takes_over_a_block_that_nobody_works_on_any_more() {
    let head = Head { tail: 2, block: Some(block()) };
    let lost = at(1).plus(LOST_AFTER);
    assert_eq!(look(Some(&head), Some(untried()), OTHER, at(0).plus(LOST_AFTER)), Look::Inside);
    let act = |second: Seen, now| {
        inside(&block(), &entries(5), &[ended(Some(5)), second, untried()], OTHER, now, TIMEOUT)
    };
    assert_eq!(act(untried(), lost), Inside::TakeOver { index: 2, number: 6, is_tried: true });
    assert_eq!(act(untried(), at(0).plus(LOST_AFTER)), Inside::Leave, "the first one ended later");
    let retrying = Seen { is_handed_on: true, sequence: Some(6), ..untried() };
    assert_eq!(act(retrying, lost), Inside::Leave, "it has a job of its own");
}

#[test]
fn a_delivery_that_was_handed_on_keeps_its_stream() {
    let retrying = Seen { is_handed_on: true, sequence: Some(5), ..untried() };
    let seen = [retrying, untried(), untried()];
    let act = |looking| inside(&block(), &entries(5), &seen, looking, at(1_000), TIMEOUT);
    assert_eq!((act(OTHER), act(ME)), (Inside::Leave, Inside::StandIn { index: 1 }));
}

#[test]
fn numbers_have_no_gap_among_those_that_were_attempted() {
    let done = |seen: [Seen; 3]| inside(&block(), &entries(5), &seen, OTHER, at(1), TIMEOUT);
    let (none, gone) = (ended(None), Seen { may_have_a_number: true, ..ended(None) });
    assert_eq!(done([ended(Some(5)), ended(Some(6)), ended(Some(7))]), Inside::Done { number: 8 });
    assert_eq!(done([none, none, none]), Inside::Done { number: 5 });
    assert_eq!(done([none, ended(Some(5)), none]), Inside::Done { number: 6 });
    // An entry that is there twice was numbered in an earlier block.
    assert_eq!(done([ended(Some(2)), ended(Some(5)), none]), Inside::Done { number: 6 });
    // A delivery that may have been sent counts, because no number may come twice.
    assert_eq!(done([gone, ended(Some(6)), none]), Inside::Done { number: 7 });
    assert_eq!(done([none, gone, gone]), Inside::Done { number: 7 });
}

#[test]
fn entries_are_taken_chunk_by_chunk() {
    let chunk = |count| Chunk { made: 9, entries: entries(count) };
    let place = Place { chunk: 2, made: Some(9), from: 3 };
    assert_eq!(coming(place, 2, Some(&chunk(5))), Coming::Entries { from: 3, to: 5 });
    assert_eq!(coming(place, 2, Some(&chunk(3))), Coming::Nothing);
    let full = Place { from: 24, ..place };
    let next = Place { chunk: 3, made: None, from: 0 };
    assert_eq!(coming(full, 2, Some(&chunk(24))), Coming::LookAt(next));
    assert_eq!(
        coming(Place { made: Some(8), ..place }, 2, Some(&chunk(2))),
        Coming::Entries { from: 0, to: 2 }
    );
    assert_eq!(coming(next, 3, None), Coming::Nothing);
    assert_eq!(coming(next, 4, None), Coming::LookAt(Place { chunk: 4, ..next }));
}

fn row(reason: Option<FailureReason>) -> Delivery {
    let (id, name) = (DeliveryId::from_uuid(uuid::Uuid::from_bytes([1; 16])), "call.ended");
    let json = format!(
        r#"{{"partition": "", "id": "{id}", "project_id": "{id}", "endpoint_id": "{id}", "event_id": "{id}",
            "event_name": "{name}", "status": "failed", "triggered_by": "auto", "attempt_count": 1,
            "updated_at": 1776009119000, "expires_at": 4000000000}}"#
    );
    let row: Delivery = serde_json::from_str(&json).expect("a row");
    Delivery { failure_reason: reason, ..row }
}

#[test]
fn a_delivery_that_ended_from_outside_may_have_a_number() {
    let may_have = |row: &Delivery| Seen::of(Some(row), row.updated_at).may_have_a_number;
    for reason in [FailureReason::Erased, FailureReason::Internal] {
        assert!(may_have(&row(Some(reason))), "{reason:?}");
        assert!(!may_have(&Delivery { sequence: Some(3), ..row(Some(reason)) }), "{reason:?}");
        assert!(!may_have(&Delivery { triggered_by: Trigger::Manual, ..row(Some(reason)) }), "{reason:?}");
    }
    for reason in [FailureReason::EndpointDeleted, FailureReason::EndpointDisabled] {
        assert!(!may_have(&row(Some(reason))), "{reason:?}");
    }
    assert!(Seen::of(None, at(0)).may_have_a_number, "its row has expired");
}

#[test]
fn an_erasure_wakes_a_stream_only_where_no_runner_has_the_delivery_in_hand() {
    let held_up = row(Some(FailureReason::Erased));
    let wakes = |row: &Delivery| job_after_erasure(row, StreamTag::Endpoint).map(|job| job.after);
    assert_eq!(wakes(&held_up), Some(Some(held_up.id)));
    let waits_for_its_slot =
        Delivery { attempt_count: 0, chain: Some(Chain::from_number(1)), ..held_up.clone() };
    assert_eq!(wakes(&waits_for_its_slot), Some(Some(held_up.id)));
    let not_for = [
        Delivery { attempt_count: 0, ..held_up.clone() },
        Delivery { failure_reason: Some(FailureReason::Exhausted), ..held_up.clone() },
        Delivery { triggered_by: Trigger::Manual, ..held_up },
    ];
    for row in not_for {
        assert_eq!(wakes(&row), None, "{row:?}");
    }
}

#[test]
fn a_job_whose_message_came_back_stays_in_its_lane() {
    assert!(leaves_for_slow_lane(Lane::FirstAttempts, true, false));
    for (lane, is_slow, is_tried) in
        [(Lane::FirstAttempts, true, true), (Lane::FirstAttempts, false, false), (Lane::Slow, true, false)]
    {
        assert!(!leaves_for_slow_lane(lane, is_slow, is_tried), "{lane:?} {is_slow} {is_tried}");
    }
}

#[test]
fn a_customers_stream_is_listed_at_its_first_block_and_in_each_further_period() {
    let of_customer = StreamTag::Customer([7; 12]);
    let anew = |tag, before: Option<&Block>, after: Duration| is_listed_anew(tag, before, at(0).plus(after));
    assert!(anew(of_customer, None, Duration::ZERO));
    assert!(!anew(of_customer, Some(&block()), Duration::from_secs(60)));
    assert!(anew(of_customer, Some(&block()), LISTED_FOR));
    for tag in [StreamTag::Endpoint, StreamTag::NoCustomer] {
        assert!(!anew(tag, None, Duration::ZERO), "{tag:?} follows from the endpoint's id");
    }
}
