//! The HTTP API before the api function: requests in, payload 2.0 to the function, answers out.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::clock::now_millis;
use crate::function::Function;
use crate::http::{self, Answer, Broken, Server};
use crate::lineage::Trace;
use crate::sandbox::Failed;
use crate::throttle::Throttles;

/// The name by which callers know the API, unless they say another.
pub const HOST: &str = "lane.execute-api.us-east-1.amazonaws.com";

/// The address from which callers come, unless they say another.
pub const CALLER: &str = "198.51.100.7";

/// A caller's request.
#[derive(Debug, Clone, Default)]
pub struct HttpRequest {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<Bytes>,
    /// The address of the caller, or `None` where it does not matter.
    pub source_ip: Option<String>,
}

/// The answer that a caller gets.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

impl HttpAnswer {
    /// The body as JSON; null when it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// The HTTP API as strangers meet it: throttles, and behind them the function.
#[derive(Debug)]
pub struct Gateway {
    api: Arc<Function>,
    throttles: Throttles,
}

impl Gateway {
    #[must_use]
    pub const fn new(api: Arc<Function>, throttles: Throttles) -> Self {
        Self { api, throttles }
    }

    /// Hands a request to the api function, unless its route is throttled. The gateway words that refusal itself.
    pub async fn call(&self, request: HttpRequest) -> HttpAnswer {
        if !self.throttles.admit(&request.target) {
            return failure(429, "Too Many Requests");
        }
        call(&self.api, request).await
    }
}

/// Hands a request to the api function as API Gateway does, and its answer back. No throttle is in its way.
pub async fn call(api: &Arc<Function>, request: HttpRequest) -> HttpAnswer {
    match api.invoke(api.next_id(), event(&request), &Trace::default()).await {
        Ok(payload) => answer(&payload),
        Err(Failed::TimedOut) => failure(503, "Service Unavailable"),
        Err(Failed::Crashed | Failed::Reported(_)) => failure(500, "Internal Server Error"),
    }
}

/// The HTTP API on a port, so that a delivery can reach it.
#[derive(Debug)]
pub struct Port {
    server: Server,
    statuses: Arc<Mutex<Vec<u16>>>,
}

impl Port {
    /// # Errors
    /// When no port can be had.
    pub async fn open(api: &Arc<Function>) -> io::Result<Self> {
        let (api, statuses) = (Arc::clone(api), Arc::<Mutex<Vec<u16>>>::default());
        let noted = Arc::clone(&statuses);
        let server = http::serve(move |request| {
            let (api, noted) = (Arc::clone(&api), Arc::clone(&noted));
            async move {
                let answer = call(&api, read(request).await?).await;
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(answer.status);
                http::sure(written(answer))
            }
        })
        .await?;
        Ok(Self { server, statuses })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// How each request that came through the port was answered.
    #[must_use]
    pub fn statuses(&self) -> Vec<u16> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn read(request: Request<Incoming>) -> Result<HttpRequest, Broken> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers() {
        // A header that comes several times is joined by commas
        // (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
        let value = value.to_str().unwrap_or_default();
        let joined = headers.get(name.as_str()).map(|before| format!("{before},{value}"));
        headers.insert(name.to_string(), joined.unwrap_or_else(|| value.to_owned()));
    }
    let method = request.method().to_string();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let body = Some(http::body(request).await?).filter(|body| !body.is_empty());
    Ok(HttpRequest { method, target, headers, body, source_ip: None })
}

fn written(answer: HttpAnswer) -> Answer {
    let content_type = answer.headers.get("content-type").map_or("text/plain", String::as_str);
    http::answer(answer.status, content_type, answer.body)
}

/// The invocation for a request, in payload format 2.0.
#[must_use]
pub fn event(request: &HttpRequest) -> Bytes {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut headers = request.headers.clone();
    let host = headers.entry("host".to_owned()).or_insert_with(|| HOST.to_owned());
    let domain = host.split(':').next().unwrap_or_default().to_owned();
    let source_ip = request.source_ip.as_deref().unwrap_or(CALLER);
    // API Gateway appends the caller's address to the caller's own header.
    let said = headers.get("x-forwarded-for").map(|said| format!("{said}, {source_ip}"));
    headers.insert("x-forwarded-for".to_owned(), said.unwrap_or_else(|| source_ip.to_owned()));
    headers.entry("x-forwarded-proto".to_owned()).or_insert_with(|| "https".to_owned());
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "lane",
            "domainName": domain,
            "domainPrefix": "lane",
            "http": { "method": request.method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": source_ip, "userAgent": "lane" },
            "requestId": uuid::Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Apr/2026:15:51:59 +0000",
            "timeEpoch": now_millis(),
        },
        "isBase64Encoded": false,
    });
    let pairs: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    if !pairs.is_empty() {
        event["queryStringParameters"] = json!(pairs);
    }
    if let Some(body) = &request.body {
        if is_text(&headers) {
            event["body"] = String::from_utf8_lossy(body).into();
        } else {
            event["body"] = STANDARD.encode(body).into();
            event["isBase64Encoded"] = true.into();
        }
    }
    event.to_string().into()
}

/// "If the content type of the request is binary, the body is base64-encoded"
/// (docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html, for the same format). Which content types are text was seen on
/// AWS (github.com/ministackorg/ministack/pull/766); bytes of text that are not UTF-8 do not survive.
fn is_text(headers: &BTreeMap<String, String>) -> bool {
    let content_type = headers.get("content-type").map_or("", String::as_str);
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_known =
        ["application/json", "application/xml", "application/javascript"].contains(&content_type.as_str());
    content_type.starts_with("text/") || is_known
}

fn failure(status: u16, message: &str) -> HttpAnswer {
    let body = json!({ "message": message }).to_string().into();
    HttpAnswer { status, headers: BTreeMap::new(), body }
}

fn answer(payload: &Bytes) -> HttpAnswer {
    let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
    let Some(status) = payload["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()) else {
        return failure(500, "Internal Server Error");
    };
    let mut headers = BTreeMap::new();
    for (name, value) in payload["headers"].as_object().into_iter().flatten() {
        headers.insert(name.to_lowercase(), value.as_str().unwrap_or_default().to_owned());
    }
    for (name, values) in payload["multiValueHeaders"].as_object().into_iter().flatten() {
        if let Some(value) = values.as_array().and_then(|values| values.first()).and_then(Value::as_str) {
            headers.insert(name.to_lowercase(), value.to_owned());
        }
    }
    let text = payload["body"].as_str().unwrap_or_default();
    let body = match payload["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(text).unwrap_or_default().into(),
        _ => Bytes::from(text.to_owned()),
    };
    HttpAnswer { status, headers, body }
}
