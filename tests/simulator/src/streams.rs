//! The streams of an ordered endpoint, in a model of DynamoDB, SQS and Lambda. `echo_shared::stream` decides; the jobs here make
//! the same calls as the delivery function, one after another, and each call may fail, lose its answer or be the last one.
//!
//! A job is a future that a small executor polls at the virtual times at which its calls end.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use echo_shared::decision::stand_back;
use echo_shared::id::{DeliveryId, EventId};
use echo_shared::stream::{
    Block, Chunk, Coming, Entry, FULL, Head, Inside, Look, Place, Seen, Woken, coming, inside, look,
};
use echo_shared::time::Timestamp;

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

/// One invocation of a function: its clock and its end.
#[derive(Clone)]
struct Job {
    world: World,
    skew: i64,
    began: i64,
    /// A caller waits for its answer: it is the api's, and not the delivery function's.
    is_heard: bool,
}

impl Job {
    fn now(&self) -> i64 {
        self.world.borrow().now
    }

    fn clock(&self) -> i64 {
        self.now() + self.skew
    }

    async fn sleep(&self, ms: i64) {
        let until = self.now() + ms.max(0);
        let mut is_set = false;
        poll_fn(|_| {
            let mut world = self.world.borrow_mut();
            if world.now >= until && is_set {
                return Poll::Ready(());
            }
            is_set = true;
            let current = world.current;
            world.wakes.insert((until, current));
            Poll::Pending
        })
        .await;
    }

    async fn may_die(&self) -> Result<(), Fault> {
        let dies = {
            let mut world = self.world.borrow_mut();
            let crash = world.faults.crash;
            let out_of_time = world.now > self.began + INVOCATION_MS;
            let dies = (out_of_time && !self.is_heard) || world.random.once_in(crash);
            world.dead = dies && !self.is_heard;
            dies
        };
        match (dies, self.is_heard) {
            (false, _) => Ok(()),
            // Its caller gets no answer.
            (true, true) => Err(Fault),
            (true, false) => std::future::pending().await,
        }
    }

    /// One call to AWS.
    async fn call<T>(&self, run: impl FnOnce(&mut State) -> T) -> Result<T, Fault> {
        self.may_die().await?;
        let takes = {
            let mut world = self.world.borrow_mut();
            if world.random.once_in(200) { 1_000 } else { 1 + world.random.below(10) }
        };
        self.sleep(takes.cast_signed()).await;
        let refused = {
            let mut world = self.world.borrow_mut();
            let refused = world.faults.refused;
            world.random.once_in(refused)
        };
        if refused {
            return Err(Fault);
        }
        let done = run(&mut self.world.borrow_mut());
        self.may_die().await?;
        let lost = {
            let mut world = self.world.borrow_mut();
            let lost = world.faults.answer_lost;
            world.random.once_in(lost)
        };
        if lost { Err(Fault) } else { Ok(done) }
    }

    fn design(&self) -> Design {
        self.world.borrow().design
    }
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

/// How a turn on one delivery ended.
enum Turn {
    Ended,
    /// Another message drives it, or this one does later.
    GoesOn {
        delete: bool,
    },
}

/// What becomes of a message.
enum Disposal {
    Delete,
    Keep,
}

impl Job {
    /// One attempt of a delivery, if its row is as it was read, and its record.
    async fn attempt(&self, stream: usize, of: Entry, row: Row, number: Option<u64>) -> Result<Turn, Fault> {
        let id = of.delivery_id;
        let active = self.now() >= self.world.borrow().disabled_until;
        let mut after = Row { sequence: row.sequence.or(number), updated_at: self.clock(), ..row };
        if active {
            let (takes, ok) = {
                let mut world = self.world.borrow_mut();
                let now = world.now;
                let fate = world.fates.entry(number_of(id)).or_default();
                fate.requests += 1;
                fate.first_request_at.get_or_insert(now);
                if fate.number.is_some_and(|number| Some(number) != after.sequence) {
                    fate.numbers_differ = true;
                }
                fate.number = after.sequence;
                let takes = if world.random.once_in(40) { 15_000 } else { 5 + world.random.below(30) };
                (takes.cast_signed(), !world.random.once_in(8))
            };
            self.sleep(takes).await;
            after.attempts += 1;
            after.has_ended = ok || after.attempts >= MOST_ATTEMPTS;
            let delay = if after.has_ended { 0 } else { 60_000 };
            after.due_at = self.clock() + delay;
            after.updated_at = self.clock();
        } else {
            after.has_ended = true;
        }
        let chain = (!after.has_ended).then(|| self.world.borrow_mut().random.next());
        after.chain = chain.or(row.chain);
        let record = |world: &mut State| {
            let now = world.now;
            let there = world.rows.entry(id).or_default();
            if there.attempts != row.attempts || there.has_ended {
                return there.attempts == after.attempts && there.updated_at == after.updated_at;
            }
            *there = after;
            let fate = world.fates.entry(number_of(id)).or_default();
            fate.attempts = after.attempts;
            fate.may_lack_a_request |= !active;
            if after.has_ended {
                fate.ended_at = Some(now);
            }
            true
        };
        let mut is_ours = self.call(record).await;
        // A record is repeated while there is time.
        while is_ours.is_err() && self.now() < self.began + INVOCATION_MS - 2_000 {
            self.sleep(200).await;
            is_ours = self.call(record).await;
        }
        if !is_ours? {
            return Err(Fault);
        }
        match chain {
            None => Ok(Turn::Ended),
            Some(chain) => {
                let body = Body::Delivery { stream, entry: of, chain };
                let sent = self.call(|world| world.send(body, 60_000)).await;
                Ok(Turn::GoesOn { delete: sent.is_ok() })
            }
        }
    }

