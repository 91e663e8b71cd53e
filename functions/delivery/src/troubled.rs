//! Marks endpoints that fail or are slow, so that their first attempts keep out of the fast lane. A mark is a hint:
//! writing it never delays an attempt, and losing it costs no promise.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use echo_shared::endpoint::Endpoint;
use echo_shared::id::EndpointId;
use echo_shared::time::Timestamp;
use tokio::task::JoinSet;

use crate::App;

/// An attempt without an answer for this long is slow.
pub(crate) const SLOW: Duration = Duration::from_secs(2);

const TROUBLE_LASTS: Duration = Duration::from_secs(5 * 60);

/// A mark is written anew only when less than this is left of it: once a minute for an endpoint in constant trouble.
const RENEW_BELOW: Duration = Duration::from_secs(4 * 60);

/// The marks that one batch makes.
#[derive(Debug, Default)]
pub(crate) struct Marks(Mutex<Marking>);

#[derive(Debug, Default)]
struct Marking {
    marked: HashSet<EndpointId>,
    writes: JoinSet<()>,
}

impl Marks {
    /// Starts to write a mark, unless there is one that lasts or this batch has made it already.
    pub(crate) fn note(&self, app: &Arc<App>, endpoint: &Endpoint, now: Timestamp) {
        if endpoint.troubled_until.is_some_and(|until| until > now.plus(RENEW_BELOW)) {
            return;
        }
        let mut marking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !marking.marked.insert(endpoint.id) {
            return;
        }
        let (app, endpoint) = (Arc::clone(app), endpoint.clone());
        marking.writes.spawn(async move {
            if let Err(error) = app.store.mark_troubled(&endpoint, now.plus(TROUBLE_LASTS)).await {
                tracing::warn!(endpoint_id = %endpoint.id, %error, "an endpoint was not marked as troubled");
            }
        });
    }

    /// Waits for what has been started, because the process stands still between batches.
    pub(crate) async fn written(&self) {
        let mut writes = std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).writes);
        while writes.join_next().await.is_some() {}
    }
}
