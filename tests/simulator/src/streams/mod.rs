//! The streams of an ordered endpoint, in a model of DynamoDB, SQS and Lambda. `echo_shared::stream` and
//! `echo_shared::decision` decide; the jobs here make the same calls as the delivery function, one after another, and each call
//! may fail, lose its answer or be the last one.
//!
//! `calls` is an invocation and its calls, `turns` are the turns on a delivery and their writes, `runner` is a stream's
//! job, and `callers` are the producers and whoever erases payloads. A job is a future that a small executor polls at
//! the virtual times at which its calls end.

mod callers;
mod calls;
mod runner;
mod turns;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use echo_shared::decision::Lane;
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::{Endpoint, EndpointStatus};
use echo_shared::event::{Event, EventContent, EventDelivery};
use echo_shared::event_name::EventName;
use echo_shared::id::{DeliveryId, EndpointId, EventId, ProjectId};
use echo_shared::job::{Job as Body, StreamJob};
use echo_shared::rate_limit::RateLimit;
use echo_shared::route::Routes;
use echo_shared::schedule::RetrySchedule;
use echo_shared::shards::Shards;
use echo_shared::stream::{Block, Chunk, Entry, FULL, Head, Seen, StreamTag};
use echo_shared::time::Timestamp;

use self::calls::Job;
use crate::random::Random;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const INVOCATION_MS: i64 = 30_000;
const VISIBILITY_MS: i64 = 180_000;

/// How often each fault happens: at one opportunity in this number, or never at 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The function dies before or after a call.
    pub crash: u64,
    pub refused: u64,
    pub answer_lost: u64,
    /// SQS hands a message out a second time.
    pub duplicate: u64,
    /// A producer posts its events again, although they were accepted.
    pub repeated: u64,
    /// The functions' clocks are wrong by up to this.
    pub skew_ms: i64,
    /// The endpoint is disabled now and then.
    pub disabled: bool,
    pub slow: Slow,
    /// The endpoint refuses the first request of each delivery.
    pub refuses_first: bool,
    /// The endpoint's rate limit; none at 0.
    pub per_second: u16,
    /// The payload of an accepted event is erased: at one post in this number, or never at 0.
    pub erased: u64,
}

/// When the endpoint is marked as slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Slow {
    #[default]
    Never,
    NowAndThen,
    Always,
}

/// The design, or the design without one of its parts. A test must notice each missing part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    AsBuilt,
    /// A runner deletes its message at its block's end, without a look at what came meanwhile.
    NoLastLook,
    /// The job is sent before its delivery is appended.
    JobBeforePlace,
    /// An append counts as done once the last of its deliveries has a place.
    LastProvesAll,
    /// A job takes a stream whatever its head says by now.
    NoCondition,
    /// A job whose message comes back leaves, because another has taken its block: itself.
    NoReturn,
    /// A message that comes back takes over at once.
    NoStandingBack,
    /// A block counts as done when its last delivery has ended.
    LastEndsAll,
    /// A job that takes over counts from its block's first number.
    NumberFromTheBlock,
    /// A delivery that is to be retried does not keep its stream.
    RetriesWaitAside,
    /// In the slow lane a delivery waits in its stream's message, and the message then goes on with the stream.
    WaitsInTheStreamsMessage,
    /// A job whose message has come back leaves its block to a new job, because the endpoint has become slow.
    LeavesWhatWasTried,
    /// A delivery that is erased while its first request is under way counts as one without a number.
    ErasedHaveNoNumber,
    /// Whoever erases a payload sends no job for the stream that waits.
    ErasureWakesNobody,
}

/// What the checks know of a delivery.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fate {
    pub stream: usize,
    pub posted_at: i64,
    pub answered_at: Option<i64>,
    pub first_request_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub requests: u32,
    pub attempts: u32,
    pub number: Option<u64>,
    pub numbers_differ: bool,
    /// When its payload was erased, if the delivery then waited for a retry and held its stream up.
    pub held_up_until: Option<i64>,
    /// The first slot that it was put off for.
    pub slot_at: Option<i64>,
}

#[derive(Debug, Clone)]
struct Message {
    body: Body,
    lane: Lane,
    receives: u32,
    sent_at: i64,
    visible_at: i64,
}

