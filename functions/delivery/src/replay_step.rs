//! One step of a replay: it starts the page that the step before found, and finds the next page. `echo_shared::replay`
//! decides the step; this module carries it out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use echo_shared::attempt::MAX_ATTEMPTS;
use echo_shared::decision::{Lane, OVERTAKEN_WAIT};
use echo_shared::delivery::{Delivery, DeliveryStatus};
use echo_shared::endpoint::Endpoint;
use echo_shared::event::{Event, EventDelivery};
use echo_shared::id::{DeliveryId, EventId};
use echo_shared::job::{AHEAD_OF_ITS_ROW, Chain, DeliveryJob, ReplayJob};
use echo_shared::partition::Partition;
use echo_shared::queue::Queue;
use echo_shared::replay::{Match, PAGE, Position, Progress, Replay, StepAction, StopReason, on_wake};
use echo_shared::store::{Advanced, EventFilter, EventsWanted, Found, StoreError};
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;
use futures_util::future::try_join_all;

use crate::App;
use crate::message::{Disposal, Message};
use crate::steps::{NOT_YET, STEP_DELAY};

/// How many look-ups one step makes at most. Where little matches, several find nothing.
const LOOKS: usize = 8;

/// How many bytes of envelopes a look-up through events may hold in memory.
const LOOK_BYTES: usize = 3 * 1024 * 1024;

/// A look-up through events ends after this time with those that it has found.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// How the start of a page ended.
enum PageStart {
    All {
        replayed: u64,
        last: Option<DeliveryId>,
    },
    /// The step must look at some deliveries again.
    NotYet(NotYet),
}

enum NotYet {
    /// The endpoint still works on the page before, or another job changed a row in the meantime.
    Busy,
    /// SQS may have missed a job.
    InDoubt,
}

pub(crate) async fn take(app: Arc<App>, message: Arc<Message>, job: ReplayJob) -> Disposal {
    match step(&app, &message, &job).await {
        Ok(disposal) => disposal,
        Err(error) => {
            tracing::error!(%error, "an internal fault holds a replay up");
            message.back_off().await
        }
    }
}

async fn step(app: &App, message: &Message, job: &ReplayJob) -> Result<Disposal, StoreError> {
    let now = Timestamp::now();
    let replay = app.store.replay(&job.endpoint_id, &job.replay_id, now);
    let endpoint = app.store.endpoint(&job.project_id, &job.endpoint_id);
    let (replay, endpoint) = tokio::try_join!(replay, endpoint)?;
    match (on_wake(replay.as_ref(), endpoint.as_ref(), &job.replay_id, job.step, now), replay, endpoint) {
        (StepAction::NotYet { wait }, ..) => Ok(message.hide(wait).await),
        (StepAction::Stop { reason }, Some(replay), _) => stop(app, message, &replay, reason, now).await,
        (StepAction::Step, Some(replay), Some(endpoint)) => make(app, message, job, &replay, &endpoint).await,
        (StepAction::Finished | StepAction::Stop { .. } | StepAction::Step, ..) => Ok(Disposal::Delete),
    }
}

/// Ends a replay before its last page.
///
/// # Errors
/// When DynamoDB did not write it.
pub(crate) async fn stop(
    app: &App,
    message: &Message,
    replay: &Replay,
    reason: StopReason,
    now: Timestamp,
) -> Result<Disposal, StoreError> {
    tracing::warn!(?reason, "a replay was stopped");
    match app.store.advance_replay(&replay.stopped(reason, now)).await? {
        Advanced::Done => Ok(Disposal::Delete),
        Advanced::Overtaken => Ok(message.hide(OVERTAKEN_WAIT).await),
    }
}

async fn make(
    app: &App,
    message: &Message,
    job: &ReplayJob,
    replay: &Replay,
    endpoint: &Endpoint,
) -> Result<Disposal, StoreError> {
    let (replayed, last) = match start_page(app, replay, endpoint).await? {
        PageStart::All { replayed, last } => (replayed, last),
        PageStart::NotYet(NotYet::Busy) => return Ok(message.hide(NOT_YET).await),
        PageStart::NotYet(NotYet::InDoubt) => return Ok(message.hide(NOT_YET).await.by_our_fault()),
    };
    let (position, page) = look(app, replay, endpoint).await?;
    let progress = Progress { replayed, last_started: last, position, page };
    let next = replay.advanced(progress, Timestamp::now());
    if app.store.advance_replay(&next).await? == Advanced::Overtaken {
        return Ok(message.hide(OVERTAKEN_WAIT).await);
    }
    tracing::info!(matched = next.matched, replayed = next.replayed, status = ?next.status, "a replay went on");
    if next.status != replay.status {
        return Ok(Disposal::Delete);
    }
    // The message stays until the next one is certain to be in the queue. Should both be there, only one changes the row.
    let job = ReplayJob { step: next.step, ..job.clone() };
    match app.queues.retries.send(&job, STEP_DELAY).await {
        Ok(()) => Ok(Disposal::Delete),
        Err(error) => {
            tracing::warn!(%error, "a replay's next step was perhaps not queued; this one stands in");
            Ok(message.back_off().await)
        }
    }
}