    /// A delivery's own job: a retry.
    async fn retry(&self, message: u64, stream: usize, of: Entry, chain: u64) -> Result<Disposal, Fault> {
        let row = self.call(|world| world.rows.get(&of.delivery_id).copied().unwrap_or_default()).await?;
        if !row.has_ended {
            let own = row.chain == Some(chain);
            let wait = if own { 0 } else { 35_000 };
            let due = row.due_at.max(row.updated_at) + wait;
            let due = if own { row.due_at } else { due };
            if self.clock() < due {
                let ms = due - self.clock();
                self.call(|world| world.hide(message, ms)).await?;
                return Ok(Disposal::Keep);
            }
            match self.attempt(stream, of, row, None).await? {
                Turn::GoesOn { delete: true } => return Ok(Disposal::Delete),
                Turn::GoesOn { delete: false } => {
                    self.call(|world| world.hide(message, 95_000)).await?;
                    return Ok(Disposal::Keep);
                }
                Turn::Ended => {}
            }
        }
        let after = Some(of.delivery_id);
        self.call(|world| world.send(Body::Stream { stream, after }, 0)).await?;
        Ok(Disposal::Delete)
    }

    async fn run(
        &self,
        message: u64,
        stream: usize,
        mut after: Option<DeliveryId>,
    ) -> Result<Disposal, Fault> {
        let name = message.to_string();
        for _ in 0..5 {
            let woken = Woken { message: &name, after };
            let head = self.call(|world| world.streams[stream].head.clone()).await?;
            let block = head.as_ref().and_then(|head| head.block.clone());
            let last = match &block {
                Some(block) => Some(self.call(|world| world.seen(block.last)).await?),
                None => None,
            };
            let design = self.design();
            let looked = match (look(head.as_ref(), last, woken), &block) {
                (Look::Inside, Some(block))
                    if design == Design::LastEndsAll && last.is_some_and(|it| it.has_ended) =>
                {
                    Look::Next {
                        place: Place::after(block),
                        number: last.and_then(|it| it.sequence).unwrap_or(0) + 1,
                    }
                }
                (looked, _) => looked,
            };
            let (block_to_take, tried, chunk) = match (looked, block.as_ref()) {
                (Look::Leave, _) | (Look::Inside, None) => return Ok(Disposal::Delete),
                (Look::Next { place, number }, _) => match self.next(stream, place, number).await? {
                    Some((block, chunk)) => (block, false, chunk),
                    None => return Ok(Disposal::Delete),
                },
                (Look::Inside, Some(block)) => {
                    let chunk =
                        self.call(|world| world.streams[stream].chunks.get(&block.chunk).cloned()).await?;
                    let chunk = chunk.unwrap_or(Chunk { made: 0, entries: Vec::new() });
                    let own = &chunk.entries[block.from as usize..block.to as usize];
                    let seen: Vec<Seen> =
                        self.call(|world| own.iter().map(|it| world.seen(it.delivery_id)).collect()).await?;
                    let clock = self.clock() + if design == Design::NoStandingBack { 100_000 } else { 0 };
                    let now = Timestamp::from_millis(clock);
                    let woken =
                        if design == Design::NoReturn { Woken { message: "", ..woken } } else { woken };
                    match inside(block, &chunk.entries, &seen, woken, now, REQUEST_TIMEOUT) {
                        Inside::Leave => return Ok(Disposal::Delete),
                        Inside::Done { number } => {
                            match self.next(stream, Place::after(block), number).await? {
                                Some((block, chunk)) => (block, false, chunk),
                                None => return Ok(Disposal::Delete),
                            }
                        }
                        Inside::Wait { until } => {
                            let ms = until.as_millis() - clock;
                            self.call(|world| world.hide(message, ms)).await?;
                            return Ok(Disposal::Keep);
                        }
                        Inside::TakeOver { index, number, is_tried } => {
                            let number =
                                if design == Design::NumberFromTheBlock { block.number } else { number };
                            (Block { from: index, number, ..block.clone() }, is_tried, chunk)
                        }
                        Inside::StandIn { index } => {
                            let of = chunk.entries[index as usize];
                            let id = of.delivery_id;
                            let row =
                                self.call(|world| world.rows.get(&id).copied().unwrap_or_default()).await?;
                            let due = row.due_at.max(row.updated_at) + 35_000;
                            if !row.has_ended {
                                if self.clock() < due {
                                    let ms = due - self.clock();
                                    self.call(|world| world.hide(message, ms)).await?;
                                    return Ok(Disposal::Keep);
                                }
                                if let Turn::GoesOn { delete } = self.attempt(stream, of, row, None).await? {
                                    return Ok(if delete { Disposal::Delete } else { Disposal::Keep });
                                }
                            }
                            after = Some(id);
                            continue;
                        }
                    }
                }
            };
            let token = u32::try_from(self.world.borrow_mut().random.below(1 << 32)).unwrap_or(0);
            let taken = Block {
                turn: block.as_ref().map_or(0, |block| block.turn) + 1,
                runner: name.clone(),
                token,
                taken_at: Timestamp::from_millis(self.clock()),
                ..block_to_take
            };
            let life = self.now();
            let is_taken = self.call(|world| world.take(stream, block.as_ref(), &taken)).await?;
            if !is_taken {
                continue;
            }
            self.world.borrow_mut().hide(message, COMES_BACK_MS);
            return self.work(message, stream, taken, chunk, tried, life).await;
        }
        self.call(|world| world.hide(message, 5_000)).await?;
        Ok(Disposal::Keep)
    }

