//! The marks for slow and hanging endpoints, written as `echo_shared::store` writes them.

use echo_shared::slowness::{Hanging, is_answer_noted, slow_until};
use echo_shared::time::Timestamp;

use crate::broken::Service;
use crate::chaos::Design;
use crate::world::{Work, World, timestamp};

impl World {
    pub(crate) fn mark_slow(&mut self, endpoint: u16) {
        if matches!(self.settings.design, Design::OneLane | Design::RetriesShareTheFirstQueue) {
            return;
        }
        let now = timestamp(self.now);
        let endpoint = &mut self.endpoints[usize::from(endpoint)];
        endpoint.state.slow_until = slow_until(endpoint.state.slow_until, now).or(endpoint.state.slow_until);
    }

    /// Does the same as `store::mark_hanging`.
    pub(crate) fn mark_hanging(&mut self, endpoint: u16, began_at: i64) {
        let designs = [Design::OneLane, Design::RetriesShareTheFirstQueue, Design::NoProbes];
        let endpoint = &mut self.endpoints[usize::from(endpoint)];
        let answered = endpoint.state.answered_at.is_some_and(|at| at >= timestamp(began_at));
        let answered = answered && self.settings.design != Design::OneTimeoutIsAHang;
        if endpoint.state.hanging_since.is_none() && !answered && !designs.contains(&self.settings.design) {
            let now = Some(timestamp(self.now));
            (endpoint.state.hanging_since, endpoint.state.hanging_tried_at) = (now, now);
        }
    }

    /// Does the same as `store::note_answer`.
    pub(crate) fn note_answer(&mut self, endpoint: u16) {
        let timeout = self.settings.request_timeout;
        let now = timestamp(self.now);
        let endpoint = &mut self.endpoints[usize::from(endpoint)];
        if endpoint.hanging().is_some()
            || (endpoint.is_slow(now) && is_answer_noted(endpoint.state.answered_at, now, timeout))
        {
            endpoint.state.answered_at = Some(now);
            (endpoint.state.hanging_since, endpoint.state.hanging_tried_at) = (None, None);
        }
    }

    /// Does the same as `store::take_probe`; a failed write gives no probe.
    pub(crate) fn take_probe(&mut self, work: &Work, seen: Hanging, now: Timestamp) -> bool {
        if self.refuses(Service::DynamoDb) {
            return false;
        }
        let endpoint = &mut self.endpoints[usize::from(work.message.endpoint)];
        if endpoint.hanging() != Some(seen) {
            return false;
        }
        endpoint.state.hanging_tried_at = Some(now);
        !self.random.once_in(self.settings.chaos.answer_lost)
    }
}
