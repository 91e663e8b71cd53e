//! A request with several errors gets the first of 401, 403, 404, 405, 413, 400, 409 (contract §1).

use echo_tests::api::Api;
use echo_tests::project::{Project, random_email, signup_request};
use echo_tests::stack::stack;
use echo_tests::wait::bounded;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

fn too_large() -> Vec<u8> {
    vec![b'x'; 300 * 1024]
}

#[tokio::test]
async fn a_missing_credential_comes_before_everything() {
    let (project, api) = (Project::new().await, Api::anonymous());
    let unknown = project.path(&format!("/webhooks/{}", Uuid::now_v7()));
    api.get(&unknown).await.refused(401);
    api.get("/v1/nothing").await.refused(401);
    api.send(Method::PUT, &project.path("/webhooks"), None).await.refused(401);
    api.post_raw(&project.path("/webhooks"), too_large()).await.refused(401);
    api.post_raw(&project.path("/events"), "not json").await.refused(401);
    api.get("/v1/projects/not-a-uuid/webhooks").await.refused(401);
    api.get(&project.path("/webhooks/not-a-uuid")).await.refused(401);
    api.get("/v1/projects").await.refused(401);
    api.post_raw("/v1/api-keys", "not json").await.refused(401);
}

#[tokio::test]
async fn anothers_project_comes_before_all_that_follows() {
    let (own, other) = (Project::new().await, Project::new().await);
    let api = &own.api;
    api.get(&other.path(&format!("/webhooks/{}", Uuid::now_v7()))).await.refused(403);
    api.get(&other.path("/nothing")).await.refused(403);
    api.send(Method::PUT, &other.path("/webhooks"), None).await.refused(403);
    api.post_raw(&other.path("/webhooks"), too_large()).await.refused(403);
    api.post_raw(&other.path("/events"), "not json").await.refused(403);
    api.get(&other.path("/webhooks/not-a-uuid")).await.refused(403);
    api.get(&other.path(&format!("/webhooks/{}/deliveries?limit=0", Uuid::now_v7()))).await.refused(403);
}

#[tokio::test]
async fn an_unknown_endpoint_comes_before_a_wrong_method_and_a_bad_body() {
    let project = Project::new().await;
    let unknown = project.path(&format!("/webhooks/{}", Uuid::now_v7()));
    let api = &project.api;
    api.send(Method::PUT, &unknown, None).await.refused(404);
    api.send(Method::PATCH, &unknown, Some(too_large())).await.refused(404);
    api.patch(&unknown, &json!({})).await.refused(404);
    api.send(Method::PATCH, &unknown, Some(b"not json".to_vec())).await.refused(404);
    api.get(&format!("{unknown}/deliveries?limit=0")).await.refused(404);
    api.get(&format!("{unknown}/deliveries/not-a-uuid")).await.refused(404);
}

#[tokio::test]
async fn a_wrong_method_comes_before_a_bad_body() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    for body in [too_large(), b"not json".to_vec()] {
        project.api.send(Method::PUT, &project.path("/webhooks"), Some(body.clone())).await.refused(405);
        project.api.send(Method::PUT, &endpoint.path(""), Some(body.clone())).await.refused(405);
        project.api.send(Method::PUT, "/auth/login", Some(body)).await.refused(405);
    }
}

#[tokio::test]
async fn too_large_comes_before_malformed() {
    let project = Project::new().await;
    project.api.post_raw(&project.path("/events"), too_large()).await.refused(413);
    project.api.post_raw(&project.path("/webhooks"), too_large()).await.refused(413);
    Api::anonymous().post_raw("/auth/signup", too_large()).await.refused(413);
    Api::anonymous().post_raw("/auth/login", too_large()).await.refused(413);
}

#[tokio::test]
async fn a_bad_field_comes_before_a_conflict() {
    let email = random_email();
    let _ = Api::anonymous().post("/auth/signup", &signup_request(&email)).await.ok(201);
    let mut again = signup_request(&email);
    again["password"] = json!("short");
    Api::anonymous().post("/auth/signup", &again).await.refuses_field("password");

    let project = Project::new().await;
    let event_id = Uuid::new_v4();
    project.post_event(&json!({"event_id": event_id, "event_name": "call.ended"})).await;
    let other = json!({"event_id": event_id, "event_name": "call.unknown"});
    project.post("/events", &other).await.refuses_field("event_name");
}

#[tokio::test]
async fn a_bad_field_comes_before_a_cap() {
    let project = Project::new().await;
    let body = json!({"url": "https://example.com/", "events": ["call.ended"]});
    let create = || async { project.post("/webhooks", &body).await.status };
    let made = bounded(4, (0..stack().max_endpoints()).map(|_| create())).await;
    assert!(made.iter().all(|status| *status == 201), "{made:?}");
    assert_eq!(create().await, 409);
    project.post("/webhooks", &json!({"url": "https://example.com/"})).await.refuses_field("events");
}