/// Starts the page that the step before found.
async fn start_page(app: &App, replay: &Replay, endpoint: &Endpoint) -> Result<PageStart, StoreError> {
    let mut deliveries = Vec::new();
    let mut skipped = Vec::new();
    for found in &replay.page {
        match found {
            Match::Delivery(id) => deliveries.push(*id),
            Match::Skipped(id) => skipped.push(*id),
        }
    }
    let wanted = deliveries.iter().copied().chain(replay.last_started);
    let wanted: Vec<_> = wanted.map(|id| (replay.endpoint_id, id)).collect();
    let rows = app.store.deliveries_by_id(&wanted).await?;
    if is_busy(replay, &rows, Timestamp::now()) {
        return Ok(PageStart::NotYet(NotYet::Busy));
    }
    let queue = app.queues.of(Lane::for_retries(endpoint.is_slow(Timestamp::now())));
    let tried = match try_again(app, queue, replay, &deliveries, &rows).await? {
        Ok(tried) => tried,
        Err(not_yet) => return Ok(PageStart::NotYet(not_yet)),
    };
    let made = match make_skipped(app, queue, endpoint, replay, &skipped).await? {
        Ok(made) => made,
        Err(not_yet) => return Ok(PageStart::NotYet(not_yet)),
    };
    let last = made.last().or(tried.last()).copied();
    Ok(PageStart::All { replayed: (tried.len() + made.len()) as u64, last })
}

/// Whether the endpoint still works on the page before, or a failure on this page is still to be counted. The failure
/// would never be counted if the replay moved its delivery on now.
fn is_busy(replay: &Replay, rows: &HashMap<DeliveryId, Delivery>, now: Timestamp) -> bool {
    let last = replay.last_started.and_then(|id| rows.get(&id));
    let is_at_it = last.is_some_and(|last| last.status == DeliveryStatus::Pending);
    (is_at_it && replay.is_paced(now))
        || (rows.values().any(|row| row.uncounted) && replay.waits_for_counts(now))
}

/// Starts one manual attempt on each delivery that still matches. Returns the deliveries that this replay has started,
/// now or in an earlier try of this step, or [`NotYet`] when one of them is not certain.
async fn try_again(
    app: &App,
    queue: &Queue,
    replay: &Replay,
    ids: &[DeliveryId],
    rows: &HashMap<DeliveryId, Delivery>,
) -> Result<Result<Vec<DeliveryId>, NotYet>, StoreError> {
    let now = Timestamp::now();
    let rows = || ids.iter().filter_map(|id| rows.get(id));
    let is_started = |row: &&Delivery| row.replay_id == Some(replay.id);
    let mut started: Vec<DeliveryId> = rows().filter(is_started).map(|row| row.id).collect();
    let can_start = |row: &&Delivery| {
        row.replay_id.is_none_or(|other| other < replay.id)
            && row.status == replay.filter.status
            && row.attempt_count < MAX_ATTEMPTS
            && !row.erased
            && !row.uncounted
            && !row.is_expired(now)
    };
    let to_start: HashMap<DeliveryId, &Delivery> =
        rows().filter(can_start).map(|row| (row.id, row)).collect();
    let jobs: Vec<DeliveryJob> = to_start.values().map(|row| row.job_again(Chain::new(), now)).collect();
    // As in a retry by hand, the job goes first. A job without the row's change does nothing; a changed row without a job
    // would wait for ever.
    let in_doubt = queue.send_all(&jobs, AHEAD_OF_ITS_ROW).await;
    let sent = jobs.iter().filter(|job| !in_doubt.contains(job));
    let starts = sent.filter_map(|job| Some((job.delivery_id, job.chain?))).map(|(id, chain)| {
        let row = to_start[&id];
        let by_hand = Transition { replay_id: Some(replay.id), ..Transition::by_hand(chain, now) };
        async move { Ok::<_, StoreError>((id, app.store.advance(row, &by_hand).await?)) }
    });
    let mut is_overtaken = false;
    for (id, advanced) in try_join_all(starts).await? {
        match advanced {
            Advanced::Done => started.push(id),
            // The next look at the row shows the change.
            Advanced::Overtaken => is_overtaken = true,
        }
    }
    Ok(match (in_doubt.is_empty(), is_overtaken) {
        (false, _) => Err(NotYet::InDoubt),
        (true, true) => Err(NotYet::Busy),
        (true, false) => Ok(started),
    })
}

