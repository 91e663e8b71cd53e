use std::time::Duration;

use super::*;
use crate::attempt::{Attempt, Outcome, SendFailure, Trigger};
use crate::delivery::{Delivery, FailureReason};
use crate::event::{Event, EventContent};
use crate::event_name::EventName;
use crate::id::{AttemptId, EventId};
use crate::job::Chain;
use crate::route::Routes;

const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);

fn endpoint(shards: Shards) -> Endpoint {
    let names = vec![EventName::from_stored("call.ended").into()];
    let url = "https://example.com".to_owned();
    Endpoint::new(ProjectId::new(T0), EndpointId::new(T0), shards, url, names, vec![1].into(), T0)
}

fn delivery(endpoint: &Endpoint) -> Delivery {
    let content = EventContent {
        name: EventName::from_stored("call.ended"),
        customer_id: None,
        notification_id: None,
        data: serde_json::from_str("{}").expect("JSON"),
    };
    let month = Duration::from_secs(30 * 86_400);
    let event =
        Event::accept(endpoint.project_id, EventId::new(T0), &content, &Routes::to(endpoint), T0, month);
    Delivery::pending(&event, &event.deliveries[0])
}

/// An attempt that ended so, `took` milliseconds after it began, at `at`.
fn attempted(delivery: &Delivery, status: DeliveryStatus, took: u64, at: Timestamp) -> Transition {
    let took = Duration::from_millis(took);
    let outcome = Outcome::Failed { cause: SendFailure::Connect };
    let id = AttemptId::new(at.minus(took));
    let attempt = Attempt::new(id, Trigger::Auto, "https://example.com", &outcome, took);
    Transition { status, attempt: Some(attempt), ..Transition::unchanged(delivery, at) }
}

#[test]
fn ends_and_attempts_are_counted_and_nothing_else() {
    let endpoint = endpoint(Shards::ONE);
    let delivery = delivery(&endpoint);
    let mut tally = HourlyCounts::default();
    tally.add(&endpoint, &Transition::named(&delivery, Some(Chain::new()), T0));
    assert_eq!(tally.clone().into_rows().count(), 0, "a job that was replaced is no news");
    tally.add(&endpoint, &attempted(&delivery, DeliveryStatus::Retrying, 40, T0));
    tally.add(&endpoint, &attempted(&delivery, DeliveryStatus::Success, 120, T0));
    tally.add(&endpoint, &Transition::ended(&delivery, FailureReason::EndpointDisabled, T0));
    let rows: Vec<_> = tally.into_rows().collect();
    let [(place, counts)] = rows.as_slice() else { panic!("one row: {rows:?}") };
    assert_eq!(
        (place.endpoint_id, place.hour.start().to_string().as_str()),
        (endpoint.id, "2026-04-12T15:00:00.000Z")
    );
    assert_eq!((counts.delivered, counts.failed, counts.retried), (1, 1, 1));
    assert_eq!(counts.durations.total(), 2, "a delivery that ends without an attempt has no duration");
}

#[test]
fn each_endpoint_and_hour_has_a_row() {
    let [one, other] = [0, 1].map(|_| endpoint(Shards::ONE));
    let next_hour = Hour::of(T0).end();
    let mut tally = HourlyCounts::default();
    for (endpoint, at) in [(&one, T0), (&other, T0), (&one, next_hour), (&one, T0)] {
        tally.add(endpoint, &attempted(&delivery(endpoint), DeliveryStatus::Success, 5, at));
    }
    let mut rows: Vec<_> =
        tally.into_rows().map(|(at, counts)| (at.endpoint_id, at.hour, counts.delivered)).collect();
    rows.sort_by_key(|(id, hour, _)| (*id != one.id, *hour));
    assert_eq!(
        rows,
        [(one.id, Hour::of(T0), 2), (one.id, Hour::of(next_hour), 1), (other.id, Hour::of(T0), 1)]
    );
}

#[test]
fn counts_add_up_and_keep_the_attempt_that_began_last() {
    let endpoint = endpoint(Shards::ONE);
    let delivery = delivery(&endpoint);
    let of = |status, took, at| {
        let mut counts = Counts::default();
        counts.add(&attempted(&delivery, status, took, at));
        counts
    };
    let early = of(DeliveryStatus::Success, 10, T0);
    let late = of(DeliveryStatus::Failed, 2_000, T0.plus(Duration::from_secs(60)));
    let (mut forth, mut back) = (early.clone(), late.clone());
    forth.merge(&late);
    back.merge(&early);
    assert_eq!(forth, back);
    assert_eq!((forth.delivered, forth.failed, forth.durations.total()), (1, 1, 2));
    assert_eq!(forth.last_attempt, late.last_attempt);
}

#[test]
fn a_partition_serves_eight_shards() {
    let of = |count| partitions(Shards::new(count).expect("a number")).count();
    assert_eq!([1, 8, 9, 16, 64].map(of), [1, 1, 2, 2, 8]);
}
