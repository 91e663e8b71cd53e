//! The activity list of a project: its changes, each with its maker, address and time (contract §2).

use std::net::IpAddr;

use echo_tests::api::{Answer, Api};
use echo_tests::aws::{expire, set_number, table_dump};
use echo_tests::pages::walk;
use echo_tests::project::{Account, PASSWORD, Project, unique};
use echo_tests::receiver::Receiver;
use echo_tests::shape::{fields, made, own_id, text, uuid};
use echo_tests::stack::stack;
use echo_tests::time::{now, rfc3339, timestamp};
use echo_tests::wait::{PATIENCE, at_once, eventually};
use serde_json::{Value, json};

/// Checks the form of an entry.
fn check(entry: &Value) {
    fields(entry, &["id", "action", "actor", "resource_id", "fields", "from", "created_at"]);
    made(entry);
    fields(&entry["actor"], &["type", "id"]);
    uuid(&entry["resource_id"]);
    assert!(entry["fields"].as_array().is_some_and(|fields| fields.iter().all(Value::is_string)), "{entry}");
    let is_service = entry["actor"]["type"] == "service";
    let from = entry["from"].as_str().map(|from| from.parse::<IpAddr>().expect("an address"));
    assert_eq!((from.is_none(), entry["actor"]["id"].is_null()), (is_service, is_service), "{entry}");
}

/// The project's activity, oldest first.
async fn activity(project: &Project) -> Vec<Value> {
    let page = project.get("/audit").await.ok(200);
    fields(&page, &["data", "next_cursor"]);
    assert_eq!(page["next_cursor"], Value::Null, "more than a page: {page}");
    let mut entries = page["data"].as_array().expect("an array").clone();
    entries.iter().for_each(check);
    entries.reverse();
    entries
}

/// An entry without its id, time and address.
fn said(entry: &Value) -> Value {
    json!([entry["action"], entry["actor"], entry["resource_id"], entry["fields"]])
}

fn actor(of: &str, id: &str) -> Value {
    json!({"type": of, "id": id})
}

/// The id of the project's one key.
async fn key_of(project: &Project) -> String {
    text(&project.api.get("/v1/api-keys").await.ok(200)[0], "id").to_owned()
}