    async fn next(
        &self,
        stream: usize,
        mut place: Place,
        number: u64,
    ) -> Result<Option<(Block, Chunk)>, Fault> {
        loop {
            let chunk = self.call(|world| world.streams[stream].chunks.get(&place.chunk).cloned()).await?;
            match (coming(place, 0, chunk.as_ref()), chunk) {
                (Coming::Nothing, _) | (Coming::Entries { .. }, None) => return Ok(None),
                (Coming::LookAt(next), _) => place = next,
                (Coming::Entries { from, to }, Some(chunk)) => {
                    let last = chunk.entries.last().map_or(entry(0), |last| *last).delivery_id;
                    let block = Block {
                        turn: 0,
                        chunk: place.chunk,
                        made: chunk.made,
                        from,
                        to,
                        last,
                        number,
                        runner: String::new(),
                        token: 0,
                        taken_at: Timestamp::from_millis(0),
                    };
                    return Ok(Some((block, chunk)));
                }
            }
        }
    }

    async fn work(
        &self,
        message: u64,
        stream: usize,
        mut block: Block,
        mut chunk: Chunk,
        mut tried: bool,
        mut life: i64,
    ) -> Result<Disposal, Fault> {
        loop {
            let own = chunk.entries[block.from as usize..block.to as usize].to_vec();
            let rows: Vec<(Row, Seen)> = self
                .call(|world| {
                    let row = |it: &Entry| world.rows.get(&it.delivery_id).copied().unwrap_or_default();
                    own.iter().map(|it| (row(it), world.seen(it.delivery_id))).collect()
                })
                .await?;
            let (mut number, mut ended, mut met) = (block.number, None, BTreeSet::new());
            for (of, (row, seen)) in own.iter().zip(rows) {
                let out_of_time = self.now() > self.began + SLICE_MS;
                if ended.is_some() && out_of_time {
                    return self.leave(message, stream, ended).await;
                }
                if seen.has_ended || !met.insert(of.delivery_id) {
                    continue;
                }
                if seen.is_handed_on {
                    self.call(|world| world.hide(message, 1_000)).await?;
                    return Ok(Disposal::Keep);
                }
                if self.now() - life > 17_000 || self.now() > self.began + 12_000 {
                    self.call(|world| world.hide(message, 5_000)).await?;
                    return Ok(Disposal::Keep);
                }
                let active = self.now() >= self.world.borrow().disabled_until;
                let sent = active || (tried && ended.is_none());
                life = self.now();
                match self.attempt(stream, *of, row, sent.then_some(number)).await? {
                    Turn::Ended => {}
                    Turn::GoesOn { delete } if self.design() == Design::RetriesWaitAside => {
                        if !delete {
                            return Ok(Disposal::Keep);
                        }
                    }
                    Turn::GoesOn { delete: true } => return Ok(Disposal::Delete),
                    Turn::GoesOn { delete: false } => {
                        self.call(|world| world.hide(message, 95_000)).await?;
                        return Ok(Disposal::Keep);
                    }
                }
                number += u64::from(sent);
                ended = Some(of.delivery_id);
                tried = false;
            }
            if self.design() == Design::NoLastLook {
                return Ok(Disposal::Delete);
            }
            if self.now() > self.began + SLICE_MS {
                return self.leave(message, stream, None).await;
            }
            let Some((next, there)) = self.next(stream, Place::after(&block), number).await? else {
                return Ok(Disposal::Delete);
            };
            let token = u32::try_from(self.world.borrow_mut().random.below(1 << 32)).unwrap_or(0);
            let taken_at = Timestamp::from_millis(self.clock());
            let next = Block { turn: block.turn + 1, runner: message.to_string(), token, taken_at, ..next };
            life = self.now();
            if !self.call(|world| world.take(stream, Some(&block), &next)).await? {
                self.call(|world| world.hide(message, 1_000)).await?;
                return Ok(Disposal::Keep);
            }
            self.world.borrow_mut().hide(message, COMES_BACK_MS);
            (block, chunk, tried) = (next, there, false);
        }
    }

