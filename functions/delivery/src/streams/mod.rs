//! A stream's runner: takes the next deliveries of an ordered endpoint's stream and makes their first attempts one after
//! another. `echo_shared::stream` decides each step; this module carries it out (docs/ordering.md).

mod block;
mod group;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use echo_shared::decision::{Lane, OVERTAKEN_WAIT, stand_back};
use echo_shared::delivery::Delivery;
use echo_shared::id::DeliveryId;
use echo_shared::job::{Chain, DeliveryJob, StreamJob};
use echo_shared::store::{Advanced, Loaded, StoreError};
use echo_shared::stream::{
    Block, COMES_BACK, Coming, Entry, Head, Inside, LINGERS, LISTED_FOR, Look, LookingJob, Place, ROUNDS,
    SLICE, Seen, coming, inside, is_listed_anew, leaves_for_slow_lane, look, takes_number,
};
use echo_shared::time::Timestamp;
use tokio::time::{Instant, timeout};

pub(crate) use self::block::stuck_at;
use self::block::{entries_of, is_slow, within};
pub(crate) use self::group::{Group, of_batch};
use crate::App;
use crate::message::{Disposal, Message};
use crate::metrics::Tally;
use crate::own_fault::OwnFault;
use crate::turn::rows::{self, Rows};
use crate::turn::slowness::SpeedMarks;
use crate::turn::{SLOW_STORE, TakenByRunner, Turn, TurnEnd, has_time_after};

/// After a turn that took at most this long, the rows of the delivery after the next one are read during the next turn. They
/// are used if they are no older than this, and if that turn has not changed the endpoint's row. So the stream of a quick
/// receiver waits for one call to DynamoDB between two requests, and not for two.
const READ_AHEAD: Duration = Duration::from_millis(100);

/// A job of a stream, and everything that its run needs.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) app: Arc<App>,
    pub(crate) message: Arc<Message>,
    pub(crate) lane: Lane,
    pub(crate) job: StreamJob,
    pub(crate) marks: Arc<SpeedMarks>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) deadline: Instant,
    pub(crate) began: Instant,
    /// The batch's other jobs of the same stream, if there are any.
    pub(crate) group: Option<Arc<Group>>,
}

/// Rows that were read during the turn before.
struct Ahead {
    delivery_id: DeliveryId,
    loaded: Loaded,
    /// When the read began.
    began: Instant,
}

/// How one round of a run ended.
enum RoundEnd {
    /// The run is over.
    Over(Disposal),
    /// Look at the stream again, after this delivery if one is named.
    LookAgain { after: Option<DeliveryId> },
    /// The block has ended: take what comes behind it, with this number. A run may pass hundreds of blocks, so no block is worked
    /// through inside of the call for another one: the stack would not hold them.
    Behind { block: Block, number: u64 },
}

impl Runner {
    pub(crate) async fn run(self) -> Disposal {
        let ran = async { if self.acts().await? { self.rounds().await } else { Ok(Disposal::Delete) } };
        match ran.await {
            Ok(disposal) => disposal,
            Err(error) => {
                tracing::error!(%error, "an internal fault holds a stream up");
                self.message.back_off().await
            }
        }
    }

    /// Whether this job acts for its group.
    async fn acts(&self) -> Result<bool, StoreError> {
        let Some(Group { messages, acting }) = self.group.as_deref() else { return Ok(true) };
        let choose = async {
            let head = self.app.store.stream_head(&self.job.key()).await?;
            let runner = head.and_then(|head| head.block).map(|block| block.runner);
            Ok::<_, StoreError>(
                runner.filter(|it| messages.contains(it)).unwrap_or_else(|| messages[0].clone()),
            )
        };
        Ok(*acting.get_or_try_init(|| choose).await? == self.message.id)
    }

    async fn rounds(&self) -> Result<Disposal, OwnFault> {
        let mut after = self.job.after;
        let mut looks = 1;
        let mut end = self.round(after).await?;
        loop {
            end = match end {
                RoundEnd::Over(disposal) => return Ok(disposal),
                RoundEnd::Behind { block, number } => {
                    let place = Place::after(&block);
                    let head = Head { tail: block.chunk, block: Some(block) };
                    self.take_next(Some(&head), place, number, None).await?
                }
                RoundEnd::LookAgain { .. } if looks == ROUNDS => {
                    return Ok(self.message.hide(OVERTAKEN_WAIT).await);
                }
                RoundEnd::LookAgain { after: ended } => {
                    looks += 1;
                    after = ended.or(after);
                    self.round(after).await?
                }
            };
        }
    }