#[tokio::test]
async fn each_change_of_an_endpoint_names_its_maker_and_its_fields() {
    let (began, project) = (now(), Project::new().await);
    let by_key = actor("api_key", &key_of(&project).await);
    let endpoint = project.endpoint("https://example.com/one").await;
    let id = endpoint.id.as_str();
    let changes = [
        (json!({"url": "https://example.com/two", "description": "billing"}), json!(["url", "description"])),
        (json!({"headers": {"x-own": "one"}}), json!(["headers"])),
        (json!({"headers": {"x-own": "********", "x-more": "two"}}), json!(["headers"])),
        (
            json!({"rate_limit_per_second": 7, "events": ["call.ended"]}),
            json!(["events", "rate_limit_per_second"]),
        ),
        (json!({"filter": {"data": {"n": [1]}}, "ordered": "endpoint"}), json!(["ordered", "filter"])),
        (json!({"ed25519": true, "description": "billing"}), json!(["ed25519"])),
        (
            json!({"auth": {"type": "oauth2", "token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "b"}}),
            json!(["auth"]),
        ),
    ];
    for (change, _) in &changes {
        endpoint.patch(change).await;
    }
    endpoint.rotate().await;
    endpoint.set_status("disabled").await;
    endpoint.patch(&json!({"status": "active", "description": null})).await;
    let replay = json!({"since": "2026-01-01T00:00:00Z"});
    let _ = project.api.post(&endpoint.path("/replay"), &replay).await.ok(202);
    endpoint.delete().await;

    let entries = activity(&project).await;
    let mut expected = vec![("endpoint.created", json!([]))];
    expected.extend(changes.iter().map(|(_, names)| ("endpoint.changed", names.clone())));
    expected.extend([
        ("endpoint.secret_rotated", json!([])),
        ("endpoint.disabled", json!(["status"])),
        ("endpoint.enabled", json!(["status", "description"])),
        ("endpoint.replay_started", json!([])),
        ("endpoint.deleted", json!([])),
    ]);
    let expected: Vec<Value> =
        expected.into_iter().map(|(action, names)| json!([action, by_key, id, names])).collect();
    assert_eq!(entries[1..].iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!(entries[0]["action"], "project.created");
    for entry in &entries {
        assert!((began..=now()).contains(&timestamp(&entry["created_at"])), "{entry}");
    }
}

#[tokio::test]
async fn the_account_the_key_and_the_portal_link_each_stand_as_themselves() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let account_id = text(&account.signup["user"], "id");
    let (by_account, by_key) = (actor("account", account_id), actor("api_key", &key_of(&project).await));
    let keys = format!("/v1/api-keys?project_id={}", project.id);
    let key = account.bearer().post(&keys, &json!({"name": "second"})).await.ok(201);
    let revoke = format!("/v1/api-keys/{}/revoke", text(&key, "id"));
    for _ in 0..2 {
        let _ = project.api.patch(&revoke, &json!({})).await.ok(200);
    }
    let link = project.post("/portal-links", &json!({})).await.ok(201);
    let by_link = actor("portal_link", text(&link, "id"));
    let code = text(&link, "url").split_once('#').expect("a code").1.to_owned();
    let opening = json!({"code": code, "nonce": unique() + &unique()});
    let mut token = String::new();
    for _ in 0..2 {
        let session = Api::anonymous().post("/auth/portal", &opening).await.ok(201);
        token = text(&session, "token").to_owned();
    }
    let in_portal = Project { api: Api::anonymous().with_bearer(&token), ..project.clone() };
    let endpoint = in_portal.endpoint("https://example.com/").await;
    assert_eq!(in_portal.api.post_nothing("/auth/logout").await.status, 204);
    let ended = project.post("/portal-links", &json!({})).await.ok(201);
    let own = project.path(&format!("/portal-links/{}", text(&ended, "id")));
    assert_eq!(account.bearer().delete(&own).await.status, 204);
    account.bearer().delete(&own).await.refused(404);

    let expected = [
        ("project.created", &by_account, &json!(project.id)),
        ("api_key.created", &by_account, &key["id"]),
        ("api_key.revoked", &by_key, &key["id"]),
        ("portal_link.created", &by_key, &link["id"]),
        ("portal_link.redeemed", &by_link, &link["id"]),
        ("endpoint.created", &by_link, &json!(endpoint.id)),
        ("portal_link.ended", &by_link, &link["id"]),
        ("portal_link.created", &by_key, &ended["id"]),
        ("portal_link.ended", &by_account, &ended["id"]),
    ]
    .map(|(action, actor, of)| json!([action, actor, of, []]));
    let entries = activity(&project).await;
    assert_eq!(entries.iter().map(said).collect::<Vec<_>>(), expected);

    let shown = format!("{}{}", json!(entries), table_dump("AuditTable").await);
    let key = text(&key, "key");
    for secret in [key, &code[64..], &token, &endpoint.secret, &account.email, PASSWORD] {
        assert!(!shown.contains(secret), "an entry shows {secret}");
    }
}

#[tokio::test]
async fn a_payload_that_is_erased_twice_is_one_change() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let accepted = project.post_event(&json!({"event_name": "call.ended"})).await;
    let event = text(&accepted, "event_id");
    endpoint.ended(text(&accepted["deliveries"][0], "id"), "success").await;
    for _ in 0..2 {
        let path = project.path(&format!("/events/{event}/payload"));
        assert_eq!(project.api.delete(&path).await.status, 204);
    }
    let by_key = actor("api_key", &key_of(&project).await);
    let entries = activity(&project).await;
    let expected = [
        json!(["endpoint.created", by_key, endpoint.id, []]),
        json!(["event.payload_erased", by_key, event, []]),
    ];
    assert_eq!(entries[1..].iter().map(said).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_endpoint_that_the_service_disables_is_its_own_change() {
    let (project, receiver) = (Project::new().await, Receiver::answering(410).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    project.emit_one().await;
    let entry = eventually("the endpoint is disabled", PATIENCE, || async {
        activity(&project).await.into_iter().find(|entry| entry["action"] == "endpoint.disabled")
    })
    .await;
    assert_eq!(said(&entry), json!(["endpoint.disabled", actor_of_service(), endpoint.id, []]));
    assert_eq!(entry["created_at"], endpoint.show().await["disabled_at"]);
}

#[tokio::test]
async fn entries_stand_in_the_order_of_their_changes_although_clocks_differ() {
    let (project, receiver) = (Project::new().await, Receiver::answering(500).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    // As an instance writes it whose clock is a minute ahead.
    let ahead = now() + 60_000;
    set_number("EndpointsTable", ("id", &endpoint.id), "updated_at", ahead).await;
    endpoint.patch(&json!({"description": "one"})).await;
    endpoint.rotate().await;
    for _ in 0..stack().disable_after_failures() {
        project.emit_one().await;
    }
    let disabled = endpoint.when("the endpoint is disabled", |shown| shown["status"] == "disabled").await;
    assert!(timestamp(&disabled["updated_at"]) > ahead, "{disabled}");
    endpoint.set_status("active").await;
    endpoint.delete().await;

    let entries = activity(&project).await;
    let actions: Vec<&Value> = entries[1..].iter().map(|entry| &entry["action"]).collect();
    assert_eq!(
        actions,
        [
            "endpoint.created",
            "endpoint.changed",
            "endpoint.secret_rotated",
            "endpoint.disabled",
            "endpoint.enabled",
            "endpoint.deleted",
        ]
    );
    assert_eq!(entries[4]["created_at"], disabled["disabled_at"]);
}

fn actor_of_service() -> Value {
    json!({"type": "service", "id": null})
}

#[tokio::test]
async fn what_changes_nothing_and_what_is_refused_leave_no_entry() {
    let (project, receiver) = (Project::new().await, Receiver::answering(500).await);
    let auth = |secret: &str| json!({"type": "oauth2", "token_url": "https://login.example.com/token", "client_id": "a", "client_secret": secret});
    let all = json!({
        "url": receiver.url(), "events": ["call.ended"], "status": "active", "description": "billing",
        "headers": {"x-own": "one"}, "rate_limit_per_second": 7, "ordered": "endpoint", "ed25519": true,
        "filter": {"data": {"n": [1]}}, "auth": auth("b"),
    });
    let created = project.post("/webhooks", &all).await.ok(201);
    let path = project.path(&format!("/webhooks/{}", text(&created, "id")));
    let unchanged: &[Value] = &[
        all.clone(),
        json!({"headers": {"x-own": "********"}, "auth": auth("********")}),
        json!({"status": "active"}),
        json!({"rate_limit_per_second": 7}),
        json!({"description": "billing"}),
    ];
    for change in unchanged {
        let _ = project.api.patch(&path, change).await.ok(200);
    }
    let refused: &[Value] =
        &[json!({}), json!({"url": "ftp://example.com/"}), json!({"events": []}), json!({"status": "off"})];
    for change in refused {
        project.api.patch(&path, change).await.refused(400);
    }
    project.post("/webhooks", &json!({"url": "https://example.com/"})).await.refused(400);
    project.api.post("/v1/api-keys", &json!({"name": ""})).await.refused(400);
    project.post("/portal-links", &json!({"read_only": 1})).await.refused(400);
    let unknown = project.path(&format!("/webhooks/{}", uuid::Uuid::now_v7()));
    project.api.delete(&unknown).await.refused(404);
    // A test and a retry stand in the deliveries themselves.
    let tested = project.api.post_nothing(&format!("{path}/test")).await.ok(202);
    assert_eq!(tested["deliveries"].as_array().map(Vec::len), Some(1));
    let actions: Vec<Value> =
        activity(&project).await.into_iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["project.created", "endpoint.created"]);
}

#[tokio::test]
async fn changes_at_once_leave_an_entry_each() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    let changes = [
        json!({"description": "one"}),
        json!({"headers": {"x-own": "one"}}),
        json!({"rate_limit_per_second": 7}),
        json!({"ordered": "endpoint"}),
        json!({"events": ["call.ended"]}),
    ];
    at_once(changes.len(), |n| endpoint.patch(&changes[n])).await;
    let mut found: Vec<String> =
        activity(&project).await[2..].iter().map(|entry| entry["fields"].to_string()).collect();
    found.sort_unstable();
    let expected = [
        r#"["description"]"#,
        r#"["events"]"#,
        r#"["headers"]"#,
        r#"["ordered"]"#,
        r#"["rate_limit_per_second"]"#,
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_list_has_pages_and_a_period() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    for n in 0..5 {
        endpoint.patch(&json!({"description": n.to_string()})).await;
    }
    let middle = activity(&project).await[3].clone();
    let get = async |query: String| -> Answer { project.get(&format!("/audit{query}")).await };
    for limit in [1, 3, 7, 8] {
        assert_eq!(walk(get, limit, "id", check).await.len(), 7, "{limit} on a page");
    }
    let at = own_id(&middle["id"]);
    let of = async |query: &str| {
        let page = get(format!("?{query}")).await.ok(200);
        page["data"].as_array().expect("an array").clone()
    };
    let (since, until) =
        (of(&format!("since={}", rfc3339(at))).await, of(&format!("until={}", rfc3339(at))).await);
    assert_eq!(since.len() + until.len(), 7);
    assert!(since.contains(&middle) && !until.contains(&middle));

    expire("AuditTable", "id", text(&middle, "id")).await;
    assert_eq!(walk(get, 3, "id", check).await.len(), 6, "an entry that has expired is not shown");
    assert!(!of("").await.contains(&middle));

    let page = get("?limit=2".to_owned()).await.ok(200);
    let cursor = text(&page, "next_cursor");
    for query in [format!("?cursor={cursor}&since={}", rfc3339(at)), "?cursor=x".to_owned()] {
        get(query).await.refuses_field("cursor");
    }
    Project::new().await.get(&format!("/audit?cursor={cursor}")).await.refuses_field("cursor");
    get("?limit=0".to_owned()).await.refuses_field("limit");
    get("?since=yesterday".to_owned()).await.refuses_field("since");
    get("?action=endpoint.created".to_owned()).await.refuses_field("action");
}

#[tokio::test]
async fn the_list_is_for_owners() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let path = project.path("/audit");
    let with = async |scopes: &[&str]| {
        let key = project.api.post("/v1/api-keys", &json!({"name": "some", "scopes": scopes})).await.ok(201);
        project.api.with_key(text(&key, "key"))
    };
    let managing = with(&["keys:write"]).await;
    for api in [&account.bearer(), &project.api, &managing] {
        assert_eq!(api.get(&path).await.ok(200)["data"].as_array().map(Vec::len), Some(2));
    }
    let message = with(&["events:write", "read", "endpoints:write"]).await.get(&path).await.refused(403);
    assert!(message.ends_with(" keys:write"), "{message}");
    let link = project.post("/portal-links", &json!({})).await.ok(201);
    let code = text(&link, "url").split_once('#').expect("a code").1;
    let opening = json!({"code": code, "nonce": unique() + &unique()});
    let session = Api::anonymous().post("/auth/portal", &opening).await.ok(201);
    Api::anonymous().with_bearer(text(&session, "token")).get(&path).await.refused(403);
    for api in [Account::sign_up().await.bearer(), Project::new().await.api] {
        api.get(&path).await.refused(403);
    }
    Api::anonymous().get(&path).await.refused(401);
}
