//! The rules for all answers, and the errors that any route can give (contract §1). The harness checks the form of
//! error bodies and `x-request-id` on every answer of every test.

use std::collections::BTreeSet;

use echo_tests::api::Api;
use echo_tests::project::{Account, Project, random_email, signup_request, unique};
use echo_tests::receiver::Receiver;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const LIMIT: usize = 64 * 1024;

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let project = Project::new().await;
    let mut ids = BTreeSet::new();
    for _ in 0..5 {
        for answer in [project.get("/webhooks").await, project.get("/nothing").await] {
            ids.insert(answer.headers["x-request-id"].to_str().expect("text").to_owned());
        }
    }
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn every_path_is_served_under_api_too_with_the_same_key() {
    let anonymous = Api::anonymous().under_api();
    let email = random_email();
    let _ = anonymous.post("/auth/signup", &signup_request(&email)).await.ok(201);
    let login = json!({"email": email, "password": echo_tests::project::PASSWORD});
    let tokens = anonymous.post("/auth/login", &login).await.ok(200);
    let refresh = anonymous.with_bearer(tokens["refresh_token"].as_str().expect("a token"));
    let _ = refresh.post_nothing("/auth/refresh").await.ok(201);
    let bearer = anonymous.with_bearer(tokens["access_token"].as_str().expect("a token"));
    let _ = bearer.get("/v1/projects").await.ok(200);

    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let api = project.api.under_api();
    let webhook = json!({"url": receiver.url(), "events": ["call.ended"]});
    let created = api.post(&project.path("/webhooks"), &webhook).await.ok(201);
    let path = project.path(&format!("/webhooks/{}", created["id"].as_str().expect("an id")));
    assert_eq!(api.get(&path).await.ok(200), project.api.get(&path).await.ok(200));
    assert_eq!(api.get(&project.path("/webhooks")).await.ok(200), json!([created]));
    let _ = api.patch(&path, &json!({"events": ["call.ended"]})).await.ok(200);
    let _ = api.post_nothing(&format!("{path}/secret/rotate")).await.ok(200);
    let accepted = api.post(&project.path("/events"), &json!({"event_name": "call.ended"})).await.ok(202);
    receiver.first().await;
    let _ = api.get(&format!("{path}/deliveries?limit=1")).await.ok(200);
    let delivery = accepted["deliveries"][0]["id"].as_str().expect("an id");
    let _ = api.get(&format!("{path}/deliveries/{delivery}")).await.ok(200);
    let _ = api.get("/v1/api-keys").await.ok(200);
    api.get("/v1/nothing").await.refused(404);
    api.send(Method::PUT, &path, None).await.refused(405);
    assert_eq!(api.delete(&path).await.status, 204);
    // Only the first `/api` of a path is a prefix.
    Api::anonymous().under_api().post("/api/auth/login", &login).await.refused(404);
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let project = Project::new().await;
    for path in
        ["/", "/nothing", "/auth", "/auth/nothing", "/v2/projects", "/favicon.ico", "/v1x", "/apiv1/projects"]
    {
        Api::anonymous().get(path).await.refused(404);
    }
    let webhooks = project.path("/webhooks");
    for path in
        ["/v1/nothing".to_owned(), project.path("/nothing"), format!("{webhooks}/{}/nothing", Uuid::now_v7())]
    {
        project.api.get(&path).await.refused(404);
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_the_right_ones_are_named() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let endpoint = project.endpoint("https://example.com/").await;
    let cases = [
        (Method::GET, "/auth/signup".to_owned(), &["POST"][..]),
        (Method::DELETE, "/auth/login".to_owned(), &["POST"]),
        (Method::GET, "/auth/account".to_owned(), &["DELETE"]),
        (Method::GET, "/auth/refresh".to_owned(), &["POST"]),
        (Method::PUT, project.path("/webhooks"), &["GET", "POST"]),
        (Method::DELETE, project.path("/webhooks"), &["GET", "POST"]),
        (Method::PUT, endpoint.path(""), &["DELETE", "GET", "PATCH"]),
        (Method::POST, endpoint.path(""), &["DELETE", "GET", "PATCH"]),
        (Method::GET, endpoint.path("/secret/rotate"), &["POST"]),
        (Method::POST, endpoint.path("/deliveries"), &["GET"]),
        (Method::POST, project.path("/deliveries"), &["GET"]),
        (Method::DELETE, project.path("/deliveries/x"), &["GET"]),
        (Method::DELETE, "/v1/api-keys".to_owned(), &["GET", "POST"]),
        (Method::POST, format!("/v1/api-keys/{}/revoke", Uuid::now_v7()), &["PATCH"]),
        (Method::PATCH, project.path("/events"), &["GET", "POST"]),
    ];
    for (method, path, allowed) in cases {
        let answer = project.api.send(method.clone(), &path, None).await;
        answer.refused(405);
        let allow = answer.headers["allow"].to_str().expect("text").to_owned();
        let named: BTreeSet<&str> = allow.split(',').map(str::trim).collect();
        for wanted in allowed {
            assert!(named.contains(wanted), "{method} {path}: allow: {allow}");
        }
        assert!(!named.contains(method.as_str()), "{method} {path}: allow: {allow}");
    }
    account.bearer().send(Method::PUT, "/v1/projects", None).await.refused(405);
}

/// Routes that take a body, and callers that may use them.
async fn routes_with_bodies() -> Vec<(Api, Method, String)> {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let endpoint = project.endpoint("https://example.com/").await;
    vec![
        (Api::anonymous(), Method::POST, "/auth/signup".to_owned()),
        (Api::anonymous(), Method::POST, "/auth/login".to_owned()),
        (account.bearer(), Method::POST, "/v1/projects".to_owned()),
        (project.api.clone(), Method::POST, "/v1/api-keys".to_owned()),
        (project.api.clone(), Method::POST, project.path("/webhooks")),
        (project.api.clone(), Method::PATCH, endpoint.path("")),
        (project.api.clone(), Method::POST, project.path("/events")),
    ]
}

#[tokio::test]
async fn a_body_must_be_a_json_object() {
    let wrong: [&[u8]; 12] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"\"text\"",
        b"7",
        b"{",
        b"{\"a\":}",
        b"{} {}",
        b"not json",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":01}",
    ];
    for (api, method, path) in routes_with_bodies().await {
        for body in wrong {
            let answer = api.send(method.clone(), &path, Some(body.to_vec())).await;
            assert_eq!(
                answer.status,
                400,
                "{method} {path} {:?}: {}",
                String::from_utf8_lossy(body),
                answer.text()
            );
        }
        api.send(method, &path, None).await.refused(400);
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_413_outside_events() {
    for (api, method, path) in routes_with_bodies().await {
        if path.ends_with("/events") {
            continue;
        }
        let body = |length: usize| {
            let (start, end) = (r#"{"unknown":""#, r#""}"#);
            format!("{start}{}{end}", "x".repeat(length - start.len() - end.len())).into_bytes()
        };
        api.send(method.clone(), &path, Some(body(LIMIT + 1))).await.refused(413);
        // A body of exactly the limit is not too large. It only lacks fields.
        api.send(method, &path, Some(body(LIMIT))).await.refused(400);
    }
}

#[tokio::test]
async fn a_body_of_exactly_64_kib_is_taken() {
    let project = Project::new().await;
    let mut webhook = json!({"url": "https://example.com/", "events": ["call.ended"], "unknown": ""});
    let missing = LIMIT - webhook.to_string().len();
    webhook["unknown"] = json!("x".repeat(missing));
    assert_eq!(webhook.to_string().len(), LIMIT);
    let _ = project.post("/webhooks", &webhook).await.ok(201);
}

#[tokio::test]
async fn unknown_request_fields_are_ignored() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let extra = |mut body: Value| {
        body["unknown"] = json!({"deep": [1, 2, 3]});
        body
    };
    let _ = account.bearer().post("/v1/projects", &extra(json!({"name": unique()}))).await.ok(201);
    let _ = project.api.post("/v1/api-keys", &extra(json!({"name": "x"}))).await.ok(201);
    let webhook = extra(json!({"url": "https://example.com/", "events": ["call.ended"]}));
    let created = project.post("/webhooks", &webhook).await.ok(201);
    assert!(created.get("unknown").is_none(), "{created}");
    let path = project.path(&format!("/webhooks/{}", created["id"].as_str().expect("an id")));
    let _ = project.api.patch(&path, &extra(json!({"events": ["call.started"]}))).await.ok(200);
    project.post_event(&extra(json!({"event_name": "call.summary"}))).await;
}

/// Tries every call of the description, on resources that exist: for others 404 would come first.
#[tokio::test]
async fn an_unknown_query_parameter_is_refused_by_every_call() {
    let account = Account::sign_up().await;
    let (project, receiver) = (account.default_project(), Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let accepted = project.post_event(&json!({"event_name": "call.ended"})).await;
    let delivery = accepted["deliveries"][0]["id"].as_str().expect("an id");
    endpoint.ended(delivery, "success").await;
    let since = json!({"since": "2026-01-01T00:00:00Z"});
    let replay = project.api.post(&endpoint.path("/replay"), &since).await.ok(202);
    let keys = project.api.get("/v1/api-keys").await.ok(200);
    let portal = project.api.post(&project.path("/portal-links"), &json!({})).await.ok(201);
    let ids = [
        ("{projectId}", project.id.as_str()),
        ("{webhookId}", &endpoint.id),
        ("{deliveryId}", delivery),
        ("{eventId}", accepted["event_id"].as_str().expect("an id")),
        ("{replayId}", replay["id"].as_str().expect("an id")),
        ("{apiKeyId}", keys[0]["id"].as_str().expect("an id")),
        ("{portalLinkId}", portal["id"].as_str().expect("an id")),
        ("{name}", "call.ended"),
    ];
    let document = Api::anonymous().get("/openapi.json").await.ok(200);
    let mut calls = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        if !path.starts_with("/v1") && !path.starts_with("/auth") {
            continue;
        }
        for (method, operation) in item.as_object().expect("methods") {
            let concrete = ids.iter().fold(path.clone(), |path, (name, id)| path.replace(name, id));
            let method: Method = method.to_uppercase().parse().expect("a method");
            let api = match path.as_str() {
                "/auth/refresh" => Api::anonymous().with_bearer(&account.refresh_token),
                "/v1/projects"
                | "/v1/projects/{projectId}"
                | "/v1/event-types/{name}"
                | "/auth/account"
                | "/auth/logout"
                | "/auth/password" => account.bearer(),
                _ => project.api.clone(),
            };
            let body = operation.get("requestBody").map(|_| b"{}".to_vec());
            let message =
                api.send(method.clone(), &format!("{concrete}?nonsense=1"), body).await.refused(400);
            assert!(
                message.starts_with("nonsense is no parameter of this call"),
                "{method} {path}: {message}"
            );
            calls += 1;
        }
    }
    assert!(calls > 20, "{calls} calls");
    assert_eq!(endpoint.show().await["signing_secret"], endpoint.secret, "and nothing was done");
    receiver.no_more_than(1, std::time::Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_unknown_thing_comes_before_an_unknown_parameter() {
    let project = Project::new().await;
    let unknown = project.path(&format!("/webhooks/{}", Uuid::now_v7()));
    for path in ["?x=1", "/deliveries?x=1", "/test?x=1", "/replay?x=1"] {
        let method =
            if path.starts_with("/test") || path.starts_with("/replay") { Method::POST } else { Method::GET };
        project.api.send(method, &format!("{unknown}{path}"), None).await.refused(404);
    }
    project.api.delete(&format!("{unknown}?x=1")).await.refused(404);
}

#[tokio::test]
async fn an_id_in_the_path_must_be_a_uuid() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    for bad in ["1", "not-a-uuid", "a1b2c3d4e5f67890abcdef1234567890", "a%20b", &"a".repeat(300)] {
        let api = &project.api;
        api.get(&format!("/v1/projects/{bad}/webhooks")).await.refuses_field("projectId");
        api.get(&project.path(&format!("/webhooks/{bad}"))).await.refuses_field("webhookId");
        api.patch(&project.path(&format!("/webhooks/{bad}")), &json!({"status": "active"}))
            .await
            .refuses_field("webhookId");
        api.get(&project.path(&format!("/webhooks/{bad}/deliveries"))).await.refuses_field("webhookId");
        api.get(&endpoint.path(&format!("/deliveries/{bad}"))).await.refuses_field("deliveryId");
        api.post_nothing(&endpoint.path(&format!("/deliveries/{bad}/retry")))
            .await
            .refuses_field("deliveryId");
        api.patch(&format!("/v1/api-keys/{bad}/revoke"), &json!({})).await.refuses_field("apiKeyId");
    }
}

#[tokio::test]
async fn no_message_tells_of_the_inside() {
    let project = Project::new().await;
    let probes = [
        project.post("/events", &json!({"event_name": {"a": 1}})).await,
        project.api.post_raw(&project.path("/webhooks"), "{").await,
        project.api.get("/v1/projects/x/webhooks").await,
        Api::anonymous().with_bearer("a.b.c").get("/v1/projects").await,
        project.get("/webhooks?limit=%ff").await,
    ];
    for answer in probes {
        let text = answer.text();
        for inside in ["src/", ".rs", "panicked", "dynamodb", "arn:aws", "amazonaws", "RUST", "serde"] {
            assert!(!text.to_lowercase().contains(&inside.to_lowercase()), "{}: {text}", answer.what);
        }
    }
}
