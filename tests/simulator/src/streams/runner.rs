//! A stream's job, as `functions/delivery/src/streams/` carries it out.

use std::collections::BTreeSet;

use echo_shared::decision::stand_back;
use echo_shared::id::DeliveryId;
use echo_shared::stream::{
    Block, Chunk, Coming, Entry, Inside, Look, Place, Seen, Woken, coming, inside, look,
};
use echo_shared::time::Timestamp;

use super::attempts::{Disposal, Turn};
use super::calls::Job;
use super::{Body, COMES_BACK_MS, Design, Fault, REQUEST_TIMEOUT, Row, SLICE_MS, entry};

impl Job {
    pub(super) async fn run(
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
}
