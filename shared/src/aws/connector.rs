//! hyper as the SDK's HTTP client. The SDK brings a client around the same library, but that client reads the system's root
//! certificates by itself. The delivery function needs them for its receivers too, and reading them takes a fifth of its
//! cold start, so it reads them once for both.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{self, CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::time::Timestamp;

/// The timeout for connecting to all addresses of a name together. The client's own timeouts also cover the name's look-up
/// and the TLS handshake.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);

/// A pause after which connections are not used again. Lambda closes the idle connections of a frozen function
/// (<https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html>), and a function that wakes does not know it
/// yet: its timers stood still, and the end of a connection may never have come. The wall clock went on. A call that is
/// sent on a dead connection fails, and SQS's client repeats none, so the job would be in doubt and its delivery late.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

type Pool = Client<HttpsConnector<connect::HttpConnector>, SdkBody>;

#[derive(Debug)]
pub(super) struct Connector {
    connector: HttpsConnector<connect::HttpConnector>,
    /// The connections to each service's host, and the time of the last call there.
    pools: Mutex<HashMap<String, (Pool, Timestamp)>>,
}

impl Connector {
    pub(super) fn new(tls: ClientConfig) -> Self {
        let mut tcp = connect::HttpConnector::new();
        tcp.set_connect_timeout(Some(TCP_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        // Plain HTTP serves only a stand-in for AWS on this machine.
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let connector = https.wrap_connector(tcp);
        Self { pools: Mutex::default(), connector }
    }

    /// The connections for a call at `now`: new ones after a pause, or if the clock was set back.
    fn pool_at(&self, host: &str, now: Timestamp) -> Pool {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((pool, last_call)) = pools.get_mut(host)
            && *last_call <= now
            && now.since(*last_call) <= LONGEST_PAUSE
        {
            *last_call = now;
            return pool.clone();
        }
        let pool = pool(&self.connector);
        pools.insert(host.to_owned(), (pool.clone(), now));
        pool
    }
}

fn pool(connector: &HttpsConnector<connect::HttpConnector>) -> Pool {
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector.clone())
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let answer =
            self.pool_at(request.uri().host().unwrap_or_default(), Timestamp::now()).request(request);
        HttpConnectorFuture::new(async move {
            // An I/O error is repeated by the clients that repeat calls at all, so such a call may arrive twice.
            let answer = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Lets the SDK close a connection whose server answers with faults.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::tls::Tls;

    async fn answer_all(mut stream: TcpStream) {
        let mut request = Vec::new();
        while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
            if request.ends_with(b"\r\n\r\n") {
                request.clear();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    }

    #[tokio::test]
    async fn no_connection_is_used_again_after_a_pause() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer_all(stream));
            }
        });
        let connector = Connector::new(Tls::new().expect("root certificates").client);
        let start = Timestamp::from_millis(1_776_009_119_499);
        let seconds = |n| start.plus(Duration::from_secs(n));
        // Calls to one service do not keep the connections to another alive.
        let calls = [
            ("one", start, 1),
            ("one", seconds(20), 1),
            ("other", seconds(20), 2),
            ("other", seconds(39), 2),
            ("one", seconds(41), 3),
            ("one", seconds(50), 3),
            ("one", start, 4),
        ];
        for (host, at, connections) in calls {
            let mut request = HttpRequest::empty();
            request.set_uri(url.as_str()).expect("a URI");
            let request = request.try_into_http1x().expect("a request");
            connector.pool_at(host, at).request(request).await.expect("an answer");
            assert_eq!(accepted.load(Ordering::SeqCst), connections, "{host} {at}");
            // The answer's connection is back in the pool once its task has run.
            tokio::task::yield_now().await;
        }
    }
}
