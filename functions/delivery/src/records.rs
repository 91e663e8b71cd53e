//! Attempts, recorded: first ones that end at about the same time in one request, because a call to AWS is most of the
//! processor time that a delivery takes.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::delivery::Delivery;
use echo_shared::store::{Advanced, MAX_STATEMENTS, Store, StoreError, Transition};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Instrument;

use crate::App;

/// How long a record may take together with others; then it has a request of its own.
const TOGETHER: Duration = Duration::from_millis(500);

/// How long a request waits at most for the one before it.
const PATIENCE: Duration = Duration::from_millis(50);

/// Records an attempt, as insistently as the time until `give_up` allows: one that is not recorded is made again.
pub(crate) async fn record(
    store: &Store,
    others: Option<&Records>,
    before: &Delivery,
    transition: &Transition,
    give_up: Instant,
) -> Result<Advanced, StoreError> {
    let mut shared = match others {
        Some(others) => timeout(TOGETHER, others.record(before, transition)).await.ok().flatten(),
        None => None,
    };
    let mut pause = Duration::from_millis(100);
    loop {
        let tried = match shared.take() {
            Some(tried) => Ok(tried),
            None => timeout_at(give_up, store.advance(before, transition)).await,
        };
        let error = match tried {
            Ok(Ok(advanced)) => return Ok(advanced),
            Ok(Err(error)) => error,
            Err(_) => StoreError::Unavailable("no answer while there was time".to_owned()),
        };
        if matches!(error, StoreError::Broken(_)) || Instant::now() + pause >= give_up {
            tracing::error!("an attempt was made and could not be recorded: it will be made again");
            return Err(error);
        }
        tracing::warn!(%error, "an attempt is not recorded yet");
        sleep(pause).await;
        pause *= 2;
    }
}

/// An attempt that is made and not yet recorded.
#[derive(Debug)]
struct Made {
    before: Delivery,
    transition: Transition,
    recorded: oneshot::Sender<Recorded>,
}

/// `None` leaves it to the attempt's own turn, which can also tell why it is not recorded.
type Recorded = Option<Result<Advanced, StoreError>>;

/// A batch's first attempts, on their way to their rows.
#[derive(Debug, Clone)]
pub(crate) struct Records(mpsc::UnboundedSender<Made>);

impl Records {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        let (made, to_record) = mpsc::unbounded_channel();
        tokio::spawn(record_in_groups(app.clone(), to_record).in_current_span());
        Self(made)
    }

    async fn record(&self, before: &Delivery, transition: &Transition) -> Recorded {
        if before.attempt_count > 0 {
            return None;
        }
        let (recorded, answer) = oneshot::channel();
        let made = Made { before: before.clone(), transition: transition.clone(), recorded };
        self.0.send(made).ok()?;
        answer.await.ok()?
    }
}

/// Nobody waits for company: the first is recorded at once, and those that end meanwhile go together.
async fn record_in_groups(app: Arc<App>, mut made: mpsc::UnboundedReceiver<Made>) {
    let mut group = Vec::new();
    while made.recv_many(&mut group, MAX_STATEMENTS).await > 0 {
        let recording = tokio::spawn(record_group(app.clone(), std::mem::take(&mut group)).in_current_span());
        let _ = timeout(PATIENCE, recording).await;
    }
}

async fn record_group(app: Arc<App>, group: Vec<Made>) {
    let (records, waiting): (Vec<_>, Vec<_>) =
        group.into_iter().map(|made| ((made.before, made.transition), made.recorded)).unzip();
    let recorded: Vec<Recorded> = match records.as_slice() {
        [(before, transition)] => vec![Some(app.store.advance(before, transition).await)],
        several => {
            let done = app.store.record_first_attempts(several).await;
            done.into_iter().map(|done| done.then_some(Ok(Advanced::Done))).collect()
        }
    };
    for (waiting, recorded) in waiting.into_iter().zip(recorded) {
        // Whose time ran out meanwhile no longer listens.
        let _ = waiting.send(recorded);
    }
}
