//! The attempts of a batch show which endpoints are slow or hang (`echo_shared::slowness`); this module marks that on the
//! endpoints' rows. A mark is a hint: no attempt waits for its write, and no promise depends on it. The same holds for the time
//! up to which an endpoint's deliveries are settled, so it is moved on here too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use echo_shared::endpoint::Endpoint;
use echo_shared::id::EndpointId;
use echo_shared::slowness::{is_answer_noted, slow_until};
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::App;

/// Settling that takes longer is left to a later delivery.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// The marks that one batch makes, each kind at most once on an endpoint.
#[derive(Debug, Default)]
pub(crate) struct SpeedMarks(Mutex<Marked>);

#[derive(Debug, Default)]
struct Marked {
    made: HashSet<(EndpointId, Mark)>,
    writes: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mark {
    Slow,
    Unanswered,
    Answered,
    Probed,
    Settled,
}

impl SpeedMarks {
    /// Marks an endpoint as slow: an attempt got no answer for a while, or none at all.
    pub(crate) fn slow(&self, app: &Arc<App>, endpoint: &Endpoint, now: Timestamp) {
        let Some(until) = slow_until(endpoint.state.slow_until, now) else { return };
        let (app, endpoint) = (Arc::clone(app), endpoint.clone());
        self.write(Mark::Slow, endpoint.id, async move { app.store.mark_slow(&endpoint, until).await });
    }

    /// Marks an endpoint as hanging: an attempt that began at `began_at` took long and got no answer. Such an attempt shows a
    /// hang only if the endpoint was marked as slow when it began. While an endpoint is marked as slow its answers are
    /// written down, so this write finds an answer that came while the attempt ran.
    pub(crate) fn unanswered(
        &self,
        app: &Arc<App>,
        endpoint: &Endpoint,
        began_at: Timestamp,
        now: Timestamp,
    ) {
        if endpoint.hanging().is_some() || !endpoint.is_slow(began_at) {
            return;
        }
        let (app, endpoint) = (Arc::clone(app), endpoint.clone());
        self.write(Mark::Unanswered, endpoint.id, async move {
            app.store.mark_hanging(&endpoint, began_at, now).await
        });
    }

    /// Writes down that an attempt was answered or failed at once, for an endpoint that is marked as slow or as hanging.
    pub(crate) fn answered(&self, app: &Arc<App>, endpoint: &Endpoint, now: Timestamp) {
        let is_news = endpoint.hanging().is_some()
            || (endpoint.is_slow(now)
                && is_answer_noted(endpoint.state.answered_at, now, app.settings.request_timeout));
        if !is_news {
            return;
        }
        let (app, endpoint) = (Arc::clone(app), endpoint.clone());
        self.write(Mark::Answered, endpoint.id, async move { app.store.note_answer(&endpoint, now).await });
    }

    /// Moves on the time up to which the endpoint's deliveries are settled ([`echo_shared::store::Store::settle`]).
    pub(crate) fn settle(&self, app: &Arc<App>, endpoint: &Endpoint, now: Timestamp) {
        if !endpoint.can_settle(now) {
            return;
        }
        let (app, endpoint) = (Arc::clone(app), endpoint.clone());
        self.write(Mark::Settled, endpoint.id, async move {
            timeout(SETTLE_TIME, app.store.settle(&endpoint, now)).await.unwrap_or(Ok(()))
        });
    }

    /// Whether this job may ask for the endpoint's probe. Only one job of the batch may, because at most one gets it.
    pub(crate) fn may_probe(&self, endpoint: &Endpoint) -> bool {
        self.lock().made.insert((endpoint.id, Mark::Probed))
    }

    fn write(
        &self,
        mark: Mark,
        endpoint_id: EndpointId,
        write: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) {
        let mut marked = self.lock();
        if !marked.made.insert((endpoint_id, mark)) {
            return;
        }
        marked.writes.spawn(async move {
            if let Err(error) = write.await {
                tracing::warn!(%endpoint_id, ?mark, %error, "a mark of an endpoint was not written");
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Marked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the writes under way, because the process stands still between batches.
    pub(crate) async fn written(&self) {
        let mut writes = std::mem::take(&mut self.lock().writes);
        while writes.join_next().await.is_some() {}
    }
}
