//! An invocation of a function and its calls to AWS, each of which may fail.

use std::future::poll_fn;
use std::task::Poll;

use super::{Design, Fault, INVOCATION_MS, State, World};

/// One invocation of a function: its clock and its end.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) world: World,
    skew: i64,
    pub(super) began: i64,
    /// A caller waits for its answer: it is the api's, and not the delivery function's.
    is_heard: bool,
}

impl Job {
    pub(super) fn new(world: &World, skew: i64, began: i64, is_heard: bool) -> Self {
        Self { world: World::clone(world), skew, began, is_heard }
    }

    pub(super) fn now(&self) -> i64 {
        self.world.borrow().now
    }

    pub(super) fn clock(&self) -> i64 {
        self.now() + self.skew
    }

    pub(super) async fn sleep(&self, ms: i64) {
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

    pub(super) async fn may_die(&self) -> Result<(), Fault> {
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
    pub(super) async fn call<T>(&self, run: impl FnOnce(&mut State) -> T) -> Result<T, Fault> {
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

    pub(super) fn design(&self) -> Design {
        self.world.borrow().design
    }
}
