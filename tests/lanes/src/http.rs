//! The HTTP server and the forms of answers that the stand-ins share.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub type Answer = Response<Full<Bytes>>;

/// The server breaks the connection instead of sending an answer.
#[derive(Debug)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// A server on a free loopback port. It stops when this guard is dropped.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves HTTP/1.1 until the guard is dropped. `Err(Broken)` closes the connection without an answer.
///
/// # Errors
/// When no port is free.
pub async fn serve<H, F>(handler: H) -> io::Result<Server>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Broken>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let handler = handler.clone();
            connections.spawn(async move {
                let service = hyper::service::service_fn(handler);
                // Some tests break the connection on purpose, so an error is no problem here.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(Server { address, task })
}

/// The whole body of a request.
///
/// # Errors
/// When the client closed the connection before the end of the body.
pub async fn body(request: Request<Incoming>) -> Result<Bytes, Broken> {
    Ok(request.into_body().collect().await.map_err(|_| Broken)?.to_bytes())
}

#[must_use]
pub fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = content_type.parse() {
        answer.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
    }
    answer
}

/// An AWS service's answer to a call: status and JSON.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

impl Reply {
    #[must_use]
    pub fn ok(body: String) -> Self {
        Self { status: 200, body }
    }

    /// An error as AWS's JSON protocols spell it.
    #[must_use]
    pub fn error(status: u16, kind: &str, message: &str) -> Self {
        Self { status, body: serde_json::json!({ "__type": kind, "message": message }).to_string() }
    }
}

/// Gives the answer of an infallible handler the type that [`serve`] accepts.
pub fn sure(answer: Answer) -> Result<Answer, Broken> {
    Ok::<_, Infallible>(answer).map_err(|never| match never {})
}
