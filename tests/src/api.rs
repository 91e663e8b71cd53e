//! One request to the service and its answer. The harness checks every answer, in every test, against the contract's
//! rules for all answers.

use std::time::Duration;

use axum::http::HeaderMap;
use reqwest::Method;
use serde_json::Value;

use crate::shape;
use crate::stack::stack;
use crate::wait::{PATIENCE, eventually};

/// How many times the harness repeats a request that a busy service answered with 503.
const AGAIN: usize = 2;

/// A caller: the address that it sends to and the credential that it shows.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    prefix: &'static str,
    credential: Credential,
    headers: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone)]
enum Credential {
    None,
    Key(String),
    Bearer(String),
}

impl Api {
    /// # Panics
    /// When no HTTP client can be made.
    #[must_use]
    pub fn anonymous() -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build();
        Self {
            http: http.expect("an HTTP client"),
            prefix: "",
            credential: Credential::None,
            headers: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self { credential: Credential::Key(key.into()), ..self.clone() }
    }

    #[must_use]
    pub fn with_bearer(&self, token: impl Into<String>) -> Self {
        Self { credential: Credential::Bearer(token.into()), ..self.clone() }
    }

    #[must_use]
    pub fn without_credential(&self) -> Self {
        Self { credential: Credential::None, ..self.clone() }
    }

    /// The same caller, sending this header with each request.
    #[must_use]
    pub fn with_header(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut caller = self.clone();
        caller.headers.push((name, value.into()));
        caller
    }

    /// The same caller, calling every path under `/api`.
    #[must_use]
    pub fn under_api(&self) -> Self {
        Self { prefix: "/api", ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string().into_bytes())).await
    }

    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    /// Posts something that may be posted twice, again and again while the answer is a 503.
    pub async fn post_until_served(&self, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        eventually(format!("POST {path} gets another answer than 503"), PATIENCE, || async {
            let answer = self.send(Method::POST, path, body.clone()).await;
            (answer.status != 503).then_some(answer)
        })
        .await
    }

    /// Posts bytes that need not be JSON, or whose exact spelling matters.
    pub async fn post_raw(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.send(Method::POST, path, Some(body.into())).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body.to_string().into_bytes())).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(body.to_string().into_bytes())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn delete_with(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::DELETE, path, Some(body.to_string().into_bytes())).await
    }

    /// Repeats a request that got a 503, as the 503 asks. A POST is sent once only, because repeating it could change
    /// something twice. On a slow machine the emulator may answer the service too late, and the service then answers
    /// 503.
    ///
    /// # Panics
    /// When there is no answer at all, or the answer breaks a rule for all answers.
    pub async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let again = if method == Method::POST { 0 } else { AGAIN };
        for _ in 0..again {
            let answer = self.send_once(method.clone(), path, body.clone()).await;
            if answer.status != 503 {
                return answer;
            }
            eprintln!("again: {}: {}", answer.what, answer.text());
        }
        self.send_once(method, path, body).await
    }

    async fn send_once(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let url = format!("{}{}{path}", stack().api_url, self.prefix);
        let mut request = self.http.request(method.clone(), &url);
        request = match &self.credential {
            Credential::None => request,
            Credential::Key(key) => request.header("x-api-key", key),
            Credential::Bearer(token) => request.header("authorization", format!("Bearer {token}")),
        };
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            if !self.headers.iter().any(|(name, _)| *name == "content-type") {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body);
        }
        let what = format!("{method} {path}");
        let response = request.send().await.unwrap_or_else(|error| panic!("{what}: no answer: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body =
            response.bytes().await.unwrap_or_else(|error| panic!("{what}: no whole answer: {error:?}"));
        let answer = Answer { what, status, headers, body: body.to_vec() };
        answer.check_common();
        answer
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    /// The method and path, for messages.
    pub what: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Panics
    /// When the body is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: not JSON ({}): {}", self.what, self.status, self.text()))
    }

    /// Gives the body, and checks that the answer has this status.
    ///
    /// # Panics
    /// When the answer has another status.
    #[must_use]
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        self.json()
    }

    /// Gives the message of a refusal, and checks that the refusal has this status. Its form was checked when it came.
    ///
    /// # Panics
    /// When the refusal has another status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Checks that the answer is a 400 whose message names this field.
    ///
    /// # Panics
    /// When the answer is no 400 or its message does not name `field`.
    #[track_caller]
    pub fn refuses_field(&self, field: &str) {
        let message = self.refused(400);
        assert!(message.contains(field), "{}: the message does not name {field}: {message}", self.what);
    }

    fn check_common(&self) {
        let Self { what, status, headers, .. } = self;
        let request_id =
            headers.get("x-request-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(!request_id.is_empty(), "{what}: {status} without x-request-id: {}", self.text());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(header("strict-transport-security"), "max-age=31536000", "{what}: {status}");
        if [" /v1", " /auth"].iter().any(|below| what.contains(below)) {
            assert_eq!(header("cache-control"), "no-store", "{what}: {status} that a cache may keep");
        }
        if *status == 204 {
            assert!(self.body.is_empty(), "{what}: 204 with a body");
            return;
        }
        let content_type =
            headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(content_type.starts_with("application/json"), "{what}: content-type {content_type:?}");
        if *status >= 400 {
            shape::error(&self.json(), *status, what);
        }
        if matches!(status, 429 | 503) {
            let seconds =
                headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            assert!(seconds.is_some(), "{what}: {status} without retry-after in seconds");
        }
        if *status == 405 {
            assert!(headers.contains_key("allow"), "{what}: 405 without an allow header");
        }
    }
}
