//! API keys: creating, listing and revoking them (contract §1, §2).

use std::time::{Duration, Instant};

use echo_tests::api::Api;
use echo_tests::aws::table_dump;
use echo_tests::cap;
use echo_tests::project::{Account, PASSWORD, Project};
use echo_tests::shape::{fields, hex_after, made, text};
use echo_tests::time::timestamp;
use echo_tests::wait::{PATIENCE, at_once, eventually, throughout};
use serde_json::{Value, json};
use uuid::Uuid;

const LISTED: [&str; 9] =
    ["id", "name", "key_prefix", "status", "created_at", "updated_at", "scopes", "created_by", "expires_at"];

async fn create(api: &Api, name: &str) -> Value {
    api.post("/v1/api-keys", &json!({"name": name})).await.ok(201)
}

async fn revoke(api: &Api, id: &str) -> echo_tests::api::Answer {
    api.patch(&format!("/v1/api-keys/{id}/revoke"), &json!({})).await
}

#[tokio::test]
async fn a_new_key_is_shown_once_and_works() {
    let project = Project::new().await;
    let created = create(&project.api, "ci").await;
    fields(
        &created,
        &["id", "name", "key", "key_prefix", "status", "created_at", "scopes", "created_by", "expires_at"],
    );
    made(&created);
    assert_eq!(created["name"], "ci");
    assert_eq!(created["status"], "active");
    let key = text(&created, "key");
    hex_after(key, "echo_", 64);
    assert_eq!(text(&created, "key_prefix"), &key[..16]);
    let _ = project.api.with_key(key).get(&project.path("/webhooks")).await.ok(200);

    let listed = project.api.get("/v1/api-keys").await;
    assert!(!listed.text().contains(key), "a list shows a whole key");
}

#[tokio::test]
async fn keys_are_listed_by_their_prefix() {
    let project = Project::new().await;
    let created = create(&project.api, "ci").await;
    let listed = project.api.get("/v1/api-keys").await.ok(200);
    let listed = listed.as_array().expect("an array");
    for key in listed {
        fields(key, &LISTED);
        made(key);
        assert_eq!(key["status"], "active");
        assert!(timestamp(&key["updated_at"]) >= timestamp(&key["created_at"]), "{key}");
    }
    let mut prefixes: Vec<&str> = listed.iter().map(|key| text(key, "key_prefix")).collect();
    prefixes.sort_unstable();
    let mut wanted = [&project.key[..16], text(&created, "key_prefix")];
    wanted.sort_unstable();
    assert_eq!(prefixes, wanted, "the key of the sign-up and the new key");
}

#[tokio::test]
async fn a_key_needs_a_name_that_is_a_string() {
    let project = Project::new().await;
    for body in [json!({}), json!({"name": 7}), json!({"name": null})] {
        project.api.post("/v1/api-keys", &body).await.refuses_field("name");
    }
}

#[tokio::test]
async fn a_revoked_key_stops_working_within_five_seconds() {
    let project = Project::new().await;
    let created = create(&project.api, "leaked").await;
    let leaked = project.api.with_key(text(&created, "key"));
    let webhooks = project.path("/webhooks");
    let _ = leaked.get(&webhooks).await.ok(200);

    let revoked = revoke(&project.api, text(&created, "id")).await.ok(200);
    fields(&revoked, &LISTED);
    assert_eq!(revoked["status"], "revoked");
    for field in ["id", "name", "key_prefix", "created_at"] {
        assert_eq!(revoked[field], created[field]);
    }
    // Within these five seconds an instance may still accept the key, even after another instance has refused it.
    let five_seconds = Instant::now() + Duration::from_secs(5);
    eventually("five seconds are over", PATIENCE, || async {
        let _ = leaked.get(&webhooks).await.status;
        (Instant::now() > five_seconds).then_some(())
    })
    .await;
    throughout(Duration::from_secs(2), || async {
        let listing = at_once(6, |_| leaked.get(&webhooks)).await;
        let posting = leaked.post(&project.path("/events"), &json!({"event_name": "call.ended"})).await;
        let keys = leaked.get("/v1/api-keys").await;
        let statuses: Vec<u16> =
            listing.iter().chain([&posting, &keys]).map(|answer| answer.status).collect();
        if statuses == [401; 8] { Ok(()) } else { Err(format!("a revoked key got {statuses:?}")) }
    })
    .await;

    let _ = project.get("/webhooks").await.ok(200);
    let listed = project.api.get("/v1/api-keys").await.ok(200);
    let found = listed.as_array().and_then(|keys| keys.iter().find(|key| key["id"] == created["id"]));
    assert_eq!(found, Some(&revoked));
}

