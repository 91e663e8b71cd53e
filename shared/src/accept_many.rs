//! Accepts the events of one request together. Each event stands for itself, and their rows and jobs share requests.
//!
//! The events go in groups, with and without an `event_id` of the producer's apart: up to 25 events, and no further event past
//! 100 deliveries. An event that a shared request left out repeats the step by itself, and a step that fails fails only the
//! events it was for. A group that is not done at the deadline leaves its events with 503, as a crash would have. Of two events
//! with one id, the second is compared with the first. (Rejected: the coalescer of the intake, which serves events that
//! come one by one. One group of all events, whose slowest call would decide for each.)

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::accept::{
    AcceptError, Acceptance, EventWritten, Jobs, Sinks, accept, after_event_written, send, written_new,
};
use crate::delivery::Delivery;
use crate::event::Event;
use crate::job::DeliveryJob;
use crate::line_up::{InStreams, line_up_each};
use crate::route::Routes;
use crate::store::{Accepted, MAX_STATEMENTS, Store, StoreError};
use crate::time::Timestamp;

type Answer = Result<Acceptance, AcceptError>;

/// An event whose rows are written, with its ordered deliveries, which have no place yet.
type Durable = Result<(Acceptance, InStreams), AcceptError>;

/// A group takes no further event past this many deliveries. Their rows and jobs are 14 requests side by side.
const GROUP_DELIVERIES: usize = 100;

/// The groups at work at once, so that a large request opens dozens of connections and not hundreds.
const GROUPS_AT_ONCE: usize = 4;

/// The time that is kept for the places of ordered deliveries. They come after all rows, so that the array's order counts.
const LINE_UP_TIME: Duration = Duration::from_secs(2);

/// An event of a request.
#[derive(Debug)]
pub struct Posted {
    pub event: Event,
    /// Whether the producer chose the event's id. An event with an id of ours cannot be there already.
    pub has_own_id: bool,
}

/// Makes events of one project durable, as [`crate::accept`] does one event, and says in their order how each ended. What is
/// not durable at the deadline is [`AcceptError::TooLate`]: such an event may be delivered or not, as after a crash.
///
/// An event with the id of an earlier one is compared with that one, as if both had come one after the other.
pub async fn accept_many(
    sinks: Sinks<'_>,
    events: Vec<Posted>,
    routes: &Routes,
    now: Timestamp,
    deadline: Instant,
) -> Vec<Answer> {
    let asked = events.len();
    let mut ids = HashSet::new();
    let (firsts, repeats): (Vec<_>, Vec<_>) =
        events.into_iter().enumerate().partition(|(_, posted)| ids.insert(posted.event.event_id));
    let (known, new): (Vec<_>, Vec<_>) = firsts.into_iter().partition(|(_, posted)| posted.has_own_id);
    let known = groups(known).into_iter().map(|group| (group, true));
    let new = groups(new).into_iter().map(|group| (group, false));
    let rows_by = if routes.has_order() { deadline - LINE_UP_TIME } else { deadline };
    let groups = known.chain(new).map(|(group, has_own_ids)| async move {
        let (places, events): (Vec<usize>, Vec<Event>) = group.into_iter().unzip();
        let accepted = async {
            if has_own_ids {
                accept_group(sinks, events, routes, now).await
            } else {
                accept_new_group(sinks, events, routes, now).await
            }
        };
        let outcomes = timeout_at(rows_by, accepted).await;
        places.into_iter().zip(outcomes.unwrap_or_default()).collect::<Vec<_>>()
    });
    let done = stream::iter(groups).buffer_unordered(GROUPS_AT_ONCE).concat().await;
    let mut outcomes = in_line(sinks, done.into_iter().collect(), deadline).await;
    for (place, Posted { event, .. }) in repeats {
        let outcome = match first_of(&event, &outcomes) {
            Some(first) => repeated(&event, first),
            // The first is not durable, so the store must decide whether this one is new.
            None => {
                let accepted = timeout_at(deadline, accept(sinks, event, routes, now)).await;
                accepted.unwrap_or(Err(AcceptError::TooLate))
            }
        };
        outcomes.insert(place, outcome);
    }
    (0..asked).map(|place| outcomes.remove(&place).unwrap_or(Err(AcceptError::TooLate))).collect()
}

