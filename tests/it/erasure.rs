//! What people have erased: a payload, a project, an account (contract §2).

use std::time::{Duration, Instant};

use echo_tests::api::{Answer, Api};
use echo_tests::aws::{Queue, logged, table_dump};
use echo_tests::project::{Account, PASSWORD, Project, delivery_ids, signup_request, unique};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape::text;
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

fn password(password: &str) -> Value {
    json!({ "password": password })
}

/// Waits until a credential opens nothing. No request that begins five seconds after the erasure gets through.
async fn opens_nothing(api: &Api) {
    let five_seconds = Instant::now() + Duration::from_secs(5);
    eventually("the credential is refused", PATIENCE, || async {
        let began = Instant::now();
        let refused = api.get("/v1/projects").await.status == 401;
        assert!(refused || began < five_seconds, "the credential still opens something");
        refused.then_some(())
    })
    .await;
}

async fn erase_payload(project: &Project, event_id: &str) -> Answer {
    project.api.delete(&project.path(&format!("/events/{event_id}/payload"))).await
}

#[tokio::test]
async fn an_erased_project_is_as_if_it_had_never_been() {
    let (account, receiver) = (Account::sign_up().await, Receiver::answering(500).await);
    let project = account.default_project();
    let endpoint = project.endpoint(&receiver.url()).await;
    let delivery = project.emit_one().await;
    endpoint.attempted(&delivery, 1).await;
    let (bearer, path) = (account.bearer(), project.path(""));

    project.api.delete_with(&path, &password(PASSWORD)).await.refused(401);
    bearer.delete_with(&path, &json!({})).await.refused(400);
    bearer.delete_with(&path, &password("not the password")).await.refused(400);
    Account::sign_up().await.bearer().delete_with(&path, &password(PASSWORD)).await.refused(403);
    assert_eq!(bearer.get("/v1/projects").await.ok(200).as_array().map(Vec::len), Some(1));

    assert_eq!(bearer.delete_with(&path, &password(PASSWORD)).await.status, 202);
    // An instance may still know the key. A link that it made would outlive the project.
    for late in [project.post("/portal-links", &json!({})).await, project.get("").await] {
        assert!([401, 403].contains(&late.status), "{}", late.text());
    }
    assert_eq!(bearer.get("/v1/projects").await.ok(200), json!([]));
    let nowhere = format!("/v1/projects/{}", Uuid::now_v7());
    for rest in ["", "/webhooks", "/events", &format!("/webhooks/{}", endpoint.id)] {
        let gone = bearer.get(&project.path(rest)).await;
        gone.refused(403);
        assert_eq!(gone.json(), bearer.get(&format!("{nowhere}{rest}")).await.json());
    }
    bearer.delete_with(&path, &password(PASSWORD)).await.refused(403);
    let webhook = json!({"url": receiver.url(), "events": ["call.ended"]});
    bearer.post(&project.path("/webhooks"), &webhook).await.refused(403);
    bearer
        .post(&format!("/v1/api-keys?project_id={}", project.id), &json!({"name": "late"}))
        .await
        .refused(403);
    opens_nothing(&project.api).await;

    // An event that still comes in is dropped, also one that would be refused, and nobody keeps it.
    for data in [json!({"mark": unique()}), json!([unique()])] {
        let event = json!({"project_id": project.id, "event_name": "call.ended", "data": data});
        let message = Queue::named("IntakeQueue").await.send(&event.to_string()).await;
        eventually(format!("{event} is dropped"), PATIENCE, || async {
            logged("Delivery", &message).await.iter().any(|line| line.contains("dropped")).then_some(())
        })
        .await;
    }
    eventually("its endpoint is gone", PATIENCE, || async {
        (!table_dump("EndpointsTable").await.contains(&endpoint.id)).then_some(())
    })
    .await;
    for table in ["ProjectsTable", "ApiKeysTable", "ApiKeyHashesTable"] {
        assert!(!table_dump(table).await.contains(&project.id), "{table}");
    }
    // The account goes on, and may have another project.
    let _ = bearer.post("/v1/projects", &json!({"name": "next"})).await.ok(201);
}

#[tokio::test]
async fn an_erased_account_leaves_its_email_free() {
    let account = Account::sign_up().await;
    let (bearer, first) = (account.bearer(), account.default_project());
    let second = bearer.post("/v1/projects", &json!({"name": "second"})).await.ok(201);
    let second = Project::known(text(&second, "id"), text(&second, "api_key"));
    let login = json!({"email": account.email, "password": PASSWORD});
    let other = Api::anonymous().post("/auth/login", &login).await.ok(200);
    let _ = bearer.put("/v1/event-types/order.paid", &json!({})).await.ok(200);
    let wrong = json!({"email": account.email, "password": "not the password"});
    Api::anonymous().post("/auth/login", &wrong).await.refused(401);

    first.api.delete_with("/auth/account", &password(PASSWORD)).await.refused(401);
    bearer.delete_with("/auth/account", &password("not the password")).await.refused(400);
    assert_eq!(bearer.delete_with("/auth/account", &password(PASSWORD)).await.status, 202);

    for refresh in [account.refresh_token.as_str(), text(&other, "refresh_token")] {
        Api::anonymous().with_bearer(refresh).post_nothing("/auth/refresh").await.refused(401);
    }
    Api::anonymous().post("/auth/login", &login).await.refused(401);
    for api in [&bearer, &first.api, &second.api, &Api::anonymous().with_bearer(text(&other, "access_token"))]
    {
        opens_nothing(api).await;
    }
    let id = text(&account.signup["user"], "id");
    for table in ["AccountsTable", "SessionsTable", "ProjectsTable", "EventTypesTable", "ApiKeysTable"] {
        let rows = table_dump(table).await;
        assert!(!rows.contains(id) && !rows.contains(&account.email), "{table}");
    }
    let again = Api::anonymous().post("/auth/signup", &signup_request(&account.email)).await.ok(201);
    assert_ne!(text(&again["user"], "id"), id);
}

