//! Joins the calls of one batch into fewer requests: a call to AWS takes most of the processor time that a delivery or an
//! event needs.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::store::MAX_STATEMENTS;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::Instrument;

use crate::App;

/// How long a shared request may take. After that each caller makes a request of its own.
const MOST_TIME: Duration = Duration::from_millis(500);

/// The longest time between the starts of two requests, even while the first one is still under way.
const PATIENCE: Duration = Duration::from_millis(50);

/// Tasks of one batch give their entries here; one request carries the entries that come at about the same time.
#[derive(Debug)]
pub(crate) struct Coalescer<T, A>(mpsc::UnboundedSender<(T, oneshot::Sender<A>)>);

impl<T, A> Clone for Coalescer<T, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static, A: Send + 'static> Coalescer<T, A> {
    /// `work` makes one request and returns an answer for each entry, in their order. No entry waits for others: the first
    /// goes at once, and entries that come while it is under way go in the next request. A request that takes too long is
    /// given up for good, so that it cannot take effect after the callers' own requests.
    pub(crate) fn new<F>(app: &Arc<App>, work: fn(Arc<App>, Vec<T>) -> F) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        Self::within(MOST_TIME, app, work)
    }

    /// As [`Self::new`], for entries that callers do not repeat on their own. A request may take as long as the AWS
    /// client allows.
    pub(crate) fn without_deadline<F>(app: &Arc<App>, work: fn(Arc<App>, Vec<T>) -> F) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        Self::within(Duration::MAX, app, work)
    }

    fn within<F>(most: Duration, app: &Arc<App>, work: fn(Arc<App>, Vec<T>) -> F) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let (asked, mut asking) = mpsc::unbounded_channel();
        let app = app.clone();
        let in_groups = async move {
            let mut group = Vec::new();
            while asking.recv_many(&mut group, MAX_STATEMENTS).await > 0 {
                let group = std::mem::take(&mut group);
                let answered = timeout(most, answer(app.clone(), work, group));
                let working = async {
                    if answered.await.is_err() {
                        tracing::warn!("a shared request took too long and was given up");
                    }
                };
                let working = tokio::spawn(working.in_current_span());
                let _ = timeout(PATIENCE, working).await;
            }
        };
        tokio::spawn(in_groups.in_current_span());
        Self(asked)
    }

    /// Gives an entry and waits for its answer. `None` when the request broke off or was given up.
    pub(crate) async fn ask(&self, entry: T) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.0.send((entry, answer)).ok()?;
        answered.await.ok()
    }
}

async fn answer<T, A, F>(app: Arc<App>, work: fn(Arc<App>, Vec<T>) -> F, group: Vec<(T, oneshot::Sender<A>)>)
where
    F: Future<Output = Vec<A>> + Send + 'static,
{
    let (asked, waiting): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    for (waiting, answer) in waiting.into_iter().zip(work(app, asked).await) {
        // A task that was ended meanwhile no longer listens.
        let _ = waiting.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    async fn say(_: Arc<App>, numbers: Vec<usize>) -> Vec<(usize, usize)> {
        tokio::task::yield_now().await;
        numbers.iter().map(|number| (*number, numbers.len())).collect()
    }

    async fn all(asked: usize, work: fn(Arc<App>, Vec<usize>) -> Said) -> Vec<Option<(usize, usize)>> {
        let coalescer = Coalescer::new(&Arc::new(App::cut_off()), work);
        join_all((0..asked).map(|number| coalescer.ask(number))).await
    }

    type Said = std::pin::Pin<Box<dyn Future<Output = Vec<(usize, usize)>> + Send>>;

    #[tokio::test]
    async fn each_gets_its_own_answer_in_groups_as_large_as_a_request() {
        let answers = all(60, |app, numbers| Box::pin(say(app, numbers))).await;
        let groups = [25; 50].into_iter().chain([10; 10]);
        let wanted: Vec<_> = groups.enumerate().map(Some).collect();
        assert_eq!(answers, wanted);
    }

    #[tokio::test]
    async fn an_entry_without_an_answer_gets_none() {
        let panics = all(3, |_, _| Box::pin(async { panic!("on purpose") })).await;
        assert_eq!(panics, [None; 3]);
        let short = all(3, |app, numbers| Box::pin(say(app, numbers[..1].to_vec()))).await;
        assert_eq!(short, [Some((0, 1)), None, None]);
    }

    #[tokio::test]
    async fn a_slow_request_is_given_up_and_delays_no_other() {
        let work = |app, numbers: Vec<usize>| -> Said {
            Box::pin(async move {
                if numbers == [0] {
                    std::future::pending::<()>().await;
                }
                say(app, numbers).await
            })
        };
        let coalescer = Coalescer::new(&Arc::new(App::cut_off()), work);
        let first = tokio::spawn({
            let coalescer = coalescer.clone();
            async move { coalescer.ask(0).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(coalescer.ask(1).await, Some((1, 1)));
        assert_eq!(first.await.expect("no panic"), None);
    }
}
