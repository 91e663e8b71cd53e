//! Connections that may serve another request: for half a second after an answer, and to the same endpoint only.
//!
//! Half a second is shorter than servers keep idle connections (gunicorn closes after 2 s, Node.js and Apache after 5 s), by
//! more than a connection's way there and back. So a request seldom meets a connection that its receiver is closing, and
//! the requests of a burst still share the cost of one handshake.
//!
//! Endpoints do not share connections: a receiver may authenticate the connection itself, by NTLM or a
//! client certificate. For the same reason requests by different credentials of one endpoint share none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use echo_shared::id::EndpointId;
use echo_shared::receiver_auth::Fingerprint;
use echo_shared::time::Timestamp;
use url::Origin;

use crate::sender::Post;
use crate::sender::connector::Connection;

const FRESH: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Idle>>);

struct Idle {
    endpoint: EndpointId,
    /// That of the request before.
    credential: Option<Fingerprint>,
    origin: Origin,
    /// By the clock of the world, which goes on while Lambda has the function frozen.
    since: Timestamp,
    connection: Connection,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} idle)", self.idle().len())
    }
}

impl Pool {
    /// The newest connection for such a request that is fresh and still silent.
    pub(crate) fn take(&self, post: &Post) -> Option<Connection> {
        let mut idle = self.idle();
        close_stale(&mut idle, Timestamp::now());
        let (origin, credential) = (post.url.as_url().origin(), post.credential());
        let fits = |one: &Idle| {
            one.endpoint == post.endpoint && one.credential == credential && one.origin == origin
        };
        while let Some(at) = idle.iter().rposition(fits) {
            let mut connection = idle.remove(at).connection;
            if connection.is_silent() {
                connection.is_reused = true;
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection after an answer, and closes it if nobody takes it.
    pub(crate) fn keep(self: &Arc<Self>, connection: Connection, post: &Post) {
        let (endpoint, credential) = (post.endpoint, post.credential());
        let origin = post.url.as_url().origin();
        self.idle().push(Idle { endpoint, credential, origin, since: Timestamp::now(), connection });
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(FRESH).await;
            close_stale(&mut pool.idle(), Timestamp::now());
        });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close_stale(idle: &mut Vec<Idle>, now: Timestamp) {
    for one in idle.extract_if(.., |one| now.since(one.since) >= FRESH) {
        one.connection.close();
    }
}