#[tokio::test]
async fn an_unknown_key_cannot_be_revoked() {
    let project = Project::new().await;
    revoke(&project.api, &Uuid::now_v7().to_string()).await.refused(404);
    revoke(&project.api, "not-a-uuid").await.refuses_field("apiKeyId");
}

#[tokio::test]
async fn anything_but_a_known_key_is_refused() {
    let project = Project::new().await;
    let webhooks = project.path("/webhooks");
    let well_formed = format!("echo_{}", "0123456789abcdef".repeat(4));
    let wrong = [
        String::new(),
        "echo_".to_owned(),
        well_formed,
        project.key.to_uppercase(),
        project.key.replace("echo_", ""),
        project.key.replace("echo_", "ECHO_"),
        format!("{}0", project.key),
        project.key[..project.key.len() - 1].to_owned(),
    ];
    for key in wrong {
        project.api.with_key(&key).get(&webhooks).await.refused(401);
    }
    project.api.without_credential().get(&webhooks).await.refused(401);
}

#[tokio::test]
async fn a_lost_key_is_replaced_by_logging_in() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let login = json!({"email": account.email, "password": PASSWORD});
    let answer = Api::anonymous().post("/auth/login", &login).await.ok(200);
    let bearer = Api::anonymous().with_bearer(text(&answer, "access_token"));
    let created = create(&bearer, "the new one").await;
    let api = Api::anonymous().with_key(text(&created, "key"));
    let _ = api.get(&project.path("/webhooks")).await.ok(200);

    let listed = bearer.get("/v1/api-keys").await.ok(200);
    let lost =
        listed.as_array().and_then(|keys| keys.iter().find(|key| key["key_prefix"] == project.key[..16]));
    let _ = revoke(&bearer, text(lost.expect("the lost key is listed"), "id")).await.ok(200);
    eventually("the lost key is refused", PATIENCE, || async {
        (project.get("/webhooks").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_account_with_several_projects_says_which_one_it_means() {
    let account = Account::sign_up().await;
    let (bearer, default) = (account.bearer(), account.default_project());
    let second = bearer.post("/v1/projects", &json!({"name": "second"})).await.ok(201);
    let query = format!("?project_id={}", text(&second, "id"));

    bearer.get("/v1/api-keys").await.refuses_field("project_id");
    bearer.post("/v1/api-keys", &json!({"name": "x"})).await.refuses_field("project_id");
    bearer.get("/v1/api-keys?project_id=not-a-uuid").await.refuses_field("project_id");

    let created = bearer.post(&format!("/v1/api-keys{query}"), &json!({"name": "x"})).await.ok(201);
    let api = Api::anonymous().with_key(text(&created, "key"));
    let _ = api.get(&format!("/v1/projects/{}/webhooks", text(&second, "id"))).await.ok(200);
    api.get(&default.path("/webhooks")).await.refused(403);
    let listed = bearer.get(&format!("/v1/api-keys{query}")).await.ok(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");

    let path = format!("/v1/api-keys/{}/revoke{query}", text(&created, "id"));
    assert_eq!(bearer.patch(&path, &json!({})).await.ok(200)["status"], "revoked");
}

#[tokio::test]
async fn a_project_has_at_most_100_active_keys_even_when_made_16_at_once() {
    let project = Project::new().await;
    let body = json!({"name": "one of many"});
    let create = || project.api.post("/v1/api-keys", &body);
    // The sign-up made one key.
    let created = cap::meet(91, "100 active API keys", create).await;
    let _ = revoke(&project.api, text(&created[0].ok(201), "id")).await.ok(200);
    assert_eq!(create().await.status, 201, "a revocation makes room");
    create().await.refused(409);
}

#[tokio::test]
async fn no_table_holds_a_key_a_password_or_a_token() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let created = create(&project.api, "ci").await;
    let secrets = [
        &project.key,
        text(&created, "key"),
        &project.key["echo_".len()..],
        PASSWORD,
        &account.access_token,
        &account.refresh_token,
    ];
    for table in [
        "AccountsTable",
        "SessionsTable",
        "ProjectsTable",
        "ApiKeysTable",
        "ApiKeyHashesTable",
        "LoginFailuresTable",
    ] {
        let rows = table_dump(table).await;
        for secret in secrets {
            assert!(!rows.contains(secret), "{table} holds a secret in plain text");
        }
        if table == "AccountsTable" {
            assert!(rows.contains(&account.email), "the test reads the tables that the service uses");
        }
    }
}
