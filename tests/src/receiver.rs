//! A customer's server: a real server on loopback that records every request and gives the answers that the test
//! chose.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use serde_json::Value;

use crate::signature;
use crate::time::now;
use crate::wait::{PATIENCE, eventually, throughout};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The time at which the whole request had arrived, in milliseconds since the epoch.
    pub at: i64,
    /// The time at which the answer was ready, which is before the sender can have seen it.
    pub answered_at: Option<i64>,
}

impl Received {
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        signature::header(&self.headers, name)
    }

    /// # Panics
    /// When the body is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// The answer to one request.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    delay: Duration,
}

impl Reply {
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: b"noted".to_vec(), delay: Duration::ZERO }
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Delays the answer by this long.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

type Chooser = Box<dyn Fn(&Received) -> Reply + Send>;

struct Book {
    requests: Vec<Received>,
    script: VecDeque<Reply>,
    /// Chooses the answers after the end of the script.
    otherwise: Chooser,
}

/// A receiver, which stops when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn open(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn record(State(book): State<Arc<Mutex<Book>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body =
        axum::body::to_bytes(body, usize::MAX).await.unwrap_or_else(|_| Bytes::from_static(b"<cut short>"));
    let received = Received {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: body.to_vec(),
        at: now(),
        answered_at: None,
    };
    let (index, reply) = {
        let mut book = open(&book);
        let next = book.script.pop_front();
        let reply = next.unwrap_or_else(|| (book.otherwise)(&received));
        book.requests.push(received);
        (book.requests.len() - 1, reply)
    };
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    open(&book).requests[index].answered_at = Some(now());
    response.body(Body::from(reply.body)).expect("a valid reply")
}

impl Receiver {
    /// Starts a receiver that answers 200 to every request.
    pub async fn start() -> Self {
        Self::answering(200).await
    }

    /// Starts a receiver that gives every request the same answer.
    pub async fn answering(reply: impl Into<Reply>) -> Self {
        Self::scripted::<u16>([], reply).await
    }

    /// Starts a receiver that answers the first requests by `script`, in order of arrival, and gives all others one
    /// answer.
    pub async fn scripted<R: Into<Reply>>(
        script: impl IntoIterator<Item = R>,
        otherwise: impl Into<Reply>,
    ) -> Self {
        let otherwise = otherwise.into();
        let receiver = Self::choosing(move |_| otherwise.clone()).await;
        open(&receiver.book).script = script.into_iter().map(Into::into).collect();
        receiver
    }

    /// Starts a receiver that answers each request as `choose` says.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn choosing(choose: impl Fn(&Received) -> Reply + Send + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let otherwise: Chooser = Box::new(choose);
        let book = Arc::new(Mutex::new(Book { requests: Vec::new(), script: VecDeque::new(), otherwise }));
        let app = Router::new().fallback(record).with_state(Arc::clone(&book));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("a receiver serves until it is dropped");
        });
        Self { address, book, server }
    }

    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("/hook")
    }

    #[must_use]
    pub fn url_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers every request like this from now on.
    pub fn set(&self, reply: impl Into<Reply>) {
        let reply = reply.into();
        let mut book = open(&self.book);
        book.script.clear();
        book.otherwise = Box::new(move |_| reply.clone());
    }

    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        open(&self.book).requests.clone()
    }

    #[must_use]
    pub fn count(&self) -> usize {
        open(&self.book).requests.len()
    }

    /// Waits for at least this many requests and gives all of them.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} requests arrive at {}", self.address);
        eventually(what, PATIENCE, || async {
            let requests = self.requests();
            (requests.len() >= count).then_some(requests)
        })
        .await
    }

    /// Waits for the first request.
    pub async fn first(&self) -> Received {
        self.received(1).await.swap_remove(0)
    }

    /// Watches for `period` that no more than `count` requests come.
    pub async fn no_more_than(&self, count: usize, period: Duration) {
        throughout(period, || async {
            let seen = self.count();
            if seen <= count {
                Ok(())
            } else {
                Err(format!("{seen} requests arrived, {count} were expected"))
            }
        })
        .await;
    }
}
