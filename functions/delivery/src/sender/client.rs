//! One HTTP request, from the connection to the last byte that is read of the answer, under one deadline.

use std::time::Duration;

use echo_shared::address::AddressRules;
use echo_shared::attempt::{MAX_RESPONSE_BODY_BYTES, Outcome, SendFailure, excerpt};
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::time::Timestamp;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, Uri, http};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use crate::sender::allowance::Allowance;
use crate::sender::failure::classify;
use crate::sender::retry_after;
use crate::sender::tcp::{self, Tcp};

/// Shorter than any server keeps an idle connection, so that none is used just as its server closes it, nor after
/// this function was frozen between two batches.
const IDLE_CONNECTION: Duration = Duration::from_secs(2);

/// One attempt's request.
pub(crate) struct Post {
    pub(crate) url: EndpointUrl,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What every client is made of.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    timeout: Duration,
    rules: AddressRules,
    tls: ClientConfig,
}

impl Recipe {
    pub(crate) fn new(timeout: Duration, rules: AddressRules, mut tls: ClientConfig) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { timeout, rules, tls }
    }
}

/// For one request at a time.
#[derive(Debug)]
pub(crate) struct Client {
    http: legacy::Client<HttpsConnector<Tcp>, Full<Bytes>>,
    allowance: Allowance,
    timeout: Duration,
}

impl Client {
    pub(crate) fn new(recipe: &Recipe) -> Self {
        let allowance = Allowance::none();
        let tcp = tcp::connector(recipe.rules.clone(), allowance.clone());
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .build(HttpsConnector::from((tcp, recipe.tls.clone())));
        Self { http, allowance, timeout: recipe.timeout }
    }

    /// Posts once. Whatever comes of it is an outcome, never an error.
    pub(crate) async fn send(&self, post: Post) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        // The URL or a header holds something that HTTP cannot carry.
        let Ok(request) = request(post) else {
            return Outcome::Failed { cause: SendFailure::Broken, status: None, body: None };
        };
        self.allowance.renew(deadline);
        match timeout_at(deadline, self.http.request(request)).await {
            Ok(Ok(response)) => self.read(response, deadline).await,
            Ok(Err(error)) => {
                Outcome::Failed { cause: classify(&error, self.timeout), status: None, body: None }
            }
            Err(_) => Outcome::Failed { cause: timed_out(self.timeout), status: None, body: None },
        }
    }

    /// Reads the answer to its end or to as much as is kept; dropping the rest closes the connection.
    async fn read(&self, mut response: Response<Incoming>, deadline: Instant) -> Outcome {
        let status = response.status().as_u16();
        let retry_after = match status {
            429 | 503 => asked_to_wait(&response),
            _ => None,
        };
        let mut read: Vec<u8> = Vec::new();
        let cause = loop {
            match timeout_at(deadline, response.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(chunk) = frame.into_data() else { continue };
                    let room = MAX_RESPONSE_BODY_BYTES - read.len();
                    read.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if read.len() == MAX_RESPONSE_BODY_BYTES {
                        return Outcome::Answered { status, body: excerpt(&read), retry_after };
                    }
                }
                Ok(None) => return Outcome::Answered { status, body: excerpt(&read), retry_after },
                Ok(Some(Err(error))) => break classify(&error, self.timeout),
                Err(_) => break timed_out(self.timeout),
            }
        };
        let body = (!read.is_empty()).then(|| excerpt(&read));
        Outcome::Failed { cause, status: Some(status), body }
    }
}

pub(crate) const fn timed_out(timeout: Duration) -> SendFailure {
    SendFailure::TimedOut { seconds: timeout.as_secs() }
}

fn request(post: Post) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::post(Uri::try_from(post.url.as_url().as_str())?)
        .header(USER_AGENT, concat!("echo-webhooks/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*");
    for (name, value) in post.headers {
        request = request.header(name, value);
    }
    request.body(Full::from(post.body))
}

fn asked_to_wait(response: &Response<Incoming>) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    retry_after::parse(value, Timestamp::now())
}