/// Gives ordered deliveries their places, in the order of the events.
async fn in_line(
    sinks: Sinks<'_>,
    durable: BTreeMap<usize, Durable>,
    deadline: Instant,
) -> BTreeMap<usize, Answer> {
    let mut all = InStreams::default();
    for (_, in_streams) in durable.values().flatten() {
        all.add(in_streams);
    }
    let placed = async {
        if all.is_empty() { Ok(HashSet::new()) } else { Ok::<_, ()>(line_up_each(sinks, all).await.0) }
    };
    let failed = timeout_at(deadline, placed).await.unwrap_or(Err(()));
    let outcome = |durable: Durable| {
        let (acceptance, in_streams) = durable?;
        let is_placed = match &failed {
            Ok(failed) => !in_streams.is_in(failed),
            Err(()) => in_streams.is_empty(),
        };
        if is_placed { Ok(acceptance) } else { Err(AcceptError::TooLate) }
    };
    durable.into_iter().map(|(place, durable)| (place, outcome(durable))).collect()
}

/// The durable event with the same id.
fn first_of<'a>(event: &Event, outcomes: &'a BTreeMap<usize, Answer>) -> Option<&'a Event> {
    let durable = outcomes.values().flatten().map(|acceptance| &acceptance.event);
    durable.into_iter().find(|durable| durable.event_id == event.event_id)
}

fn repeated(event: &Event, first: &Event) -> Answer {
    if event.content_hash == first.content_hash {
        Ok(Acceptance { event: first.clone(), duplicate: true })
    } else {
        Err(AcceptError::Conflict { accepted_at: first.accepted_at })
    }
}

/// Splits events into groups whose rows fit into one request, and whose deliveries are not too many.
fn groups(events: Vec<(usize, Posted)>) -> Vec<Vec<(usize, Event)>> {
    let mut groups: Vec<Vec<(usize, Event)>> = Vec::new();
    let mut deliveries = 0;
    for (place, Posted { event, .. }) in events {
        deliveries += event.deliveries.len();
        match groups.last_mut() {
            Some(group) if group.len() < MAX_STATEMENTS && deliveries <= GROUP_DELIVERIES => {
                group.push((place, event));
            }
            _ => {
                deliveries = event.deliveries.len();
                groups.push(vec![(place, event)]);
            }
        }
    }
    groups
}

/// How each event of a group has fared so far.
type Progress = Vec<Result<EventWritten, AcceptError>>;

/// Accepts events that may be there already: their own rows first, then the rows of their deliveries beside the jobs.
async fn accept_group(sinks: Sinks<'_>, events: Vec<Event>, routes: &Routes, now: Timestamp) -> Vec<Durable> {
    let is_written = sinks.store.accept_events(&events).await;
    let written = events.into_iter().zip(is_written).map(|(event, is_written)| async move {
        let accepted = if is_written { Accepted::New } else { sinks.store.accept_event(&event, now).await? };
        after_event_written(sinks, event, accepted, routes, now).await
    });
    let mut written: Progress = join_all(written).await;
    let jobs = take_jobs(&mut written);
    let (rows, in_doubt) = join(write_deliveries(sinks.store, &written), send(sinks, jobs)).await;
    outcomes(written, rows, &in_doubt)
}

/// Accepts events that cannot be there already: all of their rows beside the jobs.
async fn accept_new_group(
    sinks: Sinks<'_>,
    events: Vec<Event>,
    routes: &Routes,
    now: Timestamp,
) -> Vec<Durable> {
    let written = events.into_iter().map(|event| Ok(written_new(event, routes, now)));
    let mut written: Progress = written.collect();
    let jobs = take_jobs(&mut written);
    let (rows, in_doubt) = join(write_events(sinks.store, &written), send(sinks, jobs)).await;
    outcomes(written, rows, &in_doubt)
}

fn take_jobs(written: &mut Progress) -> Jobs {
    let mut jobs = Jobs::default();
    for event in written.iter_mut().flatten() {
        jobs.add(mem::take(&mut event.jobs));
    }
    jobs
}

/// Writes the rows of the events' deliveries and says for each event whether that was done.
async fn write_deliveries(store: &Store, written: &Progress) -> Vec<Result<(), StoreError>> {
    let of_events: Vec<Vec<Delivery>> = written.iter().flatten().map(EventWritten::rows).collect();
    let mut is_written = store.try_create_deliveries(&of_events.concat()).await.into_iter();
    let left = of_events
        .into_iter()
        .map(|rows| rows.into_iter().filter(|_| is_written.next() != Some(true)).collect::<Vec<Delivery>>());
    let left: Vec<_> = left.collect();
    join_all(left.iter().map(|rows| store.create_deliveries(rows))).await
}