    async fn round(&self, after: Option<DeliveryId>) -> Result<RoundEnd, OwnFault> {
        let store = &self.app.store;
        let looking = LookingJob { message: &self.message.id, after };
        let head = store.stream_head(&self.job.key()).await?;
        let block = head.as_ref().and_then(|head| head.block.as_ref());
        let last = match block {
            Some(block) => {
                let rows = store.deliveries_by_id(&[(self.job.endpoint_id, block.last)]).await?;
                Some(Seen::of(rows.get(&block.last), Timestamp::now()))
            }
            None => None,
        };
        match (look(head.as_ref(), last, looking, Timestamp::now()), block) {
            (Look::Leave, _) => Ok(RoundEnd::Over(Disposal::Delete)),
            (Look::Next { place, number }, _) => self.take_next(head.as_ref(), place, number, after).await,
            (Look::Inside, Some(block)) => self.look_inside(&head, block, looking).await,
            (Look::Inside, None) => Ok(RoundEnd::Over(self.message.back_off().await)),
        }
    }

    async fn look_inside(
        &self,
        head: &Option<Head>,
        block: &Block,
        looking: LookingJob<'_>,
    ) -> Result<RoundEnd, OwnFault> {
        let (store, stream) = (&self.app.store, self.job.key());
        let (entries, rows) = within(store, &stream, block).await?;
        let own = entries_of(block, &entries);
        let now = Timestamp::now();
        let seen: Vec<Seen> = own.iter().map(|entry| Seen::of(rows.get(&entry.delivery_id), now)).collect();
        let timeout = self.app.settings.request_timeout;
        match inside(block, &entries, &seen, looking, now, timeout) {
            Inside::Leave => Ok(RoundEnd::Over(Disposal::Delete)),
            Inside::Done { number } => {
                self.take_next(head.as_ref(), Place::after(block), number, looking.after).await
            }
            Inside::Wait { until } => Ok(RoundEnd::Over(self.message.hide(until.since(now)).await)),
            Inside::TakeOver { index, number, is_tried } => {
                let rest = Block { from: index, number, ..block.clone() };
                self.take(Some(block), rest, &entries, is_tried, looking.after).await
            }
            Inside::StandIn { index } => {
                let Some(entry) = entries.get(index as usize) else {
                    return Ok(RoundEnd::Over(self.message.back_off().await));
                };
                let row = rows.get(&entry.delivery_id);
                self.stand_in(*entry, row).await
            }
        }
    }

    /// Acts for a delivery that was handed on and has not ended. If its row names no other job, this one is its job.
    async fn stand_in(&self, entry: Entry, row: Option<&Delivery>) -> Result<RoundEnd, OwnFault> {
        let chain = row.and_then(|row| row.chain).map(|_| Chain::new());
        let turn = self.turn(DeliveryJob { chain, ..self.job.delivery_job(entry) }, None);
        let loaded = rows::load(&self.app.store, &[&turn.job]).await?;
        match turn.act(Rows::of(&turn.job, &loaded)).await? {
            TurnEnd::GoesOn(disposal) => Ok(RoundEnd::Over(disposal)),
            TurnEnd::Ended { .. } => Ok(RoundEnd::LookAgain { after: Some(entry.delivery_id) }),
        }
    }

    /// Takes what comes next, if anything does.
    async fn take_next(
        &self,
        head: Option<&Head>,
        mut place: Place,
        number: u64,
        after: Option<DeliveryId>,
    ) -> Result<RoundEnd, OwnFault> {
        let before = head.and_then(|head| head.block.as_ref());
        let tail = head.map_or(0, |head| head.tail);
        loop {
            let chunk = self.app.store.stream_chunk(&self.job.key(), place.chunk).await?;
            let (from, to) = match coming(place, tail, chunk.as_ref()) {
                Coming::Nothing => return Ok(RoundEnd::Over(Disposal::Delete)),
                Coming::LookAt(next) => {
                    place = next;
                    continue;
                }
                Coming::Entries { from, to } => (from, to),
            };
            let taken = chunk
                .and_then(|chunk| Some((Block::of(place.chunk, &chunk, from, to, number)?, chunk.entries)));
            return match taken {
                Some((block, entries)) => self.take(before, block, &entries, false, after).await,
                None => Ok(RoundEnd::Over(Disposal::Delete)),
            };
        }
    }

