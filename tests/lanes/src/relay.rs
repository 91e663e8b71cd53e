//! A server that passes each request on and hands the answer back, as a proxy does.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper::header::CONTENT_LENGTH;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::http::{self, Answer, Broken, Server};

/// How a relay changes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay {
    KeepsHeaders,
    /// The relay passes on only the API key and the body without the event's id. So nothing in the request shows that
    /// it comes from this service.
    StripsHeaders,
}

impl Relay {
    /// Opens a port that passes its requests on to `to`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(self, to: SocketAddr) -> io::Result<Server> {
        http::serve(move |request| self.pass_on(request, to)).await
    }

    async fn pass_on(self, request: Request<Incoming>, to: SocketAddr) -> Result<Answer, Broken> {
        let (mut parts, body) = request.into_parts();
        let mut body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        if self == Self::StripsHeaders {
            let key = parts.headers.remove("x-api-key").ok_or(Broken)?;
            parts.headers.clear();
            parts.headers.insert("x-api-key", key);
            body = without_id(&body);
            parts.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        let stream = TcpStream::connect(to).await.map_err(|_| Broken)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| Broken)?;
        tokio::spawn(connection);
        let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await;
        let (parts, body) = answer.map_err(|_| Broken)?.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        Ok(http::answer(parts.status.as_u16(), "application/json", body))
    }
}

fn without_id(envelope: &Bytes) -> Bytes {
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(envelope).unwrap_or_default();
    fields.remove("event_id");
    fields.retain(|_, value| !value.is_null());
    serde_json::Value::Object(fields).to_string().into()
}
