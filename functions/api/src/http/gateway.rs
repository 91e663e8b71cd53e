//! Makes an invocation by API Gateway fit for `http::Request`. The gateway decodes the path of an HTTP API, so the path can
//! contain spaces, quotes or letters that a URI may not contain, and `lambda_http` panics on those.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::http::{HeaderName, HeaderValue, Uri};
use lambda_http::lambda_runtime::LambdaInvocation;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow, rename = "rawPath", default)]
    path: Cow<'a, str>,
    #[serde(borrow, rename = "rawQueryString", default)]
    query: Cow<'a, str>,
    #[serde(borrow, default)]
    headers: HashMap<Cow<'a, str>, Cow<'a, str>>,
}

/// The invocation, with characters that a request cannot carry escaped (path, query) or left out (headers).
#[must_use]
pub fn tidy(mut invocation: LambdaInvocation) -> LambdaInvocation {
    if !is_tidy(&invocation.body) {
        invocation.body = tidied(&invocation.body).into();
    }
    invocation
}

/// A body that is no request by the gateway becomes `null`. `lambda_http` answers that with an error that says so, and
/// panics on some others.
fn tidied(body: &[u8]) -> String {
    let mut event = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if !event["requestContext"]["http"].is_object() {
        return Value::Null.to_string();
    }
    if let Some(query) = event["rawQueryString"].as_str() {
        event["rawQueryString"] = escape(query).into();
    }
    if let Some(path) = event["rawPath"].as_str() {
        // Without its slash the path would follow the host directly and become part of the host's name.
        let slash = if path.starts_with('/') { "" } else { "/" };
        event["rawPath"] = format!("{slash}{}", escape(path)).into();
    }
    event["requestContext"]["http"]["path"] = event["rawPath"].clone();
    if let Some(headers) = event["headers"].as_object_mut() {
        headers.retain(|name, value| value.as_str().is_some_and(|value| is_header(name, value)));
    }
    event.to_string()
}

fn is_tidy(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|Probe { path, query, headers }| {
        is_uri(&path)
            && is_uri(&format!("/?{query}"))
            && headers.iter().all(|(name, value)| is_header(name, value))
    })
}

fn is_uri(text: &str) -> bool {
    text.starts_with('/') && !text.contains(['?', '#']) && text.parse::<Uri>().is_ok()
        || text.starts_with("/?") && text.parse::<Uri>().is_ok()
}

fn is_header(name: &str, value: &str) -> bool {
    let is_host = name.eq_ignore_ascii_case("host");
    let is_authority = || value.parse::<axum::http::uri::Authority>().is_ok();
    name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value).is_ok() && (!is_host || is_authority())
}

/// Percent-encodes characters that a URI may not contain. Characters that are encoded already stay as they are.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'/' | b'&' | b'=' | b'+' | b':' | b'%' | b',' | b';' | b'@' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(path: &str, header: &str) -> String {
        serde_json::json!({ "rawPath": path, "rawQueryString": "a=b%20c", "headers": { "x": header } })
            .to_string()
    }

    #[test]
    fn a_valid_request_is_left_alone() {
        for path in ["/", "/v1/projects/a%20b", "/v1//x", "/v1/é".replace('é', "%C3%A9").as_str()] {
            assert!(is_tidy(event(path, "plain").as_bytes()), "{path}");
        }
    }

    #[test]
    fn an_invalid_request_is_noticed() {
        for path in ["", "v1", "/a b", "/<", "/a\u{1}", "/a?b", "/a#b"] {
            assert!(!is_tidy(event(path, "plain").as_bytes()), "{path}");
        }
        assert!(!is_tidy(event("/", "a\nb").as_bytes()));
        assert!(!is_tidy(b"not json"));
    }

    #[test]
    fn what_is_no_request_is_answered_with_an_error() {
        let events = include_str!("../../../../events/producer-put-events.json");
        for body in
            [events, "7", "{}", "{\"Records\": []}", "{\"requestContext\": {\"http\": 7}}", "not json", ""]
        {
            assert!(!is_tidy(body.as_bytes()), "{body}");
            let read = serde_json::from_str::<lambda_http::request::LambdaRequest>(&tidied(body.as_bytes()));
            assert!(read.is_err(), "{body}");
        }
    }

    #[test]
    fn escaping_makes_a_path_of_anything() {
        for path in ["/a b\"é?#\u{202e}", "/%", "/%zz"] {
            assert!(escape(path).parse::<Uri>().is_ok(), "{path}");
        }
        assert_eq!(escape("/a b%20é"), "/a%20b%20%C3%A9");
    }
}
