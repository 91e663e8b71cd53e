//! The router's answers without AWS: all of its clients have addresses that refuse connections.

#[path = "router/documented.rs"]
mod documented;
#[path = "router/input.rs"]
mod input;

use std::sync::Arc;

use api::app::{App, AppState};
use api::config::Config;
use api::router::{at_plain_paths, router};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use echo_shared::api_key::{ApiKey, ApiKeyStatus, KeyGrant, Reach};
use echo_shared::id::{AccountId, ApiKeyId, EndpointId, ProjectId};
use echo_shared::shards::Shards;
use echo_shared::time::Timestamp;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A router whose cache knows one key, so that requests get past authentication.
struct Service {
    router: Router,
    project: String,
    key: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    message: String,
}

impl Service {
    fn new(signup_policy: &'static str) -> Self {
        Self::of(signup_policy, router)
    }

    fn of(signup_policy: &'static str, router: fn(AppState) -> Router) -> Self {
        Self::with_key(signup_policy, Reach::WHOLE, router)
    }

    fn with_key(signup_policy: &'static str, reach: Reach, router: fn(AppState) -> Router) -> Self {
        let config = Config::from_lookup(move |name| {
            let value = match name {
                "SIGNUP_POLICY" => signup_policy,
                "API_ENDPOINT" => "https://a1b2c3.execute-api.eu-west-1.amazonaws.com",
                "ROOT_SECRET_ARN" | "SEALING_KEYS_ARN" => "http://127.0.0.1:1/something",
                _ if name == "TABLES_PREFIX" || name.ends_with("_QUEUE_URL") => {
                    "http://127.0.0.1:1/something"
                }
                _ => return None,
            };
            Some(value.to_owned())
        });
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://127.0.0.1:1")
            .build();
        let app = App::new(config.expect("settings"), &aws);
        let (key, now) = (ApiKey::generate(), Timestamp::now());
        let grant = KeyGrant {
            key_hash: key.hash(),
            project_id: ProjectId::new(now),
            account_id: AccountId::new(now),
            shards: Shards::ONE,
            api_key_id: ApiKeyId::new(now),
            status: ApiKeyStatus::Active,
            reach,
        };
        let project = grant.project_id.to_string();
        app.grants.put(grant, now);
        Self { router: router(Arc::new(app)), project, key: key.expose().to_owned() }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let json: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(3), "{json}");
        assert_eq!(json["statusCode"], parts.status.as_u16());
        assert_eq!(json["error"], parts.status.canonical_reason().expect("a reason"));
        assert_eq!(parts.headers[header::CONTENT_TYPE], "application/json");
        assert!(parts.headers.contains_key("x-request-id"));
        let message = json["message"].as_str().expect("a message").to_owned();
        Answer { status: parts.status, headers: parts.headers, message }
    }

    /// Calls with the key; `~` in the path stands for the key's project.
    async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let path = path.replace('~', &format!("/v1/projects/{}", self.project));
        self.send(method, &path, &[("x-api-key", &self.key)], body).await
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_outside_v1_and_401_below_it() {
    let service = Service::new("open");
    for path in ["/", "/v2/projects", "/auth", "/auth/nothing", "/api", "/api/auth/nothing", "/favicon.ico"] {
        assert_eq!(service.send("GET", path, &[], "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/v1/nothing", "/api/v1/nothing", "/v1/projects/x/nothing", "/v1/projects"] {
        assert_eq!(service.send("GET", path, &[], "").await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/v1/nothing", "/api/v1/nothing", "~/nothing", "~/webhooks/", "/v1/projects/x/nothing"] {
        assert_eq!(service.call("GET", path, "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn credentials_are_judged_before_anything_else() {
    let service = Service::new("open");
    let upper = service.key.to_uppercase();
    for headers in [
        &[][..],
        &[("x-api-key", "")],
        &[("x-api-key", "echo_")],
        &[("x-api-key", &upper)],
        &[("authorization", "Basic YTpi")],
        &[("x-api-key", "nonsense"), ("authorization", "Bearer a.b.c")],
    ] {
        let path = format!("/v1/projects/{}/events", service.project);
        let answer = service.send("DELETE", &path, headers, "x".repeat(300 * 1024)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
}

#[tokio::test]
async fn anothers_project_is_403_whatever_the_rest() {
    let service = Service::new("open");
    let other = format!("/v1/projects/{}", ProjectId::new(Timestamp::now()));
    for (method, rest) in
        [("GET", ""), ("GET", "/nothing"), ("PUT", "/webhooks"), ("POST", "/events"), ("GET", "//")]
    {
        let answer = service.call(method, &format!("{other}{rest}"), "not JSON").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {rest}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_with_the_right_ones() {
    let service = Service::new("open");
    for (path, allow) in [
        ("~", "DELETE,GET,HEAD"),
        ("~/webhooks", "GET,HEAD,POST"),
        ("/api~/events", "GET,HEAD,POST"),
        ("/v1/api-keys", "GET,HEAD,POST"),
        ("/v1/projects/not-a-uuid/events", "GET,HEAD,POST"),
        ("~/webhooks/not-a-uuid", "DELETE,GET,HEAD,PATCH"),
    ] {
        let answer = service.call("PUT", path, "x".repeat(300 * 1024)).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let mut methods: Vec<_> = answer.headers[header::ALLOW].to_str().expect("text").split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allow, "{path}");
    }
    let answer = service.send("GET", "/auth/login", &[], "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers[header::ALLOW], "POST");
}

#[tokio::test]
async fn a_large_body_is_413_before_anything_else_is_wrong_with_the_request() {
    let service = Service::new("open");
    let (over, under) = (|limit: usize| "x".repeat(limit + 1), |limit: usize| "x".repeat(limit));
    for (path, limit) in
        [("~/events", 256 * 1024), ("~/webhooks", 64 * 1024), ("/v1/projects/x/events", 256 * 1024)]
    {
        assert_eq!(
            service.call("POST", path, over(limit)).await.status,
            StatusCode::PAYLOAD_TOO_LARGE,
            "{path}"
        );
        assert_eq!(service.call("POST", path, under(limit)).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let answer = service.send("POST", "/api/auth/login", &[], over(64 * 1024)).await;
    assert_eq!(
        (answer.status, answer.message.as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "The body must be at most 64 KiB")
    );
}

#[tokio::test]
async fn refusals_name_what_is_wrong() {
    let service = Service::new("open");
    let events = "one of: call.started, call.ended, call.summary";
    for (path, body, message) in [
        ("~/events", "", "The body must be a JSON object".to_owned()),
        ("~/events", "{}", format!("event_name is required and must be {events}")),
        ("~/events", r#"{"event_name": "x y"}"#, format!("event_name must be {events}")),
        ("/v1/projects/x/events", "{}", "projectId in the path must be a hyphenated UUID".to_owned()),
        ("~/webhooks", "{}", "url is required and must be an absolute https URL".to_owned()),
        ("~/webhooks", r#"{"url": "http://example.com"}"#, "url must use https".to_owned()),
        ("/v1/api-keys?project_id=x", "{}", "project_id must be a hyphenated UUID".to_owned()),
        (
            "/v1/api-keys",
            r#"{"name": 1}"#,
            "name must be a non-blank string of 1 to 256 characters".to_owned(),
        ),
    ] {
        let answer = service.call("POST", path, body).await;
        assert_eq!((answer.status, answer.message), (StatusCode::BAD_REQUEST, message), "{path} {body}");
    }
    let answer = service.call("GET", "~/webhooks/x/deliveries", "").await;
    assert_eq!(answer.message, "webhookId in the path must be a hyphenated UUID");
    // It may be an event type of the account, and there is no store to ask.
    let answer = service.call("POST", "~/events", r#"{"event_name": "x"}"#).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_key_stays_in_its_project() {
    let service = Service::new("open");
    let other = ProjectId::new(Timestamp::now());
    let answer = service.call("GET", &format!("/v1/api-keys?project_id={other}"), "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = service.call("POST", "/v1/projects", "{}").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.message.contains("access token"), "{}", answer.message);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503_and_shows_nothing() {
    let service = Service::new("open");
    let endpoint = EndpointId::new(Timestamp::now());
    for (method, path, body) in [
        ("GET", format!("~/webhooks/{endpoint}"), ""),
        ("PATCH", format!("~/webhooks/{endpoint}"), "not JSON"),
        ("PUT", format!("~/webhooks/{endpoint}"), ""),
        ("POST", "~/events".to_owned(), r#"{"event_name": "call.ended"}"#),
        ("POST", "/auth/login".to_owned(), r#"{"email": "ada@example.com", "password": "12345678"}"#),
    ] {
        let answer = service.call(method, &path, body).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
        assert!(!answer.message.contains("DynamoDB"), "{}", answer.message);
    }
}

#[tokio::test]
async fn signing_up_follows_the_operators_policy() {
    let body = "not JSON";
    let closed = Service::new("closed").send("POST", "/auth/signup", &[], body).await;
    assert_eq!(closed.status, StatusCode::FORBIDDEN);
    let token = Service::new("token").send("POST", "/auth/signup", &[], body).await;
    assert_eq!(token.status, StatusCode::UNAUTHORIZED);
    let open = Service::new("open").send("POST", "/auth/signup", &[], body).await;
    assert_eq!(open.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_gateways_request_id_is_passed_on() {
    let recorded = include_str!("../../../events/api-no-key.json");
    let id = serde_json::from_str::<Value>(recorded).expect("JSON")["requestContext"]["requestId"].clone();
    let request = lambda_http::request::from_str(recorded).expect("an event");
    let response = Service::new("open").router.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["x-request-id"], id.as_str().expect("an id"));
}
