//! Standard queues: visibility, receive counts, delays, redrive, and a limit of messages in flight. At this limit a
//! receive returns nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::clock::now_millis;

/// How a queue behaves.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    pub visibility: Duration,
    /// SQS's redrive policy: the dead-letter queue, and the number of receives after which a message moves there.
    pub redrive: Option<(String, u32)>,
    /// The number of messages in flight at which a receive returns nothing.
    pub ceiling: usize,
    /// Serves quiet message groups before noisy ones, as fair queues do.
    pub is_fair: bool,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { visibility: Duration::from_secs(60), redrive: None, ceiling: 120_000, is_fair: true }
    }
}

#[derive(Debug, Clone)]
struct Message {
    id: u64,
    body: String,
    group: Option<String>,
    sent_at: u64,
    receives: u32,
    first_received_at: u64,
    /// The queue that this dead letter was moved from.
    given_up_by: Option<String>,
    /// The trace header with which the message was sent.
    trace: Option<String>,
}

/// A message as a receive hands it out.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: u64,
    pub handle: String,
    pub body: String,
    pub group: Option<String>,
    pub sent_at: u64,
    pub receives: u32,
    pub first_received_at: u64,
    pub given_up_by: Option<String>,
    pub trace: Option<String>,
}

impl Received {
    /// The message's id as SQS spells it.
    #[must_use]
    pub fn message_id(&self) -> String {
        message_id(self.id)
    }
}

/// A message's id as SQS spells it: a UUID.
#[must_use]
pub fn message_id(id: u64) -> String {
    format!("00000000-0000-4000-8000-{id:012}")
}

/// A message to send.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub body: String,
    pub group: Option<String>,
    pub delay: Duration,
}

impl Message {
    /// The message as its dead-letter queue holds it after `queue` gave it up.
    fn given_up(self, queue: &str) -> Self {
        Self { receives: 0, given_up_by: Some(queue.to_owned()), ..self }
    }
}

/// SQS's reason to refuse a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    NoSuchQueue,
    NotInFlight,
    InvalidHandle,
}

#[derive(Debug, Default)]
struct Queue {
    settings: QueueSettings,
    /// The visible messages in the order of their ids. SQS keeps this order approximately.
    ready: BTreeMap<u64, Message>,
    /// Delayed and hidden messages, by the time at which each becomes visible. A message in flight was received and
    /// is still hidden.
    waiting: BTreeMap<(Instant, u64), Message>,
    wakes: HashMap<u64, Instant>,
    in_flight: HashMap<u64, Option<String>>,
    groups_in_flight: HashMap<String, usize>,
}

impl Queue {
    fn hide(&mut self, message: Message, until: Instant) {
        self.wakes.insert(message.id, until);
        self.waiting.insert((until, message.id), message);
    }

    fn unhide(&mut self, id: u64) -> Option<Message> {
        let until = self.wakes.remove(&id)?;
        self.waiting.remove(&(until, id))
    }

    fn take_off(&mut self, id: u64) {
        if let Some(Some(group)) = self.in_flight.remove(&id)
            && let Some(count) = self.groups_in_flight.get_mut(&group)
        {
            *count -= 1;
            if *count == 0 {
                self.groups_in_flight.remove(&group);
            }
        }
    }

    /// Makes visible the messages that are due.
    fn settle(&mut self, now: Instant) {
        while let Some(entry) = self.waiting.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let message = entry.remove();
            self.wakes.remove(&message.id);
            self.take_off(message.id);
            self.ready.insert(message.id, message);
        }
    }

    /// The ids of the messages that a receive hands out, in order. Messages of quiet groups come first, as they
    /// arrived. Messages of noisy groups follow, beginning with the group that has the fewest messages in flight. A
    /// group is noisy when it has at least 30 messages in flight and more than a tenth of all messages in flight (SQS
    /// Developer Guide, 'How Amazon SQS fair queues work'). The guide's other measure, processing time, is left out
    /// here.
    fn next(&self, most: usize) -> Vec<u64> {
        if !self.settings.is_fair {
            return self.ready.keys().take(most).copied().collect();
        }
        let mut noisy: HashMap<&str, usize> = self
            .groups_in_flight
            .iter()
            .filter(|(_, count)| **count >= 30 && **count * 10 > self.in_flight.len())
            .map(|(group, count)| (group.as_str(), *count))
            .collect();
        let group = |message: &Message| message.group.clone().unwrap_or_default();
        let is_quiet = |message: &&Message| !noisy.contains_key(group(message).as_str());
        let mut next: Vec<u64> =
            self.ready.values().filter(is_quiet).take(most).map(|message| message.id).collect();
        let mut waiting: HashMap<&str, VecDeque<u64>> = HashMap::new();
        if next.len() < most {
            for message in self.ready.values() {
                if let Some((group, _)) = noisy.get_key_value(group(message).as_str()) {
                    waiting.entry(group).or_default().push_back(message.id);
                }
            }
        }
        while next.len() < most {
            let quietest =
                waiting.iter().filter(|(_, ids)| !ids.is_empty()).min_by_key(|(group, _)| noisy[*group]);
            let Some(group) = quietest.map(|(group, _)| *group) else { break };
            next.extend(waiting.get_mut(group).and_then(VecDeque::pop_front));
            *noisy.entry(group).or_default() += 1;
        }
        next
    }
}

