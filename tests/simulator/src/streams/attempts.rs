//! The attempts of deliveries, their retries, and the posts of producers.

use echo_shared::stream::Entry;

use super::calls::Job;
use super::{Body, Design, Fate, Fault, INVOCATION_MS, MOST_ATTEMPTS, Row, State, entry, number_of};

/// How a turn on one delivery ended.
pub(super) enum Turn {
    Ended,
    /// Another message drives it, or this one does later.
    GoesOn {
        delete: bool,
    },
}

/// What becomes of a message.
pub(super) enum Disposal {
    Delete,
    Keep,
}

impl Job {
    /// One attempt of a delivery, if its row is as it was read, and its record.
    pub(super) async fn attempt(
        &self,
        stream: usize,
        of: Entry,
        row: Row,
        number: Option<u64>,
    ) -> Result<Turn, Fault> {
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

    pub(super) async fn take_message(self, message: u64, body: Body) {
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
    pub(super) async fn post(self, n: u64, stream: usize) {
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
