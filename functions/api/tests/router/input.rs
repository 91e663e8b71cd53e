//! Input from callers: encoded bodies, unknown parameters, times, URLs; and callers in browsers.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const EVENT_LIMIT: usize = 256 * 1024;
const NEEDS_NAME: &str = "event_name is required and must be one of: call.started, call.ended, call.summary";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

/// Bytes that no compression can shorten.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

impl Service {
    async fn post_encoded(&self, path: &str, coding: &str, body: Vec<u8>) -> Answer {
        let path = path.replace('~', &format!("/v1/projects/{}", self.project));
        self.send("POST", &path, &[("x-api-key", &self.key), ("content-encoding", coding)], body).await
    }
}

#[tokio::test]
async fn a_gzip_body_is_read() {
    let service = Service::new("open");
    for coding in ["gzip", "GZIP", "x-gzip", "identity, gzip", " gzip "] {
        let answer = service.post_encoded("~/events", coding, gzip(b"{}")).await;
        assert_eq!(
            (answer.status, answer.message.as_str()),
            (StatusCode::BAD_REQUEST, NEEDS_NAME),
            "{coding}"
        );
    }
    let parts = [gzip(b"{"), gzip(b"}")].concat();
    assert_eq!(service.post_encoded("~/events", "gzip", parts).await.message, NEEDS_NAME, "of two members");
    assert_eq!(service.post_encoded("~/events", "identity", b"{}".to_vec()).await.message, NEEDS_NAME);
    assert_eq!(service.call("POST", "~/events", gzip(b"{}")).await.message, "The body must be UTF-8");
}

#[tokio::test]
async fn a_body_that_is_not_whole_gzip_is_400() {
    let service = Service::new("open");
    let whole = gzip(b"{}");
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    // The body as API Gateway passes it on when it mistakes bytes for text.
    let as_text = String::from_utf8_lossy(&whole).into_owned().into_bytes();
    for body in [b"{}".to_vec(), whole[..whole.len() - 4].to_vec(), damaged, as_text] {
        let answer = service.post_encoded("~/events", "gzip", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.message.starts_with("The body is not whole gzip"), "{}", answer.message);
    }
    assert_eq!(
        service.post_encoded("~/events", "gzip", Vec::new()).await.message,
        "The body must be a JSON object"
    );
}

