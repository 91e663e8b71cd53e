//! The streams of an ordered endpoint, in a model of DynamoDB, SQS and Lambda. `echo_shared::stream` decides; the jobs here make
//! the same calls as the delivery function, one after another, and each call may fail, lose its answer or be the last one.
//!
//! `calls` is an invocation and its calls, `attempts` are deliveries' attempts and the posts of producers, and `runner` is a
//! stream's job. A job is a future that a small executor polls at the virtual times at which its calls end.

mod attempts;
mod calls;
mod runner;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use echo_shared::id::{DeliveryId, EventId};
use echo_shared::stream::{Block, Chunk, Entry, FULL, Head, Seen};
use echo_shared::time::Timestamp;

use self::calls::Job;
use crate::random::Random;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const INVOCATION_MS: i64 = 30_000;
const COMES_BACK_MS: i64 = 45_000;
const VISIBILITY_MS: i64 = 180_000;
const SLICE_MS: i64 = 5_000;
const MOST_ATTEMPTS: u32 = 4;

/// How often each fault happens: at one opportunity in this number, or never at 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The function dies before or after a call.
    pub crash: u64,
    pub refused: u64,
    pub answer_lost: u64,
    /// SQS hands a message out a second time.
    pub duplicate: u64,
    /// A producer posts its event again, although it was accepted.
    pub repeated: u64,
    /// The functions' clocks are wrong by up to this.
    pub skew_ms: i64,
    /// The endpoint is disabled now and then.
    pub disabled: bool,
}

/// The design, or the design without one of its parts. A test must notice each missing part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    AsBuilt,
    /// A runner deletes its message at its block's end, without a look at what came meanwhile.
    NoLastLook,
    /// The job is sent before its delivery is appended.
    JobBeforePlace,
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
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    attempts: u32,
    has_ended: bool,
    chain: Option<u64>,
    due_at: i64,
    sequence: Option<u64>,
    updated_at: i64,
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
    pub may_lack_a_request: bool,
}

#[derive(Debug, Clone)]
enum Body {
    Stream { stream: usize, after: Option<DeliveryId> },
    Delivery { stream: usize, entry: Entry, chain: u64 },
}

#[derive(Debug, Clone)]
struct Message {
    body: Body,
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
    rows: HashMap<DeliveryId, Row>,
    fates: BTreeMap<u64, Fate>,
    messages: BTreeMap<u64, Message>,
    next: u64,
    /// When each job's call ends.
    wakes: BTreeSet<(i64, u64)>,
    current: u64,
    dead: bool,
    disabled_until: i64,
    /// Writes to streams' rows.
    writes: u64,
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

impl State {
    fn send(&mut self, body: Body, delay_ms: i64) {
        self.next += 1;
        self.messages.insert(self.next, Message { body, visible_at: self.now + delay_ms });
    }

    fn hide(&mut self, message: u64, ms: i64) {
        let until = self.now + ms;
        if let Some(message) = self.messages.get_mut(&message) {
            message.visible_at = until;
        }
    }

    fn seen(&self, id: DeliveryId) -> Seen {
        let row = self.rows.get(&id).copied().unwrap_or_default();
        Seen {
            has_row: self.rows.contains_key(&id),
            has_ended: row.has_ended || !self.rows.contains_key(&id),
            is_handed_on: row.attempts > 0 || row.chain.is_some(),
            sequence: row.sequence,
            updated_at: Timestamp::from_millis(row.updated_at),
        }
    }

    fn append(&mut self, stream: usize, new: Entry) {
        let made = u32::try_from(self.random.below(1 << 30)).unwrap_or(0);
        let chunks = &mut self.streams[stream].chunks;
        let mut chunk = 0;
        while chunks.get(&chunk).is_some_and(|there| there.entries.len() >= FULL) {
            chunk += 1;
        }
        self.writes += 1;
        let chunk = chunks.entry(chunk).or_insert_with(|| Chunk { made, entries: Vec::new() });
        if !chunk.entries.contains(&new) {
            chunk.entries.push(new);
        }
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
    pub ended_at: i64,
}

/// Lets events come in for a while, and then runs until nothing moves any more.
#[must_use]
pub fn run(seed: u64, streams: usize, events: u64, faults: Faults, design: Design) -> Outcome {
    let state = State {
        now: 0,
        random: Random::new(seed),
        faults,
        design,
        streams: (0..streams).map(|_| Stream::default()).collect(),
        rows: HashMap::new(),
        fates: BTreeMap::new(),
        messages: BTreeMap::new(),
        next: 0,
        wakes: BTreeSet::new(),
        current: 0,
        dead: false,
        disabled_until: 0,
        writes: 0,
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
            let next_event = (posted < events).then_some(next_post);
            let Some(now) = [next_wake, next_message, next_event].into_iter().flatten().min() else { break };
            world.now = world.now.max(now);
            let now = world.now;
            let most = faults.skew_ms;
            let skew =
                if most == 0 { 0 } else { world.random.below(2 * most.cast_unsigned()).cast_signed() - most };
            let ready = world.messages.iter().find(|(_, message)| message.visible_at <= now);
            let message = ready.map(|(id, message)| (*id, message.body.clone()));
            if let Some((id, _)) = &message {
                let duplicate = world.faults.duplicate;
                let shown_again = world.random.once_in(duplicate);
                world.hide(*id, if shown_again { 1 } else { VISIBILITY_MS });
            }
            (now, skew, message, next_event.is_some_and(|at| at <= now))
        };
        let job = Job::new(&world, skew, now, message.is_none());
        if let Some((id, body)) = message {
            next_job += 1;
            jobs.insert(next_job, Box::pin(job.take_message(id, body)));
            world.borrow_mut().wakes.insert((now, next_job));
        } else if post {
            posted += 1;
            next_job += 1;
            let (stream, gap) = {
                let mut world = world.borrow_mut();
                let stream = usize::try_from(world.random.below(streams as u64)).unwrap_or(0);
                if faults.disabled && world.random.once_in(60) {
                    world.disabled_until = now + 3_000;
                }
                let gap = if world.random.once_in(10) { 2_000 } else { 20 };
                (stream, world.random.below(gap).cast_signed())
            };
            next_post = now + gap;
            jobs.insert(next_job, Box::pin(job.post(posted, stream)));
            world.borrow_mut().wakes.insert((now, next_job));
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
        ended_at: world.now,
    }
}