    async fn leave(&self, message: u64, stream: usize, after: Option<DeliveryId>) -> Result<Disposal, Fault> {
        if self.call(|world| world.send(Body::Stream { stream, after }, 0)).await.is_ok() {
            return Ok(Disposal::Delete);
        }
        let ms = i64::try_from(stand_back(REQUEST_TIMEOUT).as_millis()).unwrap_or(i64::MAX);
        self.call(|world| world.hide(message, ms)).await?;
        Ok(Disposal::Keep)
    }

    async fn take_message(self, message: u64, body: Body) {
        let done = match body {
            Body::Stream { stream, after } => self.run(message, stream, after).await,
            Body::Delivery { stream, entry, chain } => self.retry(message, stream, entry, chain).await,
        };
        match done {
            Ok(Disposal::Delete) => {
                if self.may_die().await.is_ok() {
                    self.world.borrow_mut().messages.remove(&message);
                }
            }
            Ok(Disposal::Keep) => {}
            Err(Fault) => self.world.borrow_mut().hide(message, 5_000),
        }
    }

    /// Posts an event until it is accepted, and perhaps once more.
    async fn post(self, n: u64, stream: usize) {
        let now = self.now();
        self.world.borrow_mut().fates.insert(n, Fate { stream, posted_at: now, ..Fate::default() });
        let again = self.world.borrow().faults.repeated;
        loop {
            if self.accept(n, stream).await.is_ok() {
                let now = self.now();
                let mut world = self.world.borrow_mut();
                if let Some(fate) = world.fates.get_mut(&n) {
                    fate.answered_at.get_or_insert(now);
                }
                if !world.random.once_in(again) {
                    return;
                }
            }
            self.sleep(300).await;
        }
    }

    async fn accept(&self, n: u64, stream: usize) -> Result<(), Fault> {
        let of = entry(n);
        let (id, clock) = (of.delivery_id, self.clock());
        let is_untried = self
            .call(|world| {
                let row = world.rows.entry(id).or_insert(Row { updated_at: clock, ..Row::default() });
                row.attempts == 0 && !row.has_ended
            })
            .await?;
        if !is_untried {
            return Ok(());
        }
        let job = Body::Stream { stream, after: None };
        if self.design() == Design::JobBeforePlace {
            self.call(|world| world.send(job, 0)).await?;
            self.sleep(50).await;
            return self.call(|world| world.append(stream, of)).await;
        }
        self.call(|world| world.append(stream, of)).await?;
        self.call(|world| world.send(job, 0)).await
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
        let job = Job { world: world.clone(), skew, began: now, is_heard: message.is_none() };
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
