//! A stream's job, as `functions/delivery/src/streams/` carries it out.

use std::collections::BTreeSet;

use echo_shared::decision::{Lane, OVERTAKEN_WAIT, stand_back};
use echo_shared::delivery::Delivery;
use echo_shared::id::DeliveryId;
use echo_shared::job::{Chain, Job as Body, StreamJob};
use echo_shared::stream::{
    Block, COMES_BACK, Chunk, Coming, Entry, Inside, Look, LookingJob, Place, ROUNDS, SLICE, Seen, coming,
    inside, leaves_for_slow_lane, look, takes_number,
};
use echo_shared::time::Timestamp;

use super::calls::Job;
use super::turns::{Disposal, Held, TurnEnd, is_slow, millis};
use super::{Design, Fault, INVOCATION_MS, REQUEST_TIMEOUT, number_of_stream};

/// The time that an attempt and its record may need at an invocation's end.
const ATTEMPT_MS: i64 = 18_000;

/// So long after the last sign of life another job takes this one for lost.
const LIFE_MS: i64 = 17_000;

/// A stream's job at work.
struct Runner<'a> {
    held: Held,
    name: String,
    job: &'a StreamJob,
    stream: usize,
}

/// How one round of a run ended.
enum RoundEnd {
    Over(Disposal),
    LookAgain { after: Option<DeliveryId> },
    Behind { block: Block, number: u64 },
}

impl Job {
    pub(super) async fn run(&self, held: Held, job: StreamJob) -> Result<Disposal, Fault> {
        let runner =
            Runner { held, name: held.id.to_string(), job: &job, stream: number_of_stream(job.stream) };
        let mut after = job.after;
        let mut looks = 1;
        let mut end = self.round(&runner, after).await?;
        loop {
            end = match end {
                RoundEnd::Over(disposal) => return Ok(disposal),
                RoundEnd::Behind { block, number } => {
                    self.take_next(&runner, Some(&block), Place::after(&block), number, None).await?
                }
                RoundEnd::LookAgain { .. } if looks == ROUNDS => {
                    return self.keep(&runner, millis(OVERTAKEN_WAIT)).await;
                }
                RoundEnd::LookAgain { after: ended } => {
                    looks += 1;
                    after = ended.or(after);
                    self.round(&runner, after).await?
                }
            };
        }
    }

    async fn keep(&self, runner: &Runner<'_>, ms: i64) -> Result<Disposal, Fault> {
        self.call(|world| world.hide(runner.held.id, ms)).await?;
        Ok(Disposal::Keep)
    }

    async fn round(&self, runner: &Runner<'_>, after: Option<DeliveryId>) -> Result<RoundEnd, Fault> {
        let looking = LookingJob { message: &runner.name, after };
        let head = self.call(|world| world.streams[runner.stream].head.clone()).await?;
        let block = head.as_ref().and_then(|head| head.block.clone());
        let last = match &block {
            Some(block) => Some(self.call(|world| world.seen(block.last)).await?),
            None => None,
        };
        let now = Timestamp::from_millis(self.clock());
        match (look(head.as_ref(), last, looking, now), block.as_ref()) {
            (Look::Inside, Some(block))
                if self.design() == Design::LastEndsAll && last.is_some_and(|it| it.has_ended) =>
            {
                let number = last.and_then(|it| it.sequence).unwrap_or(0) + 1;
                self.take_next(runner, Some(block), Place::after(block), number, after).await
            }
            (Look::Leave, _) | (Look::Inside, None) => Ok(RoundEnd::Over(Disposal::Delete)),
            (Look::Next { place, number }, block) => {
                self.take_next(runner, block, place, number, after).await
            }
            (Look::Inside, Some(block)) => self.look_inside(runner, block, looking).await,
        }
    }

    async fn look_inside(
        &self,
        runner: &Runner<'_>,
        block: &Block,
        looking: LookingJob<'_>,
    ) -> Result<RoundEnd, Fault> {
        let chunk = self.call(|world| world.streams[runner.stream].chunks.get(&block.chunk).cloned()).await?;
        let chunk = chunk.unwrap_or(Chunk { made: 0, entries: Vec::new() });
        let own = &chunk.entries[block.from as usize..block.to as usize];
        let (seen, rows): (Vec<Seen>, Vec<Option<Delivery>>) = self
            .call(|world| {
                let row = |it: &Entry| (world.seen(it.delivery_id), world.rows.get(&it.delivery_id).cloned());
                own.iter().map(row).unzip()
            })
            .await?;
        let early = if self.design() == Design::NoStandingBack { 100_000 } else { 0 };
        let now = Timestamp::from_millis(self.clock() + early);
        let looking =
            if self.design() == Design::NoReturn { LookingJob { message: "", ..looking } } else { looking };
        match inside(block, &chunk.entries, &seen, looking, now, REQUEST_TIMEOUT) {
            Inside::Leave => Ok(RoundEnd::Over(Disposal::Delete)),
            Inside::Done { number } => {
                self.take_next(runner, Some(block), Place::after(block), number, looking.after).await
            }
            Inside::Wait { until } => {
                Ok(RoundEnd::Over(self.keep(runner, until.as_millis() - now.as_millis()).await?))
            }
            Inside::TakeOver { index, number, is_tried } => {
                let number = if self.design() == Design::NumberFromTheBlock { block.number } else { number };
                let rest = Block { from: index, number, ..block.clone() };
                self.take(runner, Some(block), rest, &chunk.entries, is_tried, looking.after).await
            }
            Inside::StandIn { index } => {
                let entry = chunk.entries[index as usize];
                let row = rows.into_iter().nth((index - block.from) as usize).flatten().ok_or(Fault)?;
                let chain = row.chain.map(|_| Chain::from_number(self.token()));
                let job = echo_shared::job::DeliveryJob { chain, ..runner.job.delivery_job(entry) };
                match self.act(runner.held, &job, row, None).await? {
                    TurnEnd::GoesOn(disposal) => Ok(RoundEnd::Over(disposal)),
                    TurnEnd::Ended => Ok(RoundEnd::LookAgain { after: Some(entry.delivery_id) }),
                }
            }
        }
    }

