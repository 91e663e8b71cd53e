//! What the attempts of a batch show of their endpoints' speed (`echo_shared::slowness`). What is noted here is a hint:
//! writing it never delays an attempt, and losing it costs no promise.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use echo_shared::endpoint::Endpoint;
use echo_shared::id::EndpointId;
use echo_shared::slowness::{is_answer_noted, slow_until};
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;
use tokio::task::JoinSet;

use crate::App;

/// What one batch notes of its endpoints: each thing once an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Noting>);

#[derive(Debug, Default)]
struct Noting {
    noted: HashSet<(EndpointId, Note)>,
    writes: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Note {
    Slow,
    Unanswered,
    Answered,
    Probed,
}

impl Notes {
    /// An attempt has had no answer for a while, or never had one.
    pub(crate) fn slow(&self, app: &Arc<App>, endpoint: &Endpoint, now: Timestamp) {
        let Some(until) = slow_until(endpoint.slow_until, now) else { return };
        let (app, endpoint) = (Arc::clone(app), endpoint.clone());
        self.write(Note::Slow, endpoint.id, async move { app.store.mark_slow(&endpoint, until).await });
    }

    /// An attempt that began at `began_at` took long and had no answer. Only one that was made while the endpoint was known to be
    /// slow shows that it hangs: then answers are noted, and this attempt would find one that came while it ran.
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
        self.write(Note::Unanswered, endpoint.id, async move {
            app.store.mark_hanging(&endpoint, began_at, now).await
        });
    }

    /// An attempt was answered, or failed at once. That is news only of an endpoint that was slow or hung.
    pub(crate) fn answered(&self, app: &Arc<App>, endpoint: &Endpoint, now: Timestamp) {
        let is_news = endpoint.hanging().is_some()
            || (endpoint.is_slow(now)
                && is_answer_noted(endpoint.answered_at, now, app.settings.request_timeout));
        if !is_news {
            return;
        }
        let (app, endpoint) = (Arc::clone(app), endpoint.clone());
        self.write(Note::Answered, endpoint.id, async move { app.store.note_answer(&endpoint, now).await });
    }

    /// Whether no other job of the batch has asked for the endpoint's probe: of those that did, one at most would get it.
    pub(crate) fn may_probe(&self, endpoint: &Endpoint) -> bool {
        self.lock().noted.insert((endpoint.id, Note::Probed))
    }

    fn write(
        &self,
        note: Note,
        endpoint_id: EndpointId,
        write: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) {
        let mut noting = self.lock();
        if !noting.noted.insert((endpoint_id, note)) {
            return;
        }
        noting.writes.spawn(async move {
            if let Err(error) = write.await {
                tracing::warn!(%endpoint_id, ?note, %error, "an endpoint's speed was not noted");
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Noting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what has been started, because the process stands still between batches.
    pub(crate) async fn written(&self) {
        let mut writes = std::mem::take(&mut self.lock().writes);
        while writes.join_next().await.is_some() {}
    }
}