/// How many messages a queue has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    pub visible: usize,
    pub in_flight: usize,
    pub delayed: usize,
}

impl Depth {
    #[must_use]
    pub const fn total(self) -> usize {
        self.visible + self.in_flight + self.delayed
    }
}

#[derive(Debug, Default)]
struct State {
    queues: HashMap<String, Queue>,
    last_id: u64,
}

#[derive(Debug, Default)]
pub struct Sqs {
    state: Mutex<State>,
    sent: Notify,
}

impl Sqs {
    pub fn create(&self, name: &str, settings: QueueSettings) {
        let queue = Queue { settings, ..Queue::default() };
        self.lock().queues.insert(name.to_owned(), queue);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message into a queue and returns its id.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn send(&self, queue: &str, outgoing: Outgoing) -> Result<u64, Refused> {
        self.send_traced(queue, outgoing, None)
    }

    /// Puts a message with a trace header into a queue and returns the message's id. The header stays with the
    /// message.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn send_traced(
        &self,
        queue: &str,
        outgoing: Outgoing,
        trace: Option<String>,
    ) -> Result<u64, Refused> {
        let mut state = self.lock();
        state.last_id += 1;
        let id = state.last_id;
        let queue = state.queues.get_mut(queue).ok_or(Refused::NoSuchQueue)?;
        let Outgoing { body, group, delay } = outgoing;
        let message = Message {
            id,
            body,
            group,
            sent_at: now_millis(),
            receives: 0,
            first_received_at: 0,
            given_up_by: None,
            trace,
        };
        if delay.is_zero() {
            queue.ready.insert(id, message);
        } else {
            queue.hide(message, Instant::now() + delay);
        }
        drop(state);
        self.sent.notify_waiters();
        Ok(id)
    }