#[tokio::test]
async fn a_wrong_password_at_an_erasure_counts_as_a_failed_login() {
    let account = Account::sign_up().await;
    let (bearer, project) = (account.bearer(), account.default_project().path(""));
    let paths = [project.as_str(), "/auth/account"];
    for n in 0..10 {
        bearer.delete_with(paths[n % 2], &password("not the password")).await.refused(400);
    }
    for path in paths {
        bearer.delete_with(path, &password(PASSWORD)).await.refused(429);
    }
    let body = json!({"email": account.email, "password": PASSWORD});
    Api::anonymous().post("/auth/login", &body).await.refused(429);
    let listed = bearer.get("/v1/projects").await.ok(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "nothing was erased");
}

#[tokio::test]
async fn an_erased_payload_is_gone_from_its_event_and_all_its_deliveries() {
    let (project, receiver) =
        (Project::new().await, Receiver::answering(Reply::status(200).body("said so")).await);
    let failing = Receiver::answering(Reply::status(503).header("retry-after", "20")).await;
    let [ended, deleted] = [project.endpoint(&receiver.url()).await, project.endpoint(&receiver.url()).await];
    let waits = project.endpoint(&failing.url()).await;
    let event = json!({"event_name": "call.ended", "event_id": Uuid::now_v7(), "customer_id": "customer-7", "data": {"a": 1}});
    let accepted = project.post_event(&event).await;
    let id = text(&accepted, "event_id");
    let delivery_of = |endpoint: &str| {
        let all = accepted["deliveries"].as_array().into_iter().flatten();
        let own = all.into_iter().find(|one| one["webhook_endpoint_id"] == endpoint);
        text(own.expect("a delivery"), "id").to_owned()
    };
    let [ended_id, deleted_id, waits_id] = [&ended.id, &deleted.id, &waits.id].map(|id| delivery_of(id));
    let before = ended.ended(&ended_id, "success").await;
    deleted.ended(&deleted_id, "success").await;
    waits.attempted(&waits_id, 1).await;
    deleted.delete().await;

    erase_payload(&project, &Uuid::now_v7().to_string()).await.refused(404);
    for _ in 0..2 {
        assert_eq!(erase_payload(&project, id).await.status, 204);
    }
    let shown = project.get(&format!("/events/{id}")).await.ok(200);
    assert_eq!((&shown["payload"], &shown["event_id"]), (&Value::Null, &json!(id)));
    assert_eq!(project.get("/events").await.ok(200)["data"][0]["payload"], Value::Null);
    let after = ended.delivery(&ended_id).await;
    assert_eq!((&after["payload"], &after["attempts"][0]["response_body"]), (&Value::Null, &Value::Null));
    for kept in ["id", "status", "created_at", "updated_at", "attempt_count", "failure_reason"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    assert_eq!(after["attempts"][0]["http_status"], 200);
    let stopped = waits.delivery(&waits_id).await;
    assert_eq!((&stopped["status"], &stopped["failure_reason"]), (&json!("failed"), &json!("erased")));
    assert_eq!(waits.deliveries("").await.ok(200)["data"][0]["payload"], Value::Null);
    let rows = table_dump("DeliveriesTable").await;
    assert!(rows.contains(&deleted_id), "ids stay");
    let row = rows.split("}, {").find(|row| row.contains(&deleted_id)).expect("a row");
    assert!(!row.contains("said so"), "{row}");

    project.post("/events", &event).await.refused(409);
    for delivery in [ended.retry(&ended_id).await, waits.retry(&waits_id).await] {
        delivery.refused(409);
    }
    failing.no_more_than(1, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn an_attempt_under_way_writes_nothing_back_once_its_payload_is_erased() {
    let slow = Reply::status(200).body("too late").after(Duration::from_millis(2_500));
    let (project, receiver) = (Project::new().await, Receiver::answering(slow).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let accepted = project.post_event(&json!({"event_name": "call.ended", "data": {"a": 1}})).await;
    let (id, delivery) = (text(&accepted, "event_id"), delivery_ids(&accepted).remove(0));
    receiver.first().await;
    assert_eq!(erase_payload(&project, id).await.status, 204);
    // The attempt ends meanwhile.
    receiver.no_more_than(1, Duration::from_secs(4)).await;
    let shown = endpoint.delivery(&delivery).await;
    assert_eq!((&shown["status"], &shown["failure_reason"]), (&json!("failed"), &json!("erased")));
    assert_eq!((&shown["attempt_count"], &shown["attempts"]), (&json!(0), &json!([])));
}