    async fn take_next(
        &self,
        runner: &Runner<'_>,
        before: Option<&Block>,
        mut place: Place,
        number: u64,
        after: Option<DeliveryId>,
    ) -> Result<RoundEnd, Fault> {
        loop {
            let chunk =
                self.call(|world| world.streams[runner.stream].chunks.get(&place.chunk).cloned()).await?;
            match (coming(place, 0, chunk.as_ref()), chunk) {
                (Coming::LookAt(next), _) => place = next,
                (Coming::Entries { from, to }, Some(chunk)) => {
                    let Some(block) = Block::of(place.chunk, &chunk, from, to, number) else {
                        return Ok(RoundEnd::Over(Disposal::Delete));
                    };
                    return self.take(runner, before, block, &chunk.entries, false, after).await;
                }
                _ => return Ok(RoundEnd::Over(Disposal::Delete)),
            }
        }
    }

    async fn take(
        &self,
        runner: &Runner<'_>,
        before: Option<&Block>,
        block: Block,
        entries: &[Entry],
        is_tried: bool,
        after: Option<DeliveryId>,
    ) -> Result<RoundEnd, Fault> {
        let endpoint = self.call(|world| world.endpoint()).await?;
        let keeps = is_tried && self.design() != Design::LeavesWhatWasTried;
        if leaves_for_slow_lane(runner.held.lane, is_slow(&endpoint, self.clock()), keeps) {
            return Ok(RoundEnd::Over(self.leave(runner, Lane::Slow, after).await?));
        }
        if !self.has_time() {
            return Ok(RoundEnd::Over(self.keep(runner, 0).await?));
        }
        let taken_at = Timestamp::from_millis(self.clock());
        let block = block.taken(before, &runner.name, self.token(), taken_at);
        let life = self.now();
        if !self.call(|world| world.take(runner.stream, before, &block)).await? {
            return Ok(RoundEnd::LookAgain { after });
        }
        self.world.borrow_mut().hide(runner.held.id, millis(COMES_BACK));
        self.work(runner, &block, entries, is_tried, life).await
    }

    async fn work(
        &self,
        runner: &Runner<'_>,
        block: &Block,
        entries: &[Entry],
        is_tried: bool,
        mut life: i64,
    ) -> Result<RoundEnd, Fault> {
        let (mut number, mut ended, mut met) = (block.number, None, BTreeSet::new());
        for (place, of) in entries[block.from as usize..block.to as usize].iter().enumerate() {
            let id = of.delivery_id;
            if ended.is_some() && (self.is_out_of_slice() || !self.has_time()) {
                return Ok(RoundEnd::Over(self.leave(runner, runner.held.lane, ended).await?));
            }
            if !met.insert(id) {
                continue;
            }
            let (row, seen, endpoint, event) = self
                .call(|world| {
                    let event = (!world.erased.contains(&id)).then(|| world.event.clone());
                    (world.rows.get(&id).cloned(), world.seen(id), world.endpoint(), event)
                })
                .await?;
            if seen.has_ended {
                number = seen.number_after(number);
                continue;
            }
            if seen.is_handed_on {
                return Ok(RoundEnd::LookAgain { after: None });
            }
            if leaves_for_slow_lane(runner.held.lane, is_slow(&endpoint, self.clock()), ended.is_none()) {
                return Ok(RoundEnd::Over(self.leave(runner, Lane::Slow, ended).await?));
            }
            if self.now() - life > LIFE_MS {
                return Ok(RoundEnd::Over(self.keep(runner, 5_000).await?));
            }
            let takes_number = takes_number(Some(&endpoint), event.as_ref(), is_tried && place == 0);
            life = self.now();
            let job = runner.job.delivery_job(*of);
            let given = Some(takes_number.then_some(number));
            match self.act(runner.held, &job, row.ok_or(Fault)?, given).await? {
                TurnEnd::GoesOn(disposal) => return Ok(RoundEnd::Over(disposal)),
                TurnEnd::Ended => {
                    number += u64::from(takes_number);
                    ended = Some(id);
                }
            }
        }
        if self.design() == Design::NoLastLook {
            return Ok(RoundEnd::Over(Disposal::Delete));
        }
        if self.is_out_of_slice() || !self.has_time() {
            return Ok(RoundEnd::Over(self.leave(runner, runner.held.lane, None).await?));
        }
        Ok(RoundEnd::Behind { block: block.clone(), number })
    }

    fn is_out_of_slice(&self) -> bool {
        self.now() > self.began + millis(SLICE)
    }

    fn has_time(&self) -> bool {
        self.now() + ATTEMPT_MS <= self.began + INVOCATION_MS
    }

    fn token(&self) -> u32 {
        u32::try_from(self.world.borrow_mut().random.below(1 << 32)).unwrap_or(0)
    }

    async fn leave(
        &self,
        runner: &Runner<'_>,
        lane: Lane,
        after: Option<DeliveryId>,
    ) -> Result<Disposal, Fault> {
        let body = Body::Stream(StreamJob { after, ..runner.job.clone() });
        if self.call(|world| world.send(lane, body, 0)).await.is_ok() {
            return Ok(Disposal::Delete);
        }
        self.keep(runner, millis(stand_back(REQUEST_TIMEOUT))).await
    }
}
