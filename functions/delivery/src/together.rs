//! What one request to AWS can carry for many: a call is most of the processor time that a delivery or an event takes.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::store::MAX_STATEMENTS;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::Instrument;

use crate::App;

/// How long a request waits at most for the one before it.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where those of one batch meet who ask for the same.
#[derive(Debug)]
pub(crate) struct Together<T, A>(mpsc::UnboundedSender<(T, oneshot::Sender<A>)>);

impl<T, A> Clone for Together<T, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static, A: Send + 'static> Together<T, A> {
    /// `work` answers each of a group, in their order. Nobody waits for company: the first goes at once, and those
    /// that come meanwhile go next.
    pub(crate) fn begin<F>(app: &Arc<App>, work: fn(Arc<App>, Vec<T>) -> F) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let (asked, mut asking) = mpsc::unbounded_channel();
        let app = app.clone();
        let in_groups = async move {
            let mut group = Vec::new();
            while asking.recv_many(&mut group, MAX_STATEMENTS).await > 0 {
                let group = std::mem::take(&mut group);
                let working = tokio::spawn(answer(app.clone(), work, group).in_current_span());
                let _ = timeout(PATIENCE, working).await;
            }
        };
        tokio::spawn(in_groups.in_current_span());
        Self(asked)
    }

    /// `None` when the work for it broke off.
    pub(crate) async fn ask(&self, what: T) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.0.send((what, answer)).ok()?;
        answered.await.ok()
    }
}

async fn answer<T, A, F>(app: Arc<App>, work: fn(Arc<App>, Vec<T>) -> F, group: Vec<(T, oneshot::Sender<A>)>)
where
    F: Future<Output = Vec<A>> + Send + 'static,
{
    let (asked, waiting): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    for (waiting, answer) in waiting.into_iter().zip(work(app, asked).await) {
        // Whose time ran out meanwhile no longer listens.
        let _ = waiting.send(answer);
    }
}
