//! The HTTP API before the api function: requests in, payload 2.0 to the function, answers out.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::clock::now_millis;
use crate::function::Function;
use crate::sandbox::Failed;

/// A caller's request.
#[derive(Debug, Clone, Default)]
pub struct HttpRequest {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<Bytes>,
}

/// What a caller gets.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

impl HttpAnswer {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Hands a request to the api function as API Gateway does, and its answer back.
pub async fn call(api: &Arc<Function>, request: HttpRequest) -> HttpAnswer {
    match api.invoke(api.next_id(), event(&request)).await {
        Ok(payload) => answer(&payload),
        Err(Failed::TimedOut) => failure(503, "Service Unavailable"),
        Err(Failed::Crashed | Failed::Reported(_)) => failure(500, "Internal Server Error"),
    }
}

/// The invocation that a request is, in payload format 2.0.
#[must_use]
pub fn event(request: &HttpRequest) -> Bytes {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut headers = request.headers.clone();
    headers.entry("host".to_owned()).or_insert_with(|| "lane.execute-api.us-east-1.amazonaws.com".to_owned());
    headers.entry("x-forwarded-for".to_owned()).or_insert_with(|| "198.51.100.7".to_owned());
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
            "domainName": "lane.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "lane",
            "http": { "method": request.method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "198.51.100.7", "userAgent": "lane" },
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
        match std::str::from_utf8(body) {
            Ok(text) => event["body"] = text.into(),
            Err(_) => {
                event["body"] = STANDARD.encode(body).into();
                event["isBase64Encoded"] = true.into();
            }
        }
    }
    event.to_string().into()
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