    /// Takes a block for this job, and works through it.
    async fn take(
        &self,
        before: Option<&Block>,
        block: Block,
        entries: &[Entry],
        is_tried: bool,
        after: Option<DeliveryId>,
    ) -> Result<RoundEnd, OwnFault> {
        let store = &self.app.store;
        let endpoint = store.endpoint(&self.job.project_id, &self.job.endpoint_id).await?;
        if leaves_for_slow_lane(self.lane, is_slow(endpoint.as_ref()), is_tried) {
            return Ok(RoundEnd::Over(self.leave_to(Lane::Slow, after).await));
        }
        let (stream, taken_at) = (self.job.key(), Timestamp::now());
        let lists = is_listed_anew(stream.tag, before, taken_at);
        // A row that is deleted would be written anew. The mark was there before the endpoint went, and a project that
        // is marked later keeps its streams until this write has ended.
        let makes_a_row = before.is_none() || lists;
        if makes_a_row && endpoint.is_none() && self.is_being_erased().await? {
            return Ok(RoundEnd::Over(Disposal::Delete));
        }
        if !self.has_time() {
            return Ok(RoundEnd::Over(self.message.hide(Duration::ZERO).await));
        }
        let block = block.taken(before, &self.message.id, rand::random(), taken_at);
        let expires_at = taken_at.plus(self.app.settings.retention + LINGERS);
        if lists {
            store.list_stream(&stream, expires_at.plus(LISTED_FOR).as_seconds()).await?;
        }
        let life = Instant::now();
        let take = store.take_block(&stream, before, &block, expires_at.as_seconds());
        let (taken, hidden) = tokio::join!(take, self.message.hide(COMES_BACK));
        if hidden == Disposal::HeldBack {
            tracing::warn!("if this function dies, its stream waits for the queue's visibility timeout");
        }
        match taken? {
            Advanced::Overtaken => Ok(RoundEnd::LookAgain { after }),
            Advanced::Done => self.work(&block, entries, is_tried, life).await,
        }
    }

    /// Whether the stream's project is being erased, or is gone. Its deliveries go too, so nothing waits for the stream.
    async fn is_being_erased(&self) -> Result<bool, StoreError> {
        let routes = self.app.store.routes_to_erase(&self.job.project_id).await?;
        Ok(routes.is_none_or(|routes| routes.is_erased))
    }