/// Writes the rows of new events and of their deliveries, and says for each event whether that was done.
async fn write_events(store: &Store, written: &Progress) -> Vec<Result<(), StoreError>> {
    let events: Vec<_> =
        written.iter().flatten().map(|event| (&event.acceptance.event, event.rows())).collect();
    let is_written = store.try_create_events(&events).await;
    let rest = events.iter().zip(is_written).map(|((event, rows), is_written)| async move {
        if is_written { Ok(()) } else { store.create_event(event, rows).await }
    });
    join_all(rest).await
}

/// `rows` says for each event that came so far whether its rows are written.
fn outcomes(written: Progress, rows: Vec<Result<(), StoreError>>, in_doubt: &[DeliveryJob]) -> Vec<Durable> {
    let mut rows = rows.into_iter();
    let outcome = |written: Result<EventWritten, AcceptError>| {
        let EventWritten { acceptance, in_streams, .. } = written?;
        let unknown = || Err(StoreError::Unavailable("an event's rows are in doubt".into()));
        rows.next().unwrap_or_else(unknown)?;
        match in_doubt.iter().filter(|job| job.event_id == acceptance.event.event_id).count() {
            0 => Ok((acceptance, in_streams)),
            jobs => Err(AcceptError::InDoubt(jobs)),
        }
    };
    written.into_iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{EventContent, EventDelivery};
    use crate::event_name::EventName;
    use crate::id::{EndpointId, EventId, ProjectId};
    use crate::partition::Partition;
    use crate::shards::{Shard, Shards};

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn event(deliveries: usize, data: &str) -> Event {
        let content = EventContent {
            name: EventName::from_stored("call.ended"),
            customer_id: None,
            notification_id: None,
            data: serde_json::from_str(data).expect("JSON"),
        };
        let (project, id) = (ProjectId::new(NOW), EventId::new(NOW));
        let mut event =
            Event::accept(project, id, &content, &Routes::none(Shards::ONE), NOW, Duration::from_secs(60));
        let delivery =
            |_| EventDelivery::new(Partition { bucket: 0, shard: Shard(0) }, EndpointId::new(NOW), NOW);
        event.deliveries = (0..deliveries).map(delivery).collect();
        event
    }

    /// The places of the events in each group. `deliveries` has the number of deliveries of each event.
    fn grouped(deliveries: &[usize]) -> Vec<Vec<usize>> {
        let posted = |count: &usize| Posted { event: event(*count, "{}"), has_own_id: true };
        groups(deliveries.iter().map(posted).enumerate().collect())
            .into_iter()
            .map(|group| group.into_iter().map(|(place, _)| place).collect())
            .collect()
    }

    #[test]
    fn a_group_fits_into_one_request_of_rows_and_has_few_deliveries() {
        assert_eq!(grouped(&[]), Vec::<Vec<usize>>::new());
        let sizes: Vec<usize> = grouped(&[1; 60]).iter().map(Vec::len).collect();
        assert_eq!(sizes, [25, 25, 10]);
        assert_eq!(grouped(&[60, 40, 1, 99, 1, 200, 0]), [vec![0, 1], vec![2, 3], vec![4], vec![5], vec![6]]);
    }

    #[test]
    fn a_repeat_is_a_duplicate_only_if_its_content_is_equal() {
        let first = event(3, r#"{"n":1}"#);
        let mut same = first.clone();
        same.deliveries.clear();
        let outcomes = BTreeMap::from([
            (0, Err(AcceptError::TooLate)),
            (1, Ok(Acceptance { event: first.clone(), duplicate: false })),
        ]);
        let found = first_of(&same, &outcomes).expect("the first");
        let duplicate = repeated(&same, found).expect("a duplicate");
        assert_eq!((duplicate.duplicate, &duplicate.event), (true, &first));
        let other = Event { content_hash: event(3, r#"{"n":2}"#).content_hash, ..same };
        assert!(matches!(repeated(&other, found), Err(AcceptError::Conflict { accepted_at: NOW })));
        assert_eq!(first_of(&event(1, "{}"), &outcomes), None);
    }
}
