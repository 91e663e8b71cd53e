//! Sends jobs on to a lane, or hides their messages until they are due. The jobs of a batch share requests.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::decision::{Lane, time_in_queue};
use echo_shared::job::DeliveryJob;
use echo_shared::rate_limit::Slot;
use echo_shared::time::Timestamp;
use futures_util::future::join_all;

use crate::App;
use crate::coalescer::Coalescer;
use crate::message::{Disposal, Message};

/// Sends a job on to a lane; false when it is not certain to be in the queue. The send is not repeated, because a second
/// copy of the job would be a second request to the receiver.
pub(crate) async fn send(
    app: &App,
    lane: Lane,
    others: Option<&Retries>,
    job: DeliveryJob,
    delay: Duration,
) -> bool {
    match others {
        Some(others) => others.sends.ask((lane, job, delay)).await == Some(true),
        None => {
            let sent = app.queues.of(lane).send(&job, delay).await;
            sent.inspect_err(|error| tracing::warn!(%error, "a job was perhaps not queued")).is_ok()
        }
    }
}

/// Hides a message of a lane until `until`, which may be the time of the delivery's slot.
pub(crate) async fn hide(
    message: &Message,
    lane: Lane,
    others: Option<&Retries>,
    until: Timestamp,
    slot: Option<Slot>,
) -> Disposal {
    let wait = || time_in_queue(until, slot, Timestamp::now());
    if let Some(others) = others
        && others.hides.ask((lane, message.receipt_handle.clone(), wait())).await == Some(true)
    {
        return Disposal::Keep;
    }
    message.hide(wait()).await
}

/// Sends and hides a batch's jobs together.
#[derive(Debug, Clone)]
pub(crate) struct Retries {
    sends: Coalescer<(Lane, DeliveryJob, Duration), bool>,
    hides: Coalescer<(Lane, String, Duration), bool>,
}

impl Retries {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        Self { sends: Coalescer::without_deadline(app, send_all), hides: Coalescer::new(app, hide_all) }
    }
}

async fn send_all(app: Arc<App>, jobs: Vec<(Lane, DeliveryJob, Duration)>) -> Vec<bool> {
    let sent = Lane::ALL.map(|lane| {
        let (queue, share) = (app.queues.of(lane).clone(), share_of(lane, &jobs));
        async move { queue.send_each(&share).await }
    });
    in_order(jobs.iter().map(|(lane, ..)| *lane), join_all(sent).await)
}

async fn hide_all(app: Arc<App>, messages: Vec<(Lane, String, Duration)>) -> Vec<bool> {
    let hidden = Lane::ALL.map(|lane| {
        let (queue, share) = (app.queues.of(lane).clone(), share_of(lane, &messages));
        async move { queue.hide_each(&share).await }
    });
    in_order(messages.iter().map(|(lane, ..)| *lane), join_all(hidden).await)
}

/// The entries that are for one lane's queue.
fn share_of<T: Clone>(lane: Lane, asked: &[(Lane, T, Duration)]) -> Vec<(T, Duration)> {
    let own = asked.iter().filter(|(of, ..)| *of == lane);
    own.map(|(_, what, wait)| (what.clone(), *wait)).collect()
}

/// Whether each entry is done, in the order of all entries. `done` holds the answers of each lane's queue.
fn in_order(asked: impl Iterator<Item = Lane>, done: Vec<Vec<bool>>) -> Vec<bool> {
    let mut done: Vec<_> = Lane::ALL.into_iter().zip(done.into_iter().map(Vec::into_iter)).collect();
    let mut next = |lane| done.iter_mut().find(|(of, _)| *of == lane).and_then(|(_, done)| done.next());
    asked.map(|lane| next(lane) == Some(true)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_queues_say_comes_back_in_the_order_in_which_it_was_asked() {
        let asked = [Lane::Slow, Lane::Retries, Lane::Slow, Lane::Retries];
        let done = vec![vec![], vec![true, false], vec![false, true]];
        assert_eq!(in_order(asked.into_iter(), done), [false, true, true, false]);
        // A queue that answers for fewer entries has not done the others.
        assert_eq!(
            in_order(asked.into_iter(), vec![vec![], vec![true], vec![]]),
            [false, true, false, false]
        );
    }
}
