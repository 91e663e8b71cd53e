//! One HTTP request, from the connection to the last byte that is read of the answer, under one deadline.

use std::time::Duration;

use echo_shared::address::AddressRules;
use echo_shared::attempt::{MAX_RESPONSE_BODY_BYTES, Outcome, SendFailure, excerpt};
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::time::Timestamp;
use reqwest::{Response, redirect, retry};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use crate::failure::classify;
use crate::resolver::CheckedResolver;
use crate::retry_after;

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

#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    timeout: Duration,
}

impl Client {
    /// # Errors
    /// When the recipe does not suit the HTTP library.
    pub(crate) fn new(recipe: &Recipe) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("echo-webhooks/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(CheckedResolver { rules: recipe.rules.clone() })
            .tls_backend_preconfigured(recipe.tls.clone())
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .pool_idle_timeout(IDLE_CONNECTION)
            .build()?;
        Ok(Self { http, timeout: recipe.timeout })
    }

    /// Posts once. Whatever comes of it is an outcome, never an error.
    pub(crate) async fn send(&self, post: Post) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let mut request = self.http.post(post.url.as_url().clone()).body(post.body);
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => self.read(response, deadline).await,
            Ok(Err(error)) => Outcome::Failed { cause: classify(&error), status: None, body: None },
            Err(_) => Outcome::Failed { cause: timed_out(self.timeout), status: None, body: None },
        }
    }

    /// Reads the answer to its end or to as much as is kept; dropping the rest closes the connection.
    async fn read(&self, mut response: Response, deadline: Instant) -> Outcome {
        let status = response.status().as_u16();
        let retry_after = match status {
            429 | 503 => asked_to_wait(&response),
            _ => None,
        };
        let mut read: Vec<u8> = Vec::new();
        let cause = loop {
            match timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    let room = MAX_RESPONSE_BODY_BYTES - read.len();
                    read.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if read.len() == MAX_RESPONSE_BODY_BYTES {
                        return Outcome::Answered { status, body: excerpt(&read), retry_after };
                    }
                }
                Ok(Ok(None)) => return Outcome::Answered { status, body: excerpt(&read), retry_after },
                Ok(Err(error)) => break classify(&error),
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

fn asked_to_wait(response: &Response) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    retry_after::parse(value, Timestamp::now())
}
