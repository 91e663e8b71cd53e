//! An SQS standard queue: visibility, delays, groups served fairly or in order, and silence past the in-flight ceiling.

use std::collections::VecDeque;

/// A standard queue holds about this many received and undeleted messages; past it receives return nothing.
pub const IN_FLIGHT_CEILING: u64 = 120_000;

/// A job as the queue carries it.
#[derive(Debug, Clone, Copy)]
pub struct Message {
    pub delivery: u32,
    pub endpoint: u16,
    pub chain: Option<u32>,
    pub receives: u32,
}

#[derive(Debug, Default)]
struct Group {
    visible: VecDeque<Message>,
    in_flight: u64,
}

#[derive(Debug, Default)]
pub struct Queue {
    groups: Vec<Group>,
    fair: bool,
    visible: u64,
    in_flight: u64,
    next_poll: i64,
}

impl Queue {
    #[must_use]
    pub fn new(endpoints: usize, fair: bool) -> Self {
        // In order, all share one group.
        let endpoints = if fair { endpoints } else { 1 };
        Self {
            groups: (0..endpoints).map(|_| Group::default()).collect(),
            fair,
            visible: 0,
            in_flight: 0,
            next_poll: -1,
        }
    }

    #[must_use]
    pub const fn hidden(&self) -> u64 {
        self.in_flight
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.visible == 0 && self.in_flight == 0
    }

    #[must_use]
    pub const fn has_visible(&self) -> bool {
        self.visible > 0
    }

    /// Whether a poll at that time is planned already; from now on it is.
    pub const fn poll_planned(&mut self, at: i64) -> bool {
        let planned = self.next_poll >= at;
        self.next_poll = at;
        planned
    }

    fn group(&mut self, endpoint: u16) -> &mut Group {
        let index = if self.fair { usize::from(endpoint) } else { 0 };
        &mut self.groups[index]
    }

    pub fn show(&mut self, message: Message) {
        self.visible += 1;
        self.group(message.endpoint).visible.push_back(message);
    }

    /// Takes up to `count` messages; a fair queue takes those of the groups with the fewest in flight first.
    pub fn receive(&mut self, count: usize) -> Vec<Message> {
        let mut received = Vec::new();
        while received.len() < count && self.visible > 0 && self.in_flight < IN_FLIGHT_CEILING {
            let quietest = self.groups.iter_mut().filter(|group| !group.visible.is_empty());
            let Some(group) = quietest.min_by_key(|group| group.in_flight) else { break };
            let Some(mut message) = group.visible.pop_front() else { break };
            message.receives += 1;
            group.in_flight += 1;
            self.in_flight += 1;
            self.visible -= 1;
            received.push(message);
        }
        received
    }

    /// Ends a message's time in flight: it was deleted, or its visibility timeout ran out.
    pub fn release(&mut self, endpoint: u16) {
        self.group(endpoint).in_flight -= 1;
        self.in_flight -= 1;
    }
}
