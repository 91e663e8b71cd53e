//! Attempts, recorded: first ones that end at about the same time in one request.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::delivery::Delivery;
use echo_shared::store::{Advanced, Store, StoreError, Transition};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::App;
use crate::together::Together;

/// How long a record may take together with others; then it has a request of its own.
const TOGETHER: Duration = Duration::from_millis(500);

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

/// `None` leaves it to the attempt's own turn, which can also tell why it is not recorded.
type Recorded = Option<Result<Advanced, StoreError>>;

/// A batch's first attempts, on their way to their rows.
#[derive(Debug, Clone)]
pub(crate) struct Records(Together<(Delivery, Transition), Recorded>);

impl Records {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        Self(Together::begin(app, record_all))
    }

    async fn record(&self, before: &Delivery, transition: &Transition) -> Recorded {
        if before.attempt_count > 0 {
            return None;
        }
        self.0.ask((before.clone(), transition.clone())).await?
    }
}

async fn record_all(app: Arc<App>, made: Vec<(Delivery, Transition)>) -> Vec<Recorded> {
    match made.as_slice() {
        [(before, transition)] => vec![Some(app.store.advance(before, transition).await)],
        several => {
            let done = app.store.record_first_attempts(several).await;
            done.into_iter().map(|done| done.then_some(Ok(Advanced::Done))).collect()
        }
    }
}
