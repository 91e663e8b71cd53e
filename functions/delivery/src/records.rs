//! First attempts that end at about the same time are recorded in one request: a call to AWS is most of the processor
//! time that a delivery takes.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::delivery::Delivery;
use echo_shared::store::{Advanced, Transition};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::App;

/// Records of one request.
const TOGETHER: usize = 25;

/// How long a record waits at most for those before it.
const PATIENCE: Duration = Duration::from_millis(50);

/// An attempt that is made and not yet recorded.
#[derive(Debug)]
struct Made {
    before: Delivery,
    transition: Transition,
    recorded: oneshot::Sender<bool>,
}

/// A batch's first attempts, on their way to their rows.
#[derive(Debug, Clone)]
pub(crate) struct Records(mpsc::UnboundedSender<Made>);

impl Records {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        let (made, to_record) = mpsc::unbounded_channel();
        tokio::spawn(record_in_turn(app.clone(), to_record));
        Self(made)
    }

    /// Whether the attempt is recorded now. One that is not, for whatever reason, is for its own turn to record.
    pub(crate) async fn record(&self, before: &Delivery, transition: &Transition) -> bool {
        if before.attempt_count > 0 {
            return false;
        }
        let (recorded, answer) = oneshot::channel();
        let made = Made { before: before.clone(), transition: transition.clone(), recorded };
        self.0.send(made).is_ok() && answer.await.unwrap_or(false)
    }
}

/// Nobody waits for company: the first is recorded at once, and those that end meanwhile go together.
async fn record_in_turn(app: Arc<App>, mut made: mpsc::UnboundedReceiver<Made>) {
    let mut group = Vec::new();
    while made.recv_many(&mut group, TOGETHER).await > 0 {
        let recording = tokio::spawn(record(app.clone(), std::mem::take(&mut group)));
        let _ = timeout(PATIENCE, recording).await;
    }
}

async fn record(app: Arc<App>, group: Vec<Made>) {
    let (records, waiting): (Vec<_>, Vec<_>) =
        group.into_iter().map(|made| ((made.before, made.transition), made.recorded)).unzip();
    let recorded = match records.as_slice() {
        [(before, transition)] => {
            vec![matches!(app.store.advance(before, transition).await, Ok(Advanced::Done))]
        }
        several => app.store.record_first_attempts(several).await,
    };
    for (waiting, recorded) in waiting.into_iter().zip(recorded) {
        // Whose time ran out meanwhile no longer listens.
        let _ = waiting.send(recorded);
    }
}
