//! What the functions log: enough to follow a request (contract §1), and nothing that is secret.

use echo_tests::api::Api;
use echo_tests::aws::logged;
use echo_tests::project::{Account, random_email, signup_request, unique};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape::text;
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::json;

#[tokio::test]
async fn a_requests_logs_carry_its_id() {
    let project = Account::sign_up().await.default_project();
    for answer in
        [project.get("/webhooks").await, project.get("/nothing").await, Api::anonymous().get("/v1/x").await]
    {
        let id = answer.headers["x-request-id"].to_str().expect("text");
        eventually(format!("request {id} is logged"), PATIENCE, || async {
            (!logged("Api", id).await.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn no_log_holds_a_secret_a_payload_or_an_answer() {
    let (password, payload, response) = (unique(), unique(), unique());
    let email = random_email();
    let mut request = signup_request(&email);
    request["password"] = json!(password);
    let account = Api::anonymous().post("/auth/signup", &request).await.ok(201);
    let _ = Api::anonymous()
        .post("/auth/login", &json!({"email": email, "password": password, "x": payload}))
        .await
        .ok(200);
    let project = &account["default_project"];
    let project = echo_tests::project::Project::known(text(project, "id"), text(project, "api_key"));
    let receiver = Receiver::scripted(
        [Reply::status(500).body(response.clone())],
        Reply::status(200).body(response.clone()),
    )
    .await;
    let endpoint = project.endpoint(&receiver.url_of(&format!("/hook?token={payload}"))).await;
    let accepted = project
        .post_event(
            &json!({"event_name": "call.ended", "customer_id": payload, "data": {payload.clone(): payload}}),
        )
        .await;
    let id = echo_tests::project::delivery_ids(&accepted).remove(0);
    endpoint.ended(&id, "success").await;
    let rotated = endpoint.rotate().await;
    project
        .post("/events", &json!({"event_name": "call.unknown", "data": {"a": payload}}))
        .await
        .refused(400);
    project.api.with_key(format!("{}0", project.key)).get("/v1/api-keys").await.refused(401);

    // The logs have come once both attempts are there; then what must not be there can be looked for.
    eventually("both attempts are logged", PATIENCE, || async {
        (logged("Delivery", &id).await.len() >= 2).then_some(())
    })
    .await;
    let secrets = [
        ("the password", password.as_str()),
        ("the API key", &project.key),
        ("the access token", text(&account, "access_token")),
        ("the refresh token", text(&account, "refresh_token")),
        ("the signing secret", &endpoint.secret),
        ("the new signing secret", &rotated),
        ("the payload, or the receiver's query", &payload),
        ("the receiver's answer", &response),
    ];
    for (what, secret) in secrets {
        for function in ["Api", "Delivery"] {
            let lines = logged(function, secret).await;
            assert!(lines.is_empty(), "{what} is logged by {function}: {lines:?}");
        }
    }
}