#[tokio::test]
async fn another_coding_is_415_and_the_readable_ones_are_named() {
    let service = Service::new("open");
    for coding in ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "*", "gzip;q=1"] {
        let answer = service.post_encoded("~/events", coding, b"{}".to_vec()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{coding}");
        assert_eq!(answer.headers[header::ACCEPT_ENCODING], "gzip, identity");
    }
    // The 413 comes before the 415, and the 400 after it.
    let large = service.post_encoded("~/events", "br", vec![b'x'; EVENT_LIMIT + 1]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["~/events?x=1", "/v1/projects/x/events"] {
        let answer = service.post_encoded(path, "br", b"{}".to_vec()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
    }
    assert_eq!(service.post_encoded("~/nothing", "br", b"{}".to_vec()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_limit_of_a_gzip_body_is_that_of_its_content() {
    for (path, limit) in [("~/events", EVENT_LIMIT), ("~/webhooks", 64 * 1024)] {
        // The service's cache knows the key for three seconds only.
        let service = Service::new("open");
        for content in [vec![b' '; limit], noise(limit)] {
            let answer = service.post_encoded(path, "gzip", gzip(&content)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {}", answer.message);
        }
        for content in [vec![b' '; limit + 1], noise(limit + 1), vec![0; 4 * 1024 * 1024]] {
            let answer = service.post_encoded(path, "gzip", gzip(&content)).await;
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}: {} bytes", content.len());
        }
    }
}

/// API Gateway passes on a body in base64 if its content type is not a text type
/// (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
#[tokio::test]
async fn a_body_in_base64_is_the_bytes_that_it_stands_for() {
    let service = Service::new("open");
    let recorded = include_str!("../../../../events/api-no-key.json");
    let mut event: Value = serde_json::from_str(recorded).expect("JSON");
    let path = format!("/v1/projects/{}/events", service.project);
    event["rawPath"] = path.as_str().into();
    event["requestContext"]["http"]["path"] = path.as_str().into();
    event["requestContext"]["http"]["method"] = "POST".into();
    event["headers"]["x-api-key"] = service.key.as_str().into();
    event["headers"]["content-encoding"] = "gzip".into();
    event["headers"]["content-type"] = "application/octet-stream".into();
    event["body"] = BASE64.encode(gzip(b"{}")).into();
    event["isBase64Encoded"] = true.into();
    let request = lambda_http::request::from_str(&event.to_string()).expect("an event");
    let response = service.router.clone().oneshot(request).await.expect("an answer");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["message"], NEEDS_NAME);
}

#[tokio::test]
async fn an_unknown_parameter_is_400_and_the_nearest_known_one_is_named() {
    let service = Service::new("open");
    let events = "It has: event_name, since, until, limit, cursor, fields";
    for (method, path, message) in [
        (
            "GET",
            "~/events?untill=x",
            format!("untill is no parameter of this call; did you mean until? {events}"),
        ),
        (
            "GET",
            "~/events?event_name[]=call.ended",
            format!("event_name[] is no parameter of this call; did you mean event_name? {events}"),
        ),
        (
            "GET",
            "~/events?status=failed",
            "status is no parameter of this call; it has: event_name, since, until, limit, cursor, fields"
                .to_owned(),
        ),
        ("GET", "~/webhooks?limit=5", "limit is no parameter of this call; it has none".to_owned()),
        ("GET", "~?a", "a is no parameter of this call; it has none".to_owned()),
        ("POST", "~/events?event_id=1", "event_id is no parameter of this call; it has none".to_owned()),
        ("POST", "/auth/login?next=1", "next is no parameter of this call; it has none".to_owned()),
        ("POST", "/auth/signup?next=1", "next is no parameter of this call; it has none".to_owned()),
        ("GET", "/v1/projects?limit=1", "limit is no parameter of this call; it has none".to_owned()),
        (
            "POST",
            "/v1/api-keys?projectId=x",
            "projectId is no parameter of this call; did you mean project_id? It has: project_id".to_owned(),
        ),
    ] {
        let answer = service.call(method, path, "{}").await;
        assert_eq!((answer.status, answer.message), (StatusCode::BAD_REQUEST, message), "{method} {path}");
    }
}

#[tokio::test]
async fn a_plus_that_became_a_space_is_explained() {
    let service = Service::new("open");
    for name in ["since", "until"] {
        let answer = service.call("GET", &format!("~/events?{name}=2026-04-12T15:51:59+02:00"), "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.message.starts_with(name) && answer.message.contains("%2B"), "{}", answer.message);
    }
    let answer = service.call("GET", "~/events?since=yesterday", "").await;
    assert!(!answer.message.contains("%2B"), "{}", answer.message);
    let read = service.call("GET", "~/events?since=2026-04-12T15:51:59%2B02:00", "").await;
    assert_eq!(read.status, StatusCode::SERVICE_UNAVAILABLE, "read, and then there is no store");
}

#[tokio::test]
async fn a_url_that_would_be_requested_as_another_is_refused_with_that_one() {
    let service = Service::new("open");
    for (url, requested) in [
        ("https://example.com/a/../b", "https://example.com/b"),
        ("https://example.com/?sig='a'", "https://example.com/?sig=%27a%27"),
    ] {
        let answer = service.call("POST", "~/webhooks", format!(r#"{{"url": "{url}"}}"#)).await;
        let message = format!("url would be requested as {requested}; register that");
        assert_eq!((answer.status, answer.message), (StatusCode::BAD_REQUEST, message), "{url}");
    }
}

/// A browser sends no key on behalf of a page of another origin: the answer to its preflight request does not allow
/// that.
#[tokio::test]
async fn browsers_on_other_origins_are_not_let_in() {
    let service = Service::new("open");
    let path = format!("/v1/projects/{}/events", service.project);
    let origin = ("origin", "https://shop.example");
    let preflight = [
        origin,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-api-key,content-type"),
    ];
    let refused = [
        (service.send("OPTIONS", &path, &preflight, "").await, StatusCode::UNAUTHORIZED),
        (service.send("OPTIONS", "/auth/login", &preflight, "").await, StatusCode::METHOD_NOT_ALLOWED),
        (
            service.send("POST", &path, &[origin, ("x-api-key", &service.key)], "{}").await,
            StatusCode::BAD_REQUEST,
        ),
    ];
    for (answer, status) in refused {
        assert_eq!(answer.status, status);
        let allows = answer.headers.keys().any(|name| name.as_str().starts_with("access-control-"));
        assert!(!allows, "{:?}", answer.headers);
    }
}

#[tokio::test]
async fn a_path_with_a_slash_at_its_end_is_another_path() {
    let service = Service::new("open");
    for path in
        ["/auth/login/", "/api/auth/login/", "~/", "~/webhooks/", "~/events/", "/v1/projects/", "/docs/"]
    {
        assert_eq!(service.call("POST", path, "{}").await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
