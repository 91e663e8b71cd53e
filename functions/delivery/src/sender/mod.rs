//! Requests, each on a thread of its own with its own client and runtime.
//!
//! An HTTP library can be kept busy: hyper reads `100 Continue` as fast as a receiver sends it and does not give way
//! in between, not even to its own deadline. On a thread of its own it delays no other request. The allowance of a
//! request (`allowance.rs`) bounds what the library reads, so the thread is free again soon after the deadline.

pub(crate) mod allowance;
pub(crate) mod client;
pub(crate) mod failure;
pub(crate) mod headers;
pub(crate) mod resolver;
pub(crate) mod retry_after;
pub(crate) mod tcp;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use echo_shared::address::AddressRules;
use echo_shared::attempt::{Outcome, SendFailure};
use rustls::ClientConfig;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::sender::client::{Client, Post, Recipe, timed_out};

/// How long past its deadline a thread may take to say so itself; it knows the status that came, if one did.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Sender {
    recipe: Recipe,
    timeout: Duration,
    idle: Mutex<Vec<Thread>>,
}

/// A thread that waits for its next request; the connections of its last ones may still be open.
#[derive(Debug)]
struct Thread {
    posts: mpsc::UnboundedSender<(Post, oneshot::Sender<Outcome>)>,
    /// Whom it talked to last.
    host: Option<String>,
}

impl Sender {
    /// Starts the first thread at once: Lambda gives a function more processor while it starts than in its first batch.
    ///
    /// # Panics
    /// When this process cannot have another thread.
    pub(crate) fn new(timeout: Duration, rules: AddressRules, tls: ClientConfig) -> Self {
        let recipe = Recipe::new(timeout, rules, tls);
        let idle = Mutex::new(vec![Thread::start(&recipe)]);
        Self { recipe, timeout, idle }
    }

    /// Posts once. Whatever comes of it is an outcome, never an error.
    pub(crate) async fn send(&self, post: Post) -> Outcome {
        let host = post.url.as_url().host_str().map(str::to_owned);
        let mut thread = self.idle_thread(host.as_deref()).unwrap_or_else(|| Thread::start(&self.recipe));
        thread.host = host;
        let (answer, outcome) = oneshot::channel();
        if thread.posts.send((post, answer)).is_err() {
            return Outcome::Failed { cause: SendFailure::Broken, status: None, body: None };
        }
        match timeout(self.timeout + GRACE, outcome).await {
            Ok(Ok(outcome)) if is_timed_out(&outcome) => outcome,
            Ok(Ok(outcome)) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
                outcome
            }
            // The library panicked over what the receiver sent.
            Ok(Err(_)) => Outcome::Failed { cause: SendFailure::Broken, status: None, body: None },
            Err(_) => Outcome::Failed { cause: timed_out(self.timeout), status: None, body: None },
        }
    }

    /// The thread that talked to this host last and may still be connected, or else the one idle for longest.
    fn idle_thread(&self, host: Option<&str>) -> Option<Thread> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connected = idle.iter().rposition(|thread| thread.host.as_deref() == host);
        let chosen = connected.or_else(|| (!idle.is_empty()).then_some(0))?;
        Some(idle.remove(chosen))
    }
}

impl Thread {
    /// # Panics
    /// When this process cannot have another thread: that is no failure of the receiver's, so it must not become an
    /// outcome.
    fn start(recipe: &Recipe) -> Self {
        let client = Client::new(recipe);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (posts, mut to_do) = mpsc::unbounded_channel::<(Post, oneshot::Sender<Outcome>)>();
        let work = async move {
            while let Some((post, answer)) = to_do.recv().await {
                let outcome = client.send(post).await;
                let is_timed_out = is_timed_out(&outcome);
                // The end of the thread closes all its connections, so none is used again after a timeout.
                if answer.send(outcome).is_err() || is_timed_out {
                    return;
                }
            }
        };
        // A task of its own: the future that a runtime blocks on is polled only after another look at the kernel.
        std::thread::spawn(move || runtime.block_on(runtime.spawn(work)));
        Self { posts, host: None }
    }
}

const fn is_timed_out(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { cause: SendFailure::TimedOut { .. }, .. })
}

#[cfg(test)]
mod tests;
