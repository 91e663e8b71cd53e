//! Records attempts on their deliveries' rows. First attempts that end at about the same time share one request.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::delivery::Delivery;
use echo_shared::store::{Advanced, Store, StoreError};
use echo_shared::transition::Transition;
use tokio::time::{Instant, sleep, timeout_at};

use crate::App;
use crate::coalescer::Coalescer;

/// Records an attempt, and repeats the write until `give_up`, because an attempt without a record is made again.
pub(crate) async fn record(
    store: &Store,
    others: Option<&Records>,
    before: &Delivery,
    transition: &Transition,
    give_up: Instant,
) -> Result<Advanced, StoreError> {
    if let Some(others) = others
        && others.record(before, transition).await
    {
        return Ok(Advanced::Done);
    }
    let mut pause = Duration::from_millis(100);
    loop {
        let tried = timeout_at(give_up, store.advance(before, transition)).await;
        let error = match tried {
            Ok(Ok(advanced)) => return Ok(advanced),
            Ok(Err(error)) => error,
            Err(_) => StoreError::Unavailable("no answer while there was time".into()),
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

/// Records a batch's first attempts together.
#[derive(Debug, Clone)]
pub(crate) struct Records(Coalescer<(Delivery, Transition), bool>);

impl Records {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        Self(Coalescer::new(app, record_all))
    }

    /// Whether the attempt is certain to be recorded. If not, the turn writes it by itself and finds out why.
    async fn record(&self, before: &Delivery, transition: &Transition) -> bool {
        !before.was_attempted() && self.0.ask((before.clone(), transition.clone())).await == Some(true)
    }
}

async fn record_all(app: Arc<App>, made: Vec<(Delivery, Transition)>) -> Vec<bool> {
    app.store.record_first_attempts(&made).await
}