#[derive(Debug, Default)]
struct Stream {
    chunks: BTreeMap<u64, Chunk>,
    head: Option<Head>,
}

struct State {
    now: i64,
    random: Random,
    faults: Faults,
    design: Design,
    streams: Vec<Stream>,
    rows: HashMap<DeliveryId, Delivery>,
    /// The events without a payload.
    erased: BTreeSet<DeliveryId>,
    /// A delivery before its first attempt; each row begins as a copy.
    untried: Delivery,
    event: Event,
    endpoint: Endpoint,
    schedule: RetrySchedule,
    fates: BTreeMap<u64, Fate>,
    messages: BTreeMap<u64, Message>,
    next: u64,
    /// When each job's call ends.
    wakes: BTreeSet<(i64, u64)>,
    current: u64,
    dead: bool,
    disabled_until: i64,
    slow_until: i64,
    /// Writes to streams' rows.
    writes: u64,
    oldest_ms: i64,
    most_receives: u32,
}

struct Fault;

type World = Rc<RefCell<State>>;

fn entry(n: u64) -> Entry {
    let id = |n: u64| {
        let text = format!("00000000-0000-7000-8000-{n:012x}");
        (DeliveryId::parse(&text), EventId::parse(&text))
    };
    match id(n) {
        (Ok(delivery_id), Ok(event_id)) => Entry { delivery_id, event_id },
        _ => unreachable!("a UUID"),
    }
}

fn number_of(id: DeliveryId) -> u64 {
    id.as_uuid().as_u64_pair().1 & 0xffff_ffff_ffff
}

/// The tag of the stream with this number.
fn tag(stream: usize) -> StreamTag {
    let mut hash = [0; 12];
    hash[0] = u8::try_from(stream).unwrap_or(u8::MAX);
    StreamTag::Customer(hash)
}

fn number_of_stream(tag: StreamTag) -> usize {
    match tag {
        StreamTag::Customer(hash) => usize::from(hash[0]),
        StreamTag::Endpoint | StreamTag::NoCustomer => 0,
    }
}

impl State {
    fn send(&mut self, lane: Lane, body: Body, delay_ms: i64) {
        self.next += 1;
        let (sent_at, visible_at) = (self.now, self.now + delay_ms.max(0));
        let message = Message { body, lane, receives: 0, sent_at, visible_at };
        self.messages.insert(self.next, message);
    }

    fn hide(&mut self, message: u64, ms: i64) {
        let until = self.now + ms.max(0);
        if let Some(message) = self.messages.get_mut(&message) {
            message.visible_at = until;
        }
    }

    /// The endpoint's rows as they are now.
    fn endpoint(&self) -> Endpoint {
        let mut endpoint = self.endpoint.clone();
        if self.now < self.disabled_until {
            endpoint.status = EndpointStatus::Disabled;
        }
        if self.now < self.slow_until || self.faults.slow == Slow::Always {
            endpoint.state.slow_until = Some(Timestamp::from_millis(self.slow_until.max(self.now + 30_000)));
        }
        endpoint
    }

    fn seen(&self, id: DeliveryId) -> Seen {
        let mut seen = Seen::of(self.rows.get(&id), Timestamp::from_millis(self.now));
        seen.may_have_a_number &= self.design != Design::ErasedHaveNoNumber;
        seen
    }

    fn stream_job(&self, stream: usize, after: Option<DeliveryId>) -> Body {
        let Delivery { project_id, endpoint_id, .. } = self.untried;
        Body::Stream(StreamJob { project_id, endpoint_id, stream: tag(stream), after })
    }

    /// The first chunk of a stream that is not full.
    fn tail(&self, stream: usize) -> u64 {
        let full = self.streams[stream].chunks.values().take_while(|chunk| chunk.entries.len() >= FULL);
        full.count() as u64
    }

