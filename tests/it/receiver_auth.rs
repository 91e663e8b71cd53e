//! Endpoints whose receivers want an access token of OAuth 2.0, or a client certificate (contract §3, §5).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use echo_tests::aws::{logged, table_dump};
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, unique};
use echo_tests::receiver::{Received, Receiver, Reply};
use echo_tests::shape::text;
use echo_tests::signature;
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::{Value, json};

/// A token URL for one client. It checks a request by RFC 6749 §4.4, and gives numbered tokens.
struct TokenUrl {
    server: Receiver,
    secret: String,
}

impl TokenUrl {
    async fn start(expires_in: u64) -> Self {
        let secret = format!("s&{}", unique());
        // Form-encoded before it is encoded as Basic: RFC 6749 §2.3.1.
        let basic =
            format!("Basic {}", STANDARD.encode(format!("the+client:{}", secret.replace('&', "%26"))));
        let count = Mutex::new(0);
        let server = Receiver::choosing(move |request: &Received| {
            let (is_json, refusal) = (("content-type", "application/json"), |status, error| {
                Reply::status(status).body(format!(r#"{{"error":"{error}"}}"#))
            });
            if request.header("authorization") != basic {
                return refusal(401, "invalid_client").header(is_json.0, is_json.1);
            }
            if request.body != b"grant_type=client_credentials&scope=hooks%3Awrite" {
                return refusal(400, "invalid_request").header(is_json.0, is_json.1);
            }
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            *count += 1;
            let token =
                json!({"access_token": format!("token-{count}"), "token_type": "Bearer", "expires_in": expires_in});
            Reply::status(200).header(is_json.0, is_json.1).body(token.to_string())
        })
        .await;
        Self { server, secret }
    }

    fn auth(&self) -> Value {
        json!({
            "type": "oauth2",
            "token_url": self.server.url_of("/token"),
            "client_id": "the client",
            "client_secret": self.secret,
            "scope": "hooks:write",
        })
    }
}

async fn create(project: &Project, url: &str, auth: &Value) -> Endpoint {
    let body = json!({"url": url, "events": ["call.ended"], "auth": auth});
    Endpoint::new(project, project.post("/webhooks", &body).await.ok(201))
}

fn token(request: &Received) -> String {
    let token = request.header("authorization").strip_prefix("Bearer token-").expect("a token");
    token.to_owned()
}

#[tokio::test]
async fn attempts_carry_a_token_that_is_fetched_for_many_of_them() {
    let (project, receiver, tokens) =
        (Project::new().await, Receiver::start().await, TokenUrl::start(3_600).await);
    let endpoint = create(&project, &receiver.url(), &tokens.auth()).await;
    for _ in 0..24 {
        project.emit_one().await;
    }
    let requests = receiver.received(24).await;
    for request in &requests {
        token(request);
        assert_eq!(request.header("x-echo-signature"), signature::echo(&endpoint.secret, &request.body));
        assert!(request.headers.contains_key("webhook-signature"));
    }
    // Each process of the function fetches its own, and the slower the machine, the more processes the emulator starts.
    assert!(tokens.server.count() < 24, "{} token requests", tokens.server.count());
    let asked = tokens.server.first().await;
    assert_eq!((asked.method.as_str(), asked.uri.path()), ("POST", "/token"));
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    assert!(asked.headers.contains_key("x-echo-origin") && !asked.headers.contains_key("x-echo-signature"));
}

#[tokio::test]
async fn a_token_that_has_ended_is_fetched_anew() {
    let (project, receiver, tokens) =
        (Project::new().await, Receiver::start().await, TokenUrl::start(1).await);
    create(&project, &receiver.url(), &tokens.auth()).await;
    project.emit_one().await;
    let first = token(&receiver.first().await);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    project.emit_one().await;
    assert_ne!(token(&receiver.received(2).await[1]), first);
}

#[tokio::test]
async fn a_refused_token_is_replaced_within_the_attempt() {
    let (project, tokens) = (Project::new().await, TokenUrl::start(3_600).await);
    let revoked: Arc<Mutex<HashSet<String>>> = Arc::default();
    let known = Arc::clone(&revoked);
    let receiver = Receiver::choosing(move |request| {
        let known = known.lock().unwrap_or_else(PoisonError::into_inner);
        Reply::status(if known.contains(&token(request)) { 401 } else { 200 })
    })
    .await;
    let endpoint = create(&project, &receiver.url(), &tokens.auth()).await;
    // The next delivery may be another process's, which has no token yet.
    for _ in 0..12 {
        let all: HashSet<String> = receiver.requests().iter().map(token).collect();
        revoked.lock().unwrap_or_else(PoisonError::into_inner).extend(all);
        let id = project.emit_one().await;
        let delivery = endpoint.ended(&id, "success").await;
        assert_eq!(delivery["attempt_count"], 1, "{delivery}");
        assert_eq!(delivery["attempts"][0]["http_status"], 200);
        let requests = receiver.requests();
        let own: Vec<_> = requests.iter().filter(|one| one.header("x-echo-delivery") == id).collect();
        if let [refused, taken] = own[..] {
            assert_ne!(token(refused), token(taken));
            assert_eq!((&refused.body, refused.header("x-echo-attempt")), (&taken.body, "1"));
            assert_eq!(taken.header("x-echo-attempt"), "1");
            return;
        }
    }
    panic!("no token was used for two deliveries");
}

#[tokio::test]
async fn a_receiver_that_refuses_each_token_gets_its_401_recorded() {
    let (project, receiver, tokens) =
        (Project::new().await, Receiver::answering(401).await, TokenUrl::start(3_600).await);
    let endpoint = create(&project, &receiver.url(), &tokens.auth()).await;
    let id = project.emit_one().await;
    let delivery = endpoint.attempted(&id, 1).await;
    assert_eq!(delivery["attempts"][0]["http_status"], 401);
    assert_eq!(delivery["attempts"][0]["error_message"], Value::Null);
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_a_right_one_mends_it() {
    let (project, receiver, tokens) =
        (Project::new().await, Receiver::start().await, TokenUrl::start(3_600).await);
    let mut wrong = tokens.auth();
    wrong["client_secret"] = json!("wrong");
    let endpoint = create(&project, &receiver.url(), &wrong).await;
    let id = project.emit_one().await;
    let delivery = endpoint.attempted(&id, 1).await;
    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["http_status"], Value::Null);
    assert_eq!(attempt["error_message"], "the token URL answered 401 invalid_client");
    assert_eq!((&attempt["success"], &attempt["url"]), (&json!(false), &json!(receiver.url())));
    assert_eq!(receiver.count(), 0, "no request is made without a token");
    endpoint.patch(&json!({"auth": tokens.auth()})).await;
    endpoint.ended(&id, "success").await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn two_projects_with_the_same_client_share_no_token() {
    let tokens = TokenUrl::start(3_600).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (project, receiver) = (Project::new().await, Receiver::start().await);
        create(&project, &receiver.url(), &tokens.auth()).await;
        for _ in 0..4 {
            project.emit_one().await;
        }
        seen.push(receiver.received(4).await.iter().map(token).collect::<HashSet<_>>());
    }
    assert!(seen[0].is_disjoint(&seen[1]), "{seen:?}");
}

#[tokio::test]
async fn the_secret_is_masked_kept_by_its_mask_and_stands_in_no_table_or_log() {
    let (project, receiver, tokens) =
        (Project::new().await, Receiver::start().await, TokenUrl::start(3_600).await);
    let endpoint = create(&project, &receiver.url(), &tokens.auth()).await;
    let mut shown = tokens.auth();
    shown["client_secret"] = json!("********");
    assert_eq!(endpoint.created["auth"], shown);
    let scopes = json!({"name": "reader", "scopes": ["read"]});
    let reader = project.api.post("/v1/api-keys", &scopes).await.ok(201);
    let reader = Project::known(&project.id, text(&reader, "key"));
    let path = format!("/webhooks/{}", endpoint.id);
    assert_eq!(reader.get(&path).await.ok(200)["auth"], shown);

    // The object that was shown can be sent back.
    let kept = endpoint.patch(&json!({"auth": shown, "description": "same"})).await;
    assert_eq!(kept["auth"], shown);
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
    let rows = table_dump("EndpointsTable").await;
    assert!(rows.contains(&endpoint.id), "the dump shows what is there");
    assert!(!rows.contains(&tokens.secret[2..]), "a table holds the secret");
    eventually("the attempt is logged", PATIENCE, || async {
        (!logged("Delivery", &id).await.is_empty()).then_some(())
    })
    .await;
    for function in ["Api", "Delivery"] {
        assert!(logged(function, &tokens.secret[2..]).await.is_empty(), "{function} logs the secret");
        assert!(logged(function, "Bearer token-").await.is_empty(), "{function} logs a token");
    }
    assert_eq!(endpoint.patch(&json!({"auth": null})).await["auth"], Value::Null);
    project.emit_one().await;
    assert!(!receiver.received(2).await[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn no_secret_moves_to_another_origin() {
    let (project, tokens) = (Project::new().await, TokenUrl::start(3_600).await);
    let endpoint = create(&project, "https://example.com/a", &tokens.auth()).await;
    let masked = endpoint.created["auth"].clone();
    let refuses = |change: Value| {
        let (api, path) = (&project.api, endpoint.path(""));
        async move { api.patch(&path, &change).await.refuses_field("auth") }
    };
    let elsewhere = |secret: &str| {
        let mut auth = masked.clone();
        auth["token_url"] = json!("https://login.example.org/token");
        auth["client_secret"] = json!(secret);
        auth
    };
    refuses(json!({"url": "https://example.org/a"})).await;
    refuses(json!({"url": "https://example.org/a", "auth": masked})).await;
    refuses(json!({"auth": elsewhere("********")})).await;
    endpoint.patch(&json!({"url": "https://example.com/b"})).await;
    endpoint.patch(&json!({"auth": elsewhere("again")})).await;
    endpoint.patch(&json!({"url": "https://example.org/a", "auth": null})).await;
    refuses(json!({"auth": masked})).await;
}

#[tokio::test]
async fn what_auth_cannot_be_is_named() {
    let project = Project::new().await;
    let client = |change: Value| {
        let mut auth = json!({
            "type": "oauth2", "token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "b",
        });
        auth.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        auth
    };
    for (field, auth) in [
        ("auth", json!("oauth2")),
        ("auth.type", json!({})),
        ("auth.type", client(json!({"type": "basic"}))),
        ("auth.token_url", client(json!({"token_url": "http://login.example.com/token"}))),
        ("auth.token_url", client(json!({"token_url": "https://10.0.0.1/token"}))),
        ("auth.token_url", client(json!({"token_url": "https://169.254.169.254/latest"}))),
        ("auth.token_url", client(json!({"token_url": "https://dynamodb.eu-west-1.amazonaws.com/"}))),
        ("auth.token_url", client(json!({"token_url": null}))),
        ("auth.client_id", client(json!({"client_id": ""}))),
        ("auth.client_secret", client(json!({"client_secret": "x".repeat(1_025)}))),
        ("auth.client_secret", client(json!({"client_secret": "********"}))),
        ("auth.scope", client(json!({"scope": "a  b"}))),
        ("auth.scop", client(json!({"scop": "a"}))),
    ] {
        let body = json!({"url": "https://example.com/", "events": ["call.ended"], "auth": auth});
        project.post("/webhooks", &body).await.refuses_field(field);
    }
    let both = json!({
        "url": "https://example.com/", "events": ["call.ended"], "auth": client(json!({})),
        "headers": {"Authorization": "Basic YTpi"},
    });
    let message = project.post("/webhooks", &both).await.refused(400);
    assert!(message.starts_with("headers cannot have authorization"), "{message}");
    assert_eq!(project.get("/webhooks").await.ok(200), json!([]), "nothing is half-written");
}

/// A certificate and its key, in PEM.
fn pair(name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    signed_by(&key, name)
}

fn signed_by(key: &rcgen::KeyPair, name: &str) -> (String, String) {
    let params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
    (params.self_signed(key).expect("a certificate").pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_certificates_key_is_masked_and_kept_for_a_certificate_that_it_fits() {
    let (project, key) = (Project::new().await, rcgen::KeyPair::generate().expect("a key"));
    let (certificate, pem) = signed_by(&key, "client.example");
    let auth = json!({"type": "mtls", "certificate": certificate, "key": pem});
    let endpoint = create(&project, "https://example.com/", &auth).await;
    let shown = json!({"type": "mtls", "certificate": certificate, "key": "********"});
    assert_eq!(endpoint.created["auth"], shown);
    assert_eq!(endpoint.show().await["auth"], shown);
    let (renewed, _) = signed_by(&key, "client.example");
    let kept = json!({"auth": {"type": "mtls", "certificate": renewed, "key": "********"}});
    assert_eq!(endpoint.patch(&kept).await["auth"]["certificate"], renewed);
    let (other, other_key) = pair("other.example");
    let apart = json!({"auth": {"type": "mtls", "certificate": other, "key": "********"}});
    let refused = project.api.patch(&endpoint.path(""), &apart).await.refused(400);
    assert_eq!(refused, "auth.key must be the private key of the first certificate in certificate");
    project
        .api
        .patch(&endpoint.path(""), &json!({"url": "https://example.org/"}))
        .await
        .refuses_field("auth");
    let both = json!({"auth": {"type": "mtls", "certificate": other, "key": other_key}, "url": "https://example.org/"});
    endpoint.patch(&both).await;
    let rows = table_dump("EndpointsTable").await;
    let secret = other_key.lines().nth(1).expect("a line of the key");
    assert!(rows.contains("mtls") && !rows.contains(secret), "a table holds the key");
}

#[tokio::test]
async fn what_is_no_certificate_with_its_key_is_named() {
    let project = Project::new().await;
    let ((certificate, key), (_, other)) = (pair("client.example"), pair("other.example"));
    let mtls = |certificate: &str, key: &str| json!({"type": "mtls", "certificate": certificate, "key": key});
    for (url, field, auth) in [
        ("https://example.com/", "auth.key", mtls(&certificate, &other)),
        ("https://example.com/", "auth.key", mtls(&certificate, "none")),
        ("https://example.com/", "auth.key", mtls(&certificate, "********")),
        ("https://example.com/", "auth.certificate", mtls("none", &key)),
        ("https://example.com/", "auth.certificate", mtls(&format!("{certificate}{key}"), &key)),
        ("https://example.com/", "auth.certificate", mtls(&certificate.repeat(20), &key)),
        ("https://example.com/", "auth.key", json!({"type": "mtls", "certificate": certificate})),
        ("http://127.0.0.1:9/", "url of https", mtls(&certificate, &key)),
    ] {
        let body = json!({"url": url, "events": ["call.ended"], "auth": auth});
        let answer = project.post("/webhooks", &body).await;
        answer.refuses_field(field);
        assert!(!answer.text().contains("PRIVATE KEY"), "{}", answer.text());
    }
}