    /// Makes the first attempts of a block's deliveries. `life` is the time of the latest write that others can see:
    /// just before the block was taken, and then before each attempt.
    async fn work(
        &self,
        block: &Block,
        entries: &[Entry],
        is_tried: bool,
        mut life: Instant,
    ) -> Result<RoundEnd, OwnFault> {
        let own = entries_of(block, entries);
        let jobs: Vec<DeliveryJob> = own.iter().map(|entry| self.job.delivery_job(*entry)).collect();
        let store = &self.app.store;
        let others: Vec<_> =
            own.iter().skip(1).map(|entry| (self.job.endpoint_id, entry.delivery_id)).collect();
        let first: Vec<_> = jobs.iter().take(1).collect();
        let (others, first) = tokio::try_join!(store.deliveries_by_id(&others), rows::load(store, &first))?;
        let (mut number, mut ended) = (block.number, None);
        let mut met = HashSet::new();
        let (mut ahead, mut is_quick) = (None, false);
        for (place, job) in jobs.iter().cloned().enumerate() {
            let delivery_id = job.delivery_id;
            if ended.is_some() && (self.began.elapsed() > SLICE || !self.has_time()) {
                return Ok(RoundEnd::Over(self.leave_to(self.lane, ended).await));
            }
            // An acceptance that was repeated may have appended a delivery twice.
            if !met.insert(delivery_id) {
                continue;
            }
            let known = Seen::of(others.get(&delivery_id), Timestamp::now());
            if place > 0 && known.has_ended {
                number = known.number_after(number);
                continue;
            }
            // Every attempt reads its rows: the endpoint may have been changed since the block was taken (contract §3).
            let is_good =
                |ahead: &Ahead| ahead.delivery_id == delivery_id && ahead.began.elapsed() <= READ_AHEAD;
            let rows = match ahead.take().filter(is_good) {
                _ if place == 0 => Rows::of(&job, &first),
                Some(Ahead { loaded, .. }) => Rows::of(&job, &loaded),
                None => Rows::of(&job, &rows::load(store, &[&job]).await?),
            };
            let seen = Seen::of(rows.delivery.as_ref(), Timestamp::now());
            if seen.has_ended {
                number = seen.number_after(number);
                continue;
            }
            if seen.is_handed_on {
                return Ok(RoundEnd::LookAgain { after: None });
            }
            if leaves_for_slow_lane(self.lane, is_slow(rows.endpoint.as_ref()), ended.is_none()) {
                return Ok(RoundEnd::Over(self.leave_to(Lane::Slow, ended).await));
            }
            // Later another job may take this one for lost. The message comes back, and looks at what was done.
            if life.elapsed() > self.app.settings.request_timeout + SLOW_STORE {
                return Ok(RoundEnd::Over(self.message.back_off().await));
            }
            let takes_number =
                takes_number(rows.endpoint.as_ref(), rows.event.as_deref(), is_tried && place == 0);
            let by_runner = TakenByRunner { number: takes_number.then_some(number) };
            let turn = self.turn(job, Some(by_runner));
            life = Instant::now();
            let hangs = rows.endpoint.as_ref().is_some_and(|endpoint| endpoint.hanging().is_some());
            let next = jobs.get(place + 1).filter(|_| is_quick && !hangs);
            let (acted, loaded) = tokio::join!(turn.act(rows), self.read_ahead(next));
            is_quick = life.elapsed() <= READ_AHEAD;
            match acted? {
                TurnEnd::GoesOn(disposal) => return Ok(RoundEnd::Over(disposal)),
                TurnEnd::Ended { is_counted } => {
                    ahead = loaded.filter(|_| !is_counted);
                    number += u64::from(takes_number);
                    ended = Some(delivery_id);
                }
            }
        }
        self.after_block(block, number).await
    }

    /// Reads the next delivery's rows. A read that fails or is slow is made again when the rows are needed.
    async fn read_ahead(&self, next: Option<&DeliveryJob>) -> Option<Ahead> {
        let (next, began) = (next?, Instant::now());
        let loaded = timeout(READ_AHEAD, rows::load(&self.app.store, &[next])).await.ok()?.ok()?;
        Some(Ahead { delivery_id: next.delivery_id, loaded, began })
    }

    /// Goes on behind a block, or leaves the stream to a new job.
    async fn after_block(&self, block: &Block, number: u64) -> Result<RoundEnd, OwnFault> {
        if self.began.elapsed() > SLICE || !self.has_time() {
            return Ok(RoundEnd::Over(self.leave_to(self.lane, None).await));
        }
        Ok(RoundEnd::Behind { block: block.clone(), number })
    }

    /// Leaves the stream to a new job, which goes on after a delivery that has ended.
    async fn leave_to(&self, lane: Lane, after: Option<DeliveryId>) -> Disposal {
        let job = StreamJob { after, ..self.job.clone() };
        match self.app.queues.of(lane).wake(&job).await {
            Ok(()) => Disposal::Delete,
            Err(error) => {
                tracing::warn!(%error, "a stream's next job was perhaps not queued; this one stands in");
                self.message.hide(stand_back(self.app.settings.request_timeout)).await.by_our_fault()
            }
        }
    }

    /// Whether an attempt that starts now can end and be recorded within this invocation.
    fn has_time(&self) -> bool {
        has_time_after(Duration::ZERO, &self.app, self.deadline)
    }

    fn turn(&self, job: DeliveryJob, by_runner: Option<TakenByRunner>) -> Turn {
        Turn {
            app: Arc::clone(&self.app),
            message: Arc::clone(&self.message),
            lane: self.lane,
            job,
            reservation: None,
            marks: Arc::clone(&self.marks),
            shared: None,
            tally: Arc::clone(&self.tally),
            deadline: self.deadline,
            by_stream: true,
            by_runner,
        }
    }
}
