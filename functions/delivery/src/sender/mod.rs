//! One HTTP request to a receiver and its answer, over a connection of the sender's own (contract §5).
//!
//! `connector` makes connections, `exchange` sends a request and hears the answer, `head` and `body` read it, `pool`
//! keeps a connection for a moment, and `failure` says why there was no answer. `oauth2` has a token first, and
//! `tokens` keeps it.
//!
//! httparse reads heads, rustls does TLS, and everything between them is here, because the product exists to judge
//! receivers' answers. Every read is an `await` under the attempt's deadline and is bounded in bytes, so no receiver can hold
//! the one runtime that all requests share. The sender follows no redirects and uses no proxies.
//!
//! (Rejected: hyper, which was here before. It loses an answer that comes before the request is sent, takes no chunks under
//! HTTP/1.0, and reads interim answers for as long as they come, even past its deadline, so each request needed a thread and
//! a runtime of its own. reqwest, which lets nothing be put below TLS.)

mod body;
mod connector;
mod exchange;
pub(crate) mod failure;
mod head;
pub(crate) mod headers;
mod oauth2;
mod pool;
mod request;
mod resolver;
mod retry_after;
mod tokens;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use echo_shared::address::AddressRules;
use echo_shared::attempt::{MAX_RESPONSE_BODY_BYTES, Missing, Outcome, SendFailure, excerpt};
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::id::{EndpointId, ProjectId};
use echo_shared::receiver_auth::{Auth, Fingerprint, ReceiverAuth};
use echo_shared::tls::{Identity, Tls};
use tokio::time::{Instant, timeout_at};

use self::connector::{Connection, Connector};
use self::exchange::{Heard, NoAnswer, exchange};
use self::pool::Pool;
use self::tokens::Tokens;

/// One attempt's request.
pub(crate) struct Post {
    pub(crate) project: ProjectId,
    pub(crate) endpoint: EndpointId,
    pub(crate) url: EndpointUrl,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) auth: Option<ReceiverAuth>,
}

impl Post {
    /// The client certificate, if the receiver wants one. It was checked before it was stored.
    fn identity(&self) -> Result<Option<Identity>, SendFailure> {
        let Some(Auth::Mtls(client)) = &self.auth else { return Ok(None) };
        let identity = Identity::read(&client.certificate, client.key.expose());
        identity.map(Some).map_err(|_| SendFailure::Unsendable)
    }

    fn credential(&self) -> Option<Fingerprint> {
        self.auth.as_ref().map(ReceiverAuth::fingerprint)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn set_header(&mut self, name: &str, value: String) {
        self.headers.retain(|(own, _)| own != name);
        self.headers.push((name.to_owned(), value));
    }
}

/// An attempt's outcome, and whether its request went out a second time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) outcome: Outcome,
    pub(crate) again: bool,
}

#[derive(Debug)]
pub(crate) struct Sender {
    timeout: Duration,
    connector: Connector,
    pool: Arc<Pool>,
    tokens: Tokens,
}

const AT_ONCE: Duration = Duration::from_secs(1);

impl Sender {
    pub(crate) fn new(timeout: Duration, rules: AddressRules, tls: &Tls) -> Self {
        Self {
            timeout,
            connector: Connector::new(rules, tls),
            pool: Arc::default(),
            tokens: Tokens::default(),
        }
    }

    /// Posts once, or twice if the receiver refuses a token from before. Each end of the request is an outcome, never an error.
    pub(crate) async fn send(&self, post: Post) -> Sent {
        let deadline = Deadline::after(self.timeout);
        let credential = post.credential();
        match (post.auth.clone(), credential) {
            (Some(Auth::OAuth2(client)), Some(credential)) => {
                self.send_with_token(&client, credential, post, deadline).await
            }
            _ => self.deliver(&post, deadline).await,
        }
    }

    /// A receiver may close a kept connection just as it is used again. That is the sender's fault and no failed attempt:
    /// when such a connection ends without a byte of an answer, the request goes out again at once, on a fresh one.
    /// If the receiver had already taken the request, it gets it twice in one attempt. `webhook-id` is the same in
    /// both, so the request is idempotent as RFC 9110 §9.2.2 asks of one that is repeated.
    async fn deliver(&self, post: &Post, deadline: Deadline) -> Sent {
        let Some(request) = request::written(post) else {
            return Sent { outcome: Outcome::Failed { cause: SendFailure::Unsendable }, again: false };
        };
        let mut again = false;
        if let Some(connection) = self.pool.take(post) {
            match self.ask(connection, &request, post, deadline).await {
                Ok(outcome) => return Sent { outcome, again },
                Err(NoAnswer { ended_unheard: true, .. }) => again = true,
                Err(NoAnswer { cause, .. }) => return Sent { outcome: Outcome::Failed { cause }, again },
            }
        }
        let asked = async {
            let identity = post.identity()?;
            let connection = self.connector.connect(post.url.as_url(), identity.as_ref(), deadline).await?;
            self.ask(connection, &request, post, deadline).await.map_err(|no_answer| no_answer.cause)
        };
        let outcome = asked.await.unwrap_or_else(|cause| Outcome::Failed { cause });
        Sent { outcome, again }
    }

    async fn ask(
        &self,
        mut connection: Connection,
        request: &[u8],
        post: &Post,
        deadline: Deadline,
    ) -> Result<Outcome, NoAnswer> {
        let asked_at = Instant::now();
        let Heard { status, retry_after, body, truncated, location, broken_off, is_reusable } =
            exchange(&mut connection, request, MAX_RESPONSE_BODY_BYTES, deadline).await?;
        // A server that closes an idle connection may say so by a 408 (RFC 9110 §15.5.9), which is no answer to the request. It
        // does so at once, and a receiver that waited for something else takes longer.
        if status == 408 && connection.is_reused && !is_reusable && asked_at.elapsed() < AT_ONCE {
            return Err(NoAnswer { cause: SendFailure::Closed, ended_unheard: true });
        }
        if is_reusable {
            self.pool.keep(connection, post);
        } else {
            connection.close();
        }
        let (body, is_cut) = excerpt(&body);
        let truncated = truncated || is_cut;
        Ok(Outcome::Answered { status, body, truncated, location, retry_after, broken_off })
    }
}

/// When an attempt's time is over.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self { at: Instant::now() + timeout, timeout }
    }

    const fn seconds(self) -> u64 {
        self.timeout.as_secs()
    }

    const fn passed(self, missing: Missing) -> SendFailure {
        SendFailure::TimedOut { missing, seconds: self.seconds() }
    }

    fn leaves(self, time: Duration) -> bool {
        Instant::now() + time <= self.at
    }

    /// Waits for something that is `missing` until it comes.
    async fn within<T>(self, missing: Missing, future: impl Future<Output = T>) -> Result<T, SendFailure> {
        timeout_at(self.at, future).await.map_err(|_| self.passed(missing))
    }
}

#[cfg(test)]
mod tests;