    /// Returns up to `max` messages and hides them. A message that was received too often moves to the dead-letter
    /// queue instead.
    pub fn receive(&self, queue: &str, max: usize) -> Vec<Received> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut received = Vec::new();
        let mut redriven = Vec::new();
        let Some(source) = state.queues.get_mut(queue) else { return received };
        source.settle(now);
        let room = source.settings.ceiling.saturating_sub(source.in_flight.len());
        for id in source.next(max.min(room)) {
            let Some(mut message) = source.ready.remove(&id) else { break };
            if let Some((target, most)) = &source.settings.redrive
                && message.receives >= *most
            {
                redriven.push((target.clone(), message));
                continue;
            }
            message.receives += 1;
            if message.receives == 1 {
                message.first_received_at = now_millis();
            }
            source.in_flight.insert(message.id, message.group.clone());
            if let Some(group) = &message.group {
                *source.groups_in_flight.entry(group.clone()).or_default() += 1;
            }
            received.push(Received {
                id: message.id,
                handle: format!("{}-{}", message.id, message.receives),
                body: message.body.clone(),
                group: message.group.clone(),
                sent_at: message.sent_at,
                receives: message.receives,
                first_received_at: message.first_received_at,
                given_up_by: message.given_up_by.clone(),
                trace: message.trace.clone(),
            });
            source.hide(message, now + source.settings.visibility);
        }
        let is_redriven = !redriven.is_empty();
        for (target, message) in redriven {
            if let Some(target) = state.queues.get_mut(&target) {
                // A redriven message keeps its id and its age. Its receive count starts again at zero.
                target.ready.insert(message.id, message.given_up(queue));
            }
        }
        drop(state);
        if is_redriven {
            self.sent.notify_waiters();
        }
        received
    }

    /// Deletes a message. An outdated handle has no effect, and SQS may behave so too.
    pub fn delete(&self, queue: &str, handle: &str) {
        let mut state = self.lock();
        let Some(queue) = state.queues.get_mut(queue) else { return };
        queue.settle(Instant::now());
        if let Ok(id) = current(queue, handle) {
            queue.take_off(id);
            queue.unhide(id);
        } else if let Some((id, receive)) = parts(handle)
            && queue.ready.get(&id).is_some_and(|message| message.receives == receive)
        {
            // The message is visible again and was not received since, so SQS still accepts the handle.
            queue.ready.remove(&id);
        }
    }

    /// Moves a message in flight to the queue's dead-letter queue, or deletes it when the queue has none.
    pub fn give_up(&self, queue: &str, handle: &str) {
        let mut state = self.lock();
        let Some(source) = state.queues.get_mut(queue) else { return };
        let Ok(id) = current(source, handle) else { return };
        source.take_off(id);
        let target = source.settings.redrive.as_ref().map(|(target, _)| target.clone());
        if let (Some(message), Some(target)) = (source.unhide(id), target)
            && let Some(target) = state.queues.get_mut(&target)
        {
            target.ready.insert(message.id, message.given_up(queue));
        }
        drop(state);
        self.sent.notify_waiters();
    }

    /// Hides a message in flight for `wait` from now.
    ///
    /// # Errors
    /// When the handle is not the latest one, or its message is visible again.
    pub fn change_visibility(&self, queue: &str, handle: &str, wait: Duration) -> Result<(), Refused> {
        let now = Instant::now();
        let mut state = self.lock();
        let queue = state.queues.get_mut(queue).ok_or(Refused::NoSuchQueue)?;
        queue.settle(now);
        let id = current(queue, handle)?;
        let message = queue.unhide(id).ok_or(Refused::NotInFlight)?;
        queue.hide(message, now + wait);
        queue.settle(now);
        drop(state);
        self.sent.notify_waiters();
        Ok(())
    }

    #[must_use]
    pub fn depth(&self, queue: &str) -> Depth {
        let mut state = self.lock();
        let Some(queue) = state.queues.get_mut(queue) else { return Depth::default() };
        queue.settle(Instant::now());
        let in_flight = queue.in_flight.len();
        Depth { visible: queue.ready.len(), in_flight, delayed: queue.waiting.len() - in_flight }
    }

    /// The bodies of all messages in a queue: visible, hidden and delayed.
    #[must_use]
    pub fn bodies(&self, queue: &str) -> Vec<String> {
        let state = self.lock();
        let Some(queue) = state.queues.get(queue) else { return Vec::new() };
        queue.ready.values().chain(queue.waiting.values()).map(|message| message.body.clone()).collect()
    }

    /// Moves the messages of a queue that are not in flight to another queue, as SQS's redrive task does.
    pub fn move_all(&self, from: &str, to: &str) -> usize {
        let mut state = self.lock();
        let Some(source) = state.queues.get_mut(from) else { return 0 };
        source.settle(Instant::now());
        let moved = std::mem::take(&mut source.ready);
        let count = moved.len();
        if let Some(target) = state.queues.get_mut(to) {
            target.ready.extend(moved.into_iter().map(|(id, message)| (id, message.given_up(from))));
        }
        drop(state);
        self.sent.notify_waiters();
        count
    }

    /// Waits until a message may have become visible in a queue, but for a second at most.
    pub async fn wait(&self, queue: &str) {
        let sent = self.sent.notified();
        let now = Instant::now();
        let wake = {
            let mut state = self.lock();
            let Some(queue) = state.queues.get_mut(queue) else { return };
            queue.settle(now);
            let is_full = queue.in_flight.len() >= queue.settings.ceiling;
            if !queue.ready.is_empty() && !is_full {
                return;
            }
            queue.waiting.keys().next().map(|(until, _)| *until)
        };
        let longest = now + Duration::from_secs(1);
        let wake = wake.map_or(longest, |wake| wake.min(longest));
        tokio::select! {
            () = sent => {}
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
}

fn parts(handle: &str) -> Option<(u64, u32)> {
    let (id, receive) = handle.split_once('-')?;
    Some((id.parse().ok()?, receive.parse().ok()?))
}

fn current(queue: &Queue, handle: &str) -> Result<u64, Refused> {
    let (id, receive) = parts(handle).ok_or(Refused::InvalidHandle)?;
    let until =
        queue.wakes.get(&id).filter(|_| queue.in_flight.contains_key(&id)).ok_or(Refused::NotInFlight)?;
    let message = queue.waiting.get(&(*until, id)).ok_or(Refused::NotInFlight)?;
    if message.receives == receive { Ok(id) } else { Err(Refused::InvalidHandle) }
}

#[cfg(test)]
mod tests;
