//! The customer's server. It answers as it is told and keeps the requests that it gets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;

use crate::http::{self, Answer, Broken, Server};

/// How a path of the receiver answers.
#[derive(Debug, Clone)]
pub enum Behaviour {
    Answer(u16),
    /// By attempt number; the last one goes on. [`HANGS`] never answers.
    Script(Vec<u16>),
    /// Takes the request and never answers.
    Hang,
    After(Duration, u16),
}

/// In a script: no answer.
pub const HANGS: u16 = 0;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Hit {
    pub at: Instant,
    pub path: String,
    pub delivery_id: String,
    pub event_id: String,
    pub attempt: u32,
    pub body: Bytes,
    pub headers: HashMap<String, String>,
    /// The answer, if one was given.
    pub status: Option<u16>,
}

#[derive(Debug, Default)]
struct State {
    behaviours: HashMap<String, Behaviour>,
    hits: Vec<Hit>,
    is_counting_only: bool,
    counts: HashMap<String, (u32, u32)>,
}

#[derive(Debug)]
pub struct Receiver {
    state: Arc<Mutex<State>>,
    server: Server,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    /// Starts a receiver that answers 200 on every path.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let server = http::serve(move |request| answer(Arc::clone(&shared), request)).await?;
        Ok(Self { state, server })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub fn set(&self, path: &str, behaviour: Behaviour) {
        lock(&self.state).behaviours.insert(path.to_owned(), behaviour);
    }

    /// From now on, for loads, keeps two numbers for each delivery: requests, and answers with a 2xx.
    pub fn count_only(&self) {
        lock(&self.state).is_counting_only = true;
    }

    #[must_use]
    pub fn hits(&self) -> Vec<Hit> {
        lock(&self.state).hits.clone()
    }

    /// For each delivery, its requests and its answers with a 2xx.
    #[must_use]
    pub fn counts(&self) -> HashMap<String, (u32, u32)> {
        lock(&self.state).counts.clone()
    }
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Answer, Broken> {
    let at = Instant::now();
    let path = request.uri().path().to_owned();
    let headers: HashMap<String, String> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let (delivery_id, event_id) = (header("x-echo-delivery"), header("webhook-id"));
    let attempt: u32 = header("x-echo-attempt").parse().unwrap_or(0);
    let body = http::body(request).await?;
    let (place, behaviour) = {
        let mut state = lock(&state);
        state.counts.entry(delivery_id.clone()).or_default().0 += 1;
        if !state.is_counting_only {
            let hit = Hit {
                at,
                path: path.clone(),
                delivery_id: delivery_id.clone(),
                event_id,
                attempt,
                body,
                headers,
                status: None,
            };
            state.hits.push(hit);
        }
        (state.hits.len(), state.behaviours.get(&path).cloned().unwrap_or(Behaviour::Answer(200)))
    };
    let status = match behaviour {
        Behaviour::Answer(status) => status,
        Behaviour::Script(statuses) => {
            let index = usize::try_from(attempt).unwrap_or(0).saturating_sub(1);
            match statuses.get(index).or(statuses.last()) {
                Some(&HANGS) => std::future::pending().await,
                status => status.copied().unwrap_or(200),
            }
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::After(wait, status) => {
            tokio::time::sleep(wait).await;
            status
        }
    };
    let mut state = lock(&state);
    if (200..300).contains(&status) {
        state.counts.entry(delivery_id).or_default().1 += 1;
    }
    if !state.is_counting_only
        && let Some(hit) = place.checked_sub(1).and_then(|place| state.hits.get_mut(place))
    {
        hit.status = Some(status);
    }
    http::sure(http::answer(status, "text/plain", status.to_string()))
}