/// Makes deliveries, with their jobs and rows, for events that skipped the endpoint. Returns the deliveries that this replay
/// has made, now or in an earlier try of this step, or [`NotYet`] when one of them is not certain.
async fn make_skipped(
    app: &App,
    queue: &Queue,
    endpoint: &Endpoint,
    replay: &Replay,
    ids: &[EventId],
) -> Result<Result<Vec<DeliveryId>, NotYet>, StoreError> {
    let mut made = Vec::new();
    for ids in ids.chunks(10) {
        let mut to_make = Vec::new();
        for found in try_join_all(ids.iter().map(|id| find_skipped(app, endpoint, replay, id))).await? {
            match found {
                Skipped::Gone => {}
                Skipped::Made(id) => made.push(id),
                Skipped::ToMake { event, listed } => to_make.push((event, listed)),
            }
        }
        // The job goes first, as in a manual attempt. A job is dropped later if no event lists its delivery. A listed delivery
        // without a job would stay pending if the replay stopped here.
        let jobs: Vec<DeliveryJob> = to_make.iter().map(|(event, listed)| event.first_job(listed)).collect();
        let in_doubt = queue.send_all(&jobs, AHEAD_OF_ITS_ROW).await;
        let sent = to_make.iter().zip(&jobs).filter(|(_, job)| !in_doubt.contains(job));
        let lists = sent.map(|((event, listed), _)| async move {
            let listing = app.store.unskip(event, listed).await?;
            if listing == Advanced::Done {
                app.store.create_delivery(&Delivery::pending(event, listed)).await?;
            }
            Ok::<_, StoreError>((listed.id, listing))
        });
        let mut is_overtaken = false;
        for (id, listing) in try_join_all(lists).await? {
            match listing {
                Advanced::Done => made.push(id),
                // Another job changed the event's row.
                Advanced::Overtaken => is_overtaken = true,
            }
        }
        if !in_doubt.is_empty() {
            return Ok(Err(NotYet::InDoubt));
        }
        if is_overtaken {
            return Ok(Err(NotYet::Busy));
        }
    }
    Ok(Ok(made))
}

enum Skipped {
    Gone,
    /// The event lists a delivery for the endpoint, so that delivery's job was sent.
    Made(DeliveryId),
    ToMake {
        event: Box<Event>,
        listed: EventDelivery,
    },
}

async fn find_skipped(
    app: &App,
    endpoint: &Endpoint,
    replay: &Replay,
    id: &EventId,
) -> Result<Skipped, StoreError> {
    let now = Timestamp::now();
    let shard = endpoint.shards.of(id);
    let event = app.store.event(&replay.project_id, shard, id, now).await?;
    let Some(event) = event.filter(|event| !event.is_erased()) else {
        return Ok(Skipped::Gone);
    };
    if let Some(listed) = event.deliveries.iter().find(|listed| listed.endpoint_id == endpoint.id) {
        return Ok(Skipped::Made(listed.id));
    }
    if !event.skipped.has(&endpoint.id) {
        return Ok(Skipped::Gone);
    }
    app.store.note_bucket_of(endpoint, &event.event_name).await?;
    let partition = Partition { bucket: endpoint.bucket_of(&event.event_name), shard };
    let listed = EventDelivery::new(partition, endpoint.id, now);
    Ok(Skipped::ToMake { event: Box::new(event), listed })
}

/// Finds the next page, up to [`PAGE`] matches in a few look-ups, and the place where the next look goes on.
async fn look(app: &App, replay: &Replay, endpoint: &Endpoint) -> Result<(Position, Vec<Match>), StoreError> {
    let (filter, now) = (&replay.filter, Timestamp::now());
    let mut position = replay.position;
    let mut page = Vec::new();
    for _ in 0..LOOKS {
        let room = PAGE - page.len();
        if room == 0 {
            break;
        }
        position = match position {
            Position::End => break,
            Position::Deliveries { partition, after } => {
                let found = app.store.to_replay(&endpoint.id, partition, filter, after, room, now).await?;
                page.extend(found.0.into_iter().map(Match::Delivery));
                match found.1 {
                    after @ Some(_) => Position::Deliveries { partition, after },
                    None => Position::after_partition(partition, filter, endpoint),
                }
            }
            Position::Failures { shard, after } => {
                let found =
                    app.store.failures_to_replay(&endpoint.id, shard, filter, after, room, now).await?;
                page.extend(found.0.into_iter().map(Match::Delivery));
                match found.1 {
                    after @ Some(_) => Position::Failures { shard, after },
                    None => Position::after_shard(shard, filter, endpoint),
                }
            }
            Position::Events { after } => {
                // The query does not filter by name: where few names match, one query would read on without end.
                let wanted =
                    EventFilter { event_name: None, since: Some(filter.since), until: Some(filter.until) };
                let project = &replay.project_id;
                let most = EventsWanted { rows: room, envelope_bytes: Some(LOOK_BYTES), search: LOOK_TIME };
                let found = app.store.events(project, endpoint.shards, &wanted, after, most, now).await?;
                let Found { rows, stopped_at } = found;
                let skips =
                    |event: &Event| filter.has_name(&event.event_name) && event.skipped.has(&endpoint.id);
                let matching = rows.iter().filter(|row| skips(&row.event));
                page.extend(matching.map(|row| Match::Skipped(row.event.event_id)));
                let last = rows.last().map(|row| row.event.list_key());
                let after = stopped_at.map(EventId::from_uuid).or(last);
                after.map_or(Position::End, |_| Position::Events { after })
            }
        };
    }
    Ok((position, page))
}