    /// Appends deliveries to a chunk, unless it is full or has one of them: then it gives the chunk's entries.
    fn append(&mut self, stream: usize, chunk: u64, new: &[Entry]) -> Option<Vec<Entry>> {
        let made = u32::try_from(self.random.below(1 << 30)).unwrap_or(0);
        let looks_for = if self.design == Design::LastProvesAll { new.len().saturating_sub(1) } else { 0 };
        let chunks = &mut self.streams[stream].chunks;
        self.writes += 1;
        let chunk = chunks.entry(chunk).or_insert_with(|| Chunk { made, entries: Vec::new() });
        if chunk.entries.len() >= FULL || new[looks_for..].iter().any(|entry| chunk.entries.contains(entry)) {
            return Some(chunk.entries.clone());
        }
        chunk.entries.extend(new);
        None
    }

    /// Takes a block, if the head is still the one that was read.
    fn take(&mut self, stream: usize, before: Option<&Block>, block: &Block) -> bool {
        self.writes += 1;
        let is_free = self.design == Design::NoCondition;
        let head = self.streams[stream].head.get_or_insert_with(Head::default);
        if head.block.as_ref() == Some(block) {
            return true;
        }
        if head.block.as_ref() != before && !is_free {
            return false;
        }
        head.block = Some(block.clone());
        true
    }
}

/// What a world came to.
#[derive(Debug)]
pub struct Outcome {
    pub fates: BTreeMap<u64, Fate>,
    /// The deliveries of each stream, in the order of their places.
    pub places: Vec<Vec<u64>>,
    pub stream_writes: u64,
    /// The greatest age of a stream's message when it was received, and the most receives of one.
    pub oldest_ms: i64,
    pub most_receives: u32,
    pub ended_at: i64,
}

/// An endpoint, an event, and a delivery of it to the endpoint before its first attempt.
#[expect(clippy::expect_used, reason = "constants of this file")]
fn beginnings() -> (Endpoint, Event, Delivery) {
    let (start, name) = (Timestamp::from_millis(0), EventName::from_stored("call.ended"));
    let endpoint = Endpoint::new(
        ProjectId::new(start),
        EndpointId::new(start),
        Shards::ONE,
        "https://example.com".into(),
        vec![name.clone().into()],
        vec![1].into(),
        start,
    );
    let data = serde_json::from_str("{}").expect("JSON");
    let content = EventContent { name, customer_id: None, notification_id: None, data };
    let (project, event, year) =
        (endpoint.project_id, EventId::new(start), Duration::from_secs(365 * 86_400));
    let event = Event::accept(project, event, &content, &Routes::to(&endpoint), start, year);
    let listed: EventDelivery = event.deliveries[0];
    let untried = Delivery::pending(&event, &listed);
    (endpoint, event, untried)
}

