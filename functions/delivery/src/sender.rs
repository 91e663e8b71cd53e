//! One HTTP request, from the connection to the last byte that is read of the answer, under one deadline.

use std::time::Duration;

use echo_shared::address::AddressRules;
use echo_shared::attempt::{MAX_RESPONSE_BODY_BYTES, Outcome, SendFailure, excerpt};
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::time::Timestamp;
use reqwest::{Client, Response, redirect, retry};
use tokio::time::{Instant, timeout_at};

use crate::failure::classify;
use crate::resolver::CheckedResolver;
use crate::retry_after;

/// Shorter than any server keeps an idle connection, so that none is used just as its server closes it, nor after
/// this function was frozen between two batches.
const IDLE_CONNECTION: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Sender {
    client: Client,
    timeout: Duration,
}

impl Sender {
    /// # Errors
    /// When the system has no root certificates.
    pub(crate) fn new(timeout: Duration, rules: AddressRules) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("echo-webhooks/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(CheckedResolver { rules })
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .pool_idle_timeout(IDLE_CONNECTION)
            .build()?;
        Ok(Self { client, timeout })
    }

    /// Posts `body` once. Whatever comes of it is an outcome, never an error.
    pub(crate) async fn post(
        &self,
        url: &EndpointUrl,
        headers: impl IntoIterator<Item = (&'static str, String)>,
        body: Vec<u8>,
    ) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let mut request = self.client.post(url.as_url().clone()).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => self.read(response, deadline).await,
            Ok(Err(error)) => Outcome::Failed { cause: classify(&error), status: None, body: None },
            Err(_) => Outcome::Failed { cause: self.timed_out(), status: None, body: None },
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
                Err(_) => break self.timed_out(),
            }
        };
        let body = (!read.is_empty()).then(|| excerpt(&read));
        Outcome::Failed { cause, status: Some(status), body }
    }

    fn timed_out(&self) -> SendFailure {
        SendFailure::TimedOut { seconds: self.timeout.as_secs() }
    }
}

fn asked_to_wait(response: &Response) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    retry_after::parse(value, Timestamp::now())
}

#[cfg(test)]
mod tests;
