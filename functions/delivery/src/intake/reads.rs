//! The routes of projects and the event types of accounts, as the events of one batch need them. Each is read once,
//! after the events have come.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use echo_shared::event_name::OwnNames;
use echo_shared::id::{AccountId, ProjectId};
use echo_shared::route::Routes;
use echo_shared::shards::Shard;
use echo_shared::store::{Store, StoreError};
use echo_shared::time::Timestamp;
use tokio::sync::OnceCell;

/// The reads that the events of a batch share.
#[derive(Debug, Default)]
pub(super) struct Reads {
    projects: Once<ProjectId, Option<Arc<Routes>>>,
    accounts: Once<AccountId, OwnNames>,
}

impl Reads {
    /// A project's routes, also while it is being erased; `None` if there is no such project. Nothing has told how many
    /// copies there are, and one read serves all events of a batch, so the first copy is enough.
    ///
    /// # Errors
    /// The fault, if they could not be read.
    pub(super) async fn routes(&self, store: &Store, id: ProjectId) -> Result<Option<Arc<Routes>>, String> {
        let read = async { Ok(store.routes_or_mark(&id, Shard::FIRST).await?.map(Arc::new)) };
        self.projects.get(id, read).await
    }

    /// The names of an account's event types, for a name that is not among those that the process keeps.
    ///
    /// # Errors
    /// The fault, if they could not be read.
    pub(super) async fn own_names(&self, store: &Store, id: AccountId) -> Result<OwnNames, String> {
        self.accounts.get(id, store.own_names(&id, Timestamp::now())).await
    }
}

/// The result of a read, once it is done.
type Reading<V> = Arc<OnceCell<Result<V, String>>>;

/// One result for each key, from the read that was asked for first.
#[derive(Debug)]
struct Once<K, V>(Mutex<HashMap<K, Reading<V>>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Once<K, V> {
    async fn get(&self, key: K, read: impl Future<Output = Result<V, StoreError>>) -> Result<V, String> {
        let cell = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        cell.get_or_init(|| async { read.await.map_err(|error| error.to_string()) }).await.clone()
    }
}