/// Lets events come in for a while, and an hour later one more for each stream, and then runs until nothing moves any more.
///
/// # Panics
/// Never: its constants are valid.
#[must_use]
#[expect(clippy::expect_used, reason = "constants of this file")]
pub fn run(seed: u64, streams: usize, events: u64, faults: Faults, design: Design) -> Outcome {
    let (mut endpoint, event, untried) = beginnings();
    let limit = RateLimit { per_second: faults.per_second, since: Timestamp::from_millis(0) };
    endpoint.state.rate_limit = (faults.per_second > 0).then_some(limit);
    let state = State {
        now: 0,
        random: Random::new(seed),
        faults,
        design,
        streams: (0..streams).map(|_| Stream::default()).collect(),
        rows: HashMap::new(),
        erased: BTreeSet::new(),
        untried,
        event,
        endpoint,
        schedule: RetrySchedule::parse("60,60,60").expect("a schedule"),
        fates: BTreeMap::new(),
        messages: BTreeMap::new(),
        next: 0,
        wakes: BTreeSet::new(),
        current: 0,
        dead: false,
        disabled_until: 0,
        slow_until: 0,
        writes: 0,
        oldest_ms: 0,
        most_receives: 0,
    };
    let world = Rc::new(RefCell::new(state));
    let mut jobs: HashMap<u64, Pin<Box<dyn Future<Output = ()>>>> = HashMap::new();
    let mut next_job = 0;
    let (mut posted, mut next_post) = (0, 0);
    let mut context = Context::from_waker(Waker::noop());
    // Two days are enough for every schedule.
    while world.borrow().now < 48 * 3_600_000 {
        let (now, skew, message, post) = {
            let mut world = world.borrow_mut();
            let next_wake = world.wakes.first().map(|(at, _)| *at);
            let next_message = world.messages.values().map(|message| message.visible_at).min();
            let next_event = (posted < events + streams as u64).then_some(next_post);
            let Some(now) = [next_wake, next_message, next_event].into_iter().flatten().min() else { break };
            world.now = world.now.max(now);
            let now = world.now;
            let most = faults.skew_ms;
            let skew =
                if most == 0 { 0 } else { world.random.below(2 * most.cast_unsigned()).cast_signed() - most };
            let ready = world.messages.iter().find(|(_, message)| message.visible_at <= now);
            let message = ready.map(|(id, _)| *id);
            let message = message.and_then(|id| {
                let duplicate = world.faults.duplicate;
                let shown_again = world.random.once_in(duplicate);
                world.hide(id, if shown_again { 1 } else { VISIBILITY_MS });
                let message = world.messages.get_mut(&id)?;
                message.receives += 1;
                let message = message.clone();
                if matches!(message.body, Body::Stream(_)) {
                    world.oldest_ms = world.oldest_ms.max(now - message.sent_at);
                    world.most_receives = world.most_receives.max(message.receives);
                }
                Some((id, message))
            });
            (now, skew, message, next_event.is_some_and(|at| at <= now))
        };
        let job = Job::new(&world, skew, now, message.is_none());
        if let Some((id, message)) = message {
            next_job += 1;
            jobs.insert(next_job, Box::pin(job.take_message(id, message)));
            world.borrow_mut().wakes.insert((now, next_job));
        } else if post {
            // One event, or a batch.
            let most = if world.borrow_mut().random.once_in(5) { 4 } else { 1 };
            let batch: Vec<u64> = (posted + 1..=(posted + most).min(events.max(posted + 1))).collect();
            posted += batch.len() as u64;
            next_job += 1;
            let (stream, gap) = {
                let mut world = world.borrow_mut();
                let stream = match posted.checked_sub(events + 1) {
                    None => usize::try_from(world.random.below(streams as u64)).unwrap_or(0),
                    Some(late) => usize::try_from(late).unwrap_or(0),
                };
                if faults.disabled && world.random.once_in(60) {
                    world.disabled_until = now + 3_000;
                }
                if faults.slow == Slow::NowAndThen && world.random.once_in(30) {
                    world.slow_until = now + 30_000;
                }
                let gap = if world.random.once_in(10) { 2_000 } else { 20 };
                (stream, world.random.below(gap).cast_signed())
            };
            next_post = now + if posted == events { 3_600_000 } else { gap };
            jobs.insert(next_job, Box::pin(job.clone().post(batch, stream)));
            world.borrow_mut().wakes.insert((now, next_job));
            let erases = world.borrow_mut().random.once_in(faults.erased);
            let victim = erases.then(|| world.borrow_mut().choose_to_erase()).flatten();
            if let Some(victim) = victim {
                next_job += 1;
                jobs.insert(next_job, Box::pin(job.erase(victim)));
                world.borrow_mut().wakes.insert((now, next_job));
            }
        }
        let due = {
            let mut world = world.borrow_mut();
            let due = world.wakes.first().copied().filter(|(at, _)| *at <= now);
            if let Some(wake) = due {
                world.wakes.remove(&wake);
                world.current = wake.1;
                world.dead = false;
            }
            due
        };
        let Some((_, id)) = due else { continue };
        let Some(future) = jobs.get_mut(&id) else { continue };
        let is_done = future.as_mut().poll(&mut context).is_ready();
        let is_dead = world.borrow().dead;
        if is_done || is_dead {
            jobs.remove(&id);
        }
    }
    let world = world.borrow();
    let places = world.streams.iter().map(|stream| {
        let entries = stream.chunks.values().flat_map(|chunk| &chunk.entries);
        let mut met = BTreeSet::new();
        entries.map(|entry| number_of(entry.delivery_id)).filter(|n| met.insert(*n)).collect()
    });
    Outcome {
        fates: world.fates.clone(),
        places: places.collect(),
        stream_writes: world.writes,
        oldest_ms: world.oldest_ms,
        most_receives: world.most_receives,
        ended_at: world.now,
    }
}
