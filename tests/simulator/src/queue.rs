//! An SQS standard queue: visibility, delays, groups served fairly, and no messages beyond the in-flight limit.

use std::collections::VecDeque;

/// A standard queue holds about this many received and undeleted messages. Beyond that, a receive returns nothing.
pub const IN_FLIGHT_CEILING: u64 = 120_000;

/// A group is noisy when it has more than a tenth of all messages in flight, and at least [`NOISY_FROM`] messages there
/// (SQS Developer Guide, 'How Amazon SQS fair queues work'; the simulator leaves out the guide's second measure,
/// processing time).
const NOISY_SHARE: u64 = 10;
const NOISY_FROM: u64 = 30;

/// A job as the queue holds it.
#[derive(Debug, Clone, Copy)]
pub struct Message {
    pub delivery: u32,
    pub endpoint: u16,
    pub chain: Option<u32>,
    pub receives: u32,
    pub sent_at: i64,
}

#[derive(Debug, Default)]
struct Group {
    /// Visible messages, each with its place in the order in which all groups' messages became visible.
    visible: VecDeque<(u64, Message)>,
    in_flight: u64,
    is_noisy: bool,
}

#[derive(Debug, Default)]
pub struct Queue {
    groups: Vec<Group>,
    /// The group of each endpoint's messages.
    group_of: Vec<u16>,
    shown: u64,
    visible: u64,
    in_flight: u64,
    next_poll: i64,
}

impl Queue {
    #[must_use]
    pub fn new(group_of: Vec<u16>) -> Self {
        let groups = group_of.iter().max().map_or(0, |most| usize::from(*most) + 1);
        Self {
            groups: (0..groups).map(|_| Group::default()).collect(),
            group_of,
            next_poll: -1,
            ..Self::default()
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
    pub const fn visible(&self) -> u64 {
        self.visible
    }

    #[must_use]
    pub const fn has_visible(&self) -> bool {
        self.visible > 0
    }

    /// Whether a poll at that time is already planned; the call plans it in any case.
    pub const fn poll_planned(&mut self, at: i64) -> bool {
        let planned = self.next_poll >= at;
        self.next_poll = at;
        planned
    }

    fn group(&mut self, endpoint: u16) -> &mut Group {
        let index = self.group_of[usize::from(endpoint)];
        &mut self.groups[usize::from(index)]
    }

    pub fn show(&mut self, message: Message) {
        self.visible += 1;
        self.shown += 1;
        let place = self.shown;
        self.group(message.endpoint).visible.push_back((place, message));
    }

    /// Receives up to `count` messages: those of quiet groups in their order, then those of the noisy group with the
    /// fewest messages in flight.
    pub fn receive(&mut self, count: usize) -> Vec<Message> {
        let mut received = Vec::new();
        while received.len() < count && self.visible > 0 && self.in_flight < IN_FLIGHT_CEILING {
            let first = |group: &&mut Group| {
                (group.is_noisy, if group.is_noisy { group.in_flight } else { group.front() })
            };
            let waiting = self.groups.iter_mut().filter(|group| !group.visible.is_empty());
            let Some(group) = waiting.min_by_key(first) else { break };
            let Some((_, mut message)) = group.visible.pop_front() else { break };
            message.receives += 1;
            group.in_flight += 1;
            self.in_flight += 1;
            self.visible -= 1;
            let share = group.in_flight * NOISY_SHARE > self.in_flight;
            // A noisy group stays noisy until it has no visible messages left.
            group.is_noisy =
                !group.visible.is_empty() && (group.is_noisy || (share && group.in_flight >= NOISY_FROM));
            received.push(message);
        }
        received
    }

    /// Ends a message's time in flight: the message was deleted, or its visibility timeout is over.
    pub fn release(&mut self, endpoint: u16) {
        self.group(endpoint).in_flight -= 1;
        self.in_flight -= 1;
    }
}

impl Group {
    fn front(&self) -> u64 {
        self.visible.front().map_or(u64::MAX, |(place, _)| *place)
    }
}
