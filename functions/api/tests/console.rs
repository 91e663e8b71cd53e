//! The console's files, as a browser asks for them.

use std::sync::Arc;

use api::app::App;
use api::config::Config;
use api::router::router;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

fn service() -> Router {
    let config = Config::from_lookup(|name| {
        let is_text = name == "TABLES_PREFIX" || name.ends_with("_QUEUE_URL") || name.ends_with("_ARN");
        let is_address = name == "API_ENDPOINT";
        (is_text || is_address).then(|| "http://something.example/".to_owned())
    });
    let aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://127.0.0.1:1")
        .build();
    router(Arc::new(App::new(config.expect("settings"), &aws)))
}

async fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let (parts, body) = service().oneshot(request).await.expect("an answer").into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Answer { status: parts.status, headers: parts.headers, text }
}

/// The scripts and style sheets that a page's `href` and `src` name.
fn loaded(page: &str) -> Vec<&str> {
    let quoted = |text: &'static str| page.split(text).skip(1).filter_map(|rest| rest.split('"').next());
    quoted("href=\"")
        .chain(quoted("src=\""))
        .filter(|name| name.ends_with(".js") || name.ends_with(".css"))
        .collect()
}

#[tokio::test]
async fn each_page_and_all_it_loads_are_served_under_a_strict_policy() {
    for (prefix, folder) in [("", "console"), ("/api", "console"), ("", "docs"), ("/api", "docs")] {
        let page = ask("GET", &format!("{prefix}/{folder}"), &[]).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-cache");
        let names = loaded(&page.text);
        assert!(names.len() > 5, "{names:?}");
        let mut answers = vec![page.headers.clone()];
        for name in names {
            // The names are relative, so any path prefix of the page is a prefix of its files too.
            assert!(name.starts_with(&format!("{folder}/")), "{name}");
            let file = ask("GET", &format!("{prefix}/{name}"), &[]).await;
            assert_eq!(file.status, StatusCode::OK, "{name}");
            let kind = if name.ends_with(".css") { "text/css" } else { "text/javascript" };
            assert_eq!(file.header("content-type"), format!("{kind}; charset=utf-8"), "{name}");
            assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable", "{name}");
            answers.push(file.headers);
        }
        for headers in answers {
            let policy = headers["content-security-policy"].to_str().expect("text");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "),
                "{policy}"
            );
            assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["referrer-policy"], "no-referrer");
            assert!(headers.contains_key("x-request-id"));
        }
    }
}

#[tokio::test]
async fn every_module_that_a_file_imports_is_served() {
    let page = ask("GET", "/console", &[]).await;
    let names = loaded(&page.text);
    for name in names.iter().filter(|name| name.ends_with(".js")) {
        let text = ask("GET", &format!("/{name}"), &[]).await.text;
        for imported in text.split(" from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
            let path = name.rsplit_once('/').map(|(folder, _)| format!("{folder}/{imported}"));
            assert!(names.contains(&path.as_deref().unwrap_or_default()), "{name} imports {imported}");
        }
    }
}

#[tokio::test]
async fn a_page_that_is_known_already_is_not_sent_again() {
    let page = ask("GET", "/console", &[]).await;
    let etag = page.header("etag");
    let again = ask("GET", "/console", &[("if-none-match", etag)]).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again.header("etag"), etag);
    assert_eq!(ask("GET", "/console", &[("if-none-match", "\"other\"")]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_file_of_another_release_is_not_kept() {
    let other = ask("GET", "/console/0123456789abcdef/main.js", &[]).await;
    assert_eq!((other.status, other.header("cache-control")), (StatusCode::OK, "no-store"));
}

#[tokio::test]
async fn an_absent_file_is_refused_as_everywhere() {
    for path in ["/console/x/nothing.js", "/console/x/..%2fmain.rs", "/console/x", "/console/x/main.js/y"] {
        let answer = ask("GET", path, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text.contains(r#""statusCode":404"#), "{path}: {}", answer.text);
    }
    let answer = ask("POST", "/console", &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"));
    assert_eq!(ask("HEAD", "/console", &[]).await.text, "");
}

#[tokio::test]
async fn a_slash_at_the_end_leads_to_the_page() {
    for path in ["/console/", "/api/console/"] {
        let answer = ask("GET", path, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::PERMANENT_REDIRECT, "../console")
        );
    }
}
