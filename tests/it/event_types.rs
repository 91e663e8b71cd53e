//! Event types: names that an account adds to those of the deployment (contract §2).

use std::time::Duration;

use echo_tests::api::Api;
use echo_tests::aws::{Queue, put_event};
use echo_tests::project::{ALL_EVENTS, Account, Project, delivery_ids, unique};
use echo_tests::receiver::Receiver;
use echo_tests::shape::{fields, text};
use echo_tests::time::{now, rfc3339};
use echo_tests::wait::{bounded, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

/// A change of the types holds everywhere by then.
const SPREAD: Duration = Duration::from_secs(10);

const SHAPE: [&str; 6] = ["name", "configured", "description", "example", "deprecated", "updated_at"];

fn path(name: &str) -> String {
    format!("/v1/event-types/{name}")
}

/// A name that no other test uses.
fn new_name() -> String {
    format!("order.{}", unique())
}

async fn put(account: &Account, name: &str, body: &Value) -> Value {
    account.bearer().put(&path(name), body).await.ok(200)
}

/// Posts an event until its name is known.
async fn post_soon(project: &Project, event: &Value) -> Value {
    eventually("the name is known", SPREAD, || async {
        let answer = project.post("/events", event).await;
        (answer.status != 400).then(|| answer.ok(202))
    })
    .await
}

#[tokio::test]
async fn a_type_is_made_replaced_shown_and_removed() {
    let account = Account::sign_up().await;
    let (bearer, key, name) = (account.bearer(), account.default_project().api, new_name());
    bearer.get(&path(&name)).await.refused(404);
    bearer.delete(&path(&name)).await.refused(404);
    let words = json!({"description": "An order is paid", "example": {"total": 1.5}, "deprecated": true});
    let made = put(&account, &name, &words).await;
    fields(&made, &SHAPE);
    assert_eq!((&made["name"], &made["configured"]), (&json!(name), &json!(false)));
    for (field, value) in words.as_object().expect("an object") {
        assert_eq!(made[field], *value, "{field}");
    }
    let other = Account::sign_up().await;
    for (api, path) in [(&bearer, path(&name)), (&key, path(&name)), (&key.under_api(), path(&name))] {
        assert_eq!(api.get(&path).await.ok(200), made);
    }
    let listed = key.get("/v1/event-types").await.ok(200);
    let names: Vec<&str> =
        listed.as_array().expect("an array").iter().map(|each| text(each, "name")).collect();
    assert_eq!(names, [&ALL_EVENTS[..], &[&name]].concat());
    other.bearer().get(&path(&name)).await.refused(404);
    assert_eq!(other.bearer().get("/v1/event-types").await.ok(200).as_array().map(Vec::len), Some(3));

    // A call without a body takes the words away.
    let bare = bearer.send(reqwest::Method::PUT, &path(&name), None).await.ok(200);
    let words = (&bare["description"], &bare["example"], &bare["deprecated"]);
    assert_eq!(words, (&Value::Null, &Value::Null, &json!(false)));
    assert_eq!(bearer.delete(&path(&name)).await.status, 204);
    bearer.delete(&path(&name)).await.refused(404);
    bearer.get(&path(&name)).await.refused(404);
}

#[tokio::test]
async fn a_name_of_the_deployment_can_be_described_and_stays() {
    let account = Account::sign_up().await;
    let bearer = account.bearer();
    let plain = bearer.get(&path("call.ended")).await.ok(200);
    fields(&plain, &SHAPE);
    assert_eq!((&plain["configured"], &plain["updated_at"]), (&json!(true), &Value::Null));
    bearer.delete(&path("call.ended")).await.refused(409);
    let described = put(&account, "call.ended", &json!({"description": "It is over"})).await;
    assert_eq!((&described["configured"], &described["description"]), (&json!(true), &json!("It is over")));
    let listed = bearer.get("/v1/event-types").await.ok(200);
    assert_eq!((listed.as_array().map(Vec::len), &listed[1]), (Some(3), &described));
    assert_eq!(bearer.delete(&path("call.ended")).await.status, 204);
    assert_eq!(bearer.get(&path("call.ended")).await.ok(200), plain);
    account.default_project().emit("call.ended").await;
}

#[tokio::test]
async fn only_the_accounts_owner_changes_types_and_bad_ones_are_refused() {
    let account = Account::sign_up().await;
    let (bearer, project) = (account.bearer(), account.default_project());
    project.api.put(&path("order.paid"), &json!({})).await.refused(401);
    project.api.delete(&path("order.paid")).await.refused(401);
    Api::anonymous().get("/v1/event-types").await.refused(401);
    for name in ["endpoint.disabled", "delivery.failed", "order.*", "order%20paid", &"x".repeat(65)] {
        bearer.put(&path(name), &json!({})).await.refuses_field("name");
    }
    for (field, value) in [
        ("description", json!("x".repeat(257))),
        ("description", json!("")),
        ("example", json!([])),
        ("example", json!({"a": "x".repeat(4_096)})),
        ("deprecated", json!("no")),
    ] {
        bearer.put(&path("order.paid"), &json!({field: value})).await.refuses_field(field);
    }
    bearer.put(&format!("{}?x=1", path("order.paid")), &json!({})).await.refused(400);
    bearer.post(&path("order.paid"), &json!({})).await.refused(405);
    bearer.get(&path("order.paid")).await.refused(404);
    // A portal's visitor chooses among the types.
    let link = project.post("/portal-links", &json!({"read_only": true})).await.ok(201);
    let code = text(&link, "url").split('#').nth(1).expect("a code").to_owned();
    let opening = json!({"code": code, "nonce": "a1".repeat(32)});
    let session = Api::anonymous().post("/auth/portal", &opening).await.ok(201);
    let portal = Api::anonymous().with_bearer(text(&session, "token"));
    assert_eq!(portal.get("/v1/event-types").await.ok(200), bearer.get("/v1/event-types").await.ok(200));
    portal.put(&path("order.paid"), &json!({})).await.refused(403);
}

#[tokio::test]
async fn events_of_a_new_type_are_delivered_to_all_who_want_them() {
    let (account, receiver) = (Account::sign_up().await, Receiver::start().await);
    let (project, name) = (account.default_project(), new_name());
    let everything = project.endpoint_for(&receiver.url_of("/all"), &["*"]).await;
    let body = json!({"url": receiver.url_of("/one"), "events": [name]});
    project.post("/webhooks", &body).await.refuses_field("events");
    project.post("/events", &json!({"event_name": name})).await.refuses_field("event_name");
    put(&account, &name, &json!({})).await;
    let accepted = post_soon(&project, &json!({"event_name": name})).await;
    assert_eq!(accepted["deliveries"].as_array().map(Vec::len), Some(1), "the wildcard covers the new name");
    let one = project.endpoint_for(&receiver.url_of("/one"), &[&name]).await;
    let id = delivery_ids(&post_soon(&project, &json!({"event_name": name})).await).remove(0);
    // With ids of their own, so that a batch that is sent again delivers nothing twice.
    let [first, last] = [(); 2].map(|()| Uuid::new_v4());
    let batch = json!({"events": [
        {"event_name": name, "event_id": first},
        {"event_name": "call.other"},
        {"event_name": "call.ended", "event_id": last},
    ]});
    let statuses = eventually("a process that answers batches knows the name", SPREAD, || async {
        let results = project.post("/events/batch", &batch).await.ok(200);
        let results = results["results"].as_array().expect("results");
        let statuses: Vec<Value> = results.iter().map(|each| each["status"].clone()).collect();
        (statuses[0] != 400).then_some(statuses)
    });
    assert_eq!(statuses.await, [202, 400, 202]);
    assert_eq!(receiver.received(6).await.len(), 6);
    for endpoint in [&everything, &one] {
        let page = endpoint.deliveries(&format!("?event_name={name}")).await.ok(200);
        assert!(!page["data"].as_array().expect("rows").is_empty());
    }
    let page = project.get(&format!("/deliveries?event_name={name}")).await.ok(200);
    assert!(page["data"].as_array().expect("rows").iter().any(|row| row["id"] == id));
    let events = project.get(&format!("/events?event_name={name}")).await.ok(200);
    assert_eq!(events["data"].as_array().map(Vec::len), Some(3));
    let replay = json!({"since": rfc3339(now() - 3_600_000), "event_name": name});
    let _ = project.api.post(&one.path("/replay"), &replay).await.ok(202);

    // The account's other projects know it too, and other accounts do not.
    let second = account.bearer().post("/v1/projects", &json!({"name": "second"})).await.ok(201);
    let second = Project::known(text(&second, "id"), text(&second, "api_key"));
    post_soon(&second, &json!({"event_name": name})).await;
    Project::new().await.post("/events", &json!({"event_name": name})).await.refuses_field("event_name");
}

#[tokio::test]
async fn events_of_a_new_type_come_in_without_http_too() {
    let (account, receiver) = (Account::sign_up().await, Receiver::start().await);
    let (project, name) = (account.default_project(), new_name());
    project.endpoint_for(&receiver.url(), &["order.*"]).await;
    let (intake, parked) = (Queue::named("IntakeQueue").await, Queue::named("ParkedQueue").await);
    let event = |id: &Uuid| json!({"project_id": project.id, "event_id": id, "event_name": name}).to_string();
    put(&account, &name, &json!({})).await;
    // Another account does not know the name.
    let stranger = Project::new().await;
    let foreign =
        json!({"project_id": stranger.id, "event_id": Uuid::now_v7(), "event_name": name}).to_string();
    intake.send(&foreign).await;
    let reason = parked.take(&foreign).await;
    assert!(reason.values().any(|value| value.starts_with("event_name must be one of: ")), "{reason:?}");
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    intake.send_together(&ids[..2].iter().map(event).collect::<Vec<_>>()).await;
    put_event(&name, &json!({"project_id": project.id, "event_id": ids[2]}).to_string()).await;
    let mut received: Vec<String> =
        receiver.received(3).await.iter().map(|request| request.header("webhook-id").to_owned()).collect();
    received.sort();
    assert_eq!(received, ids.map(|id| id.to_string()));
}

#[tokio::test]
async fn a_removed_type_is_refused_and_can_come_back() {
    let (account, receiver) = (Account::sign_up().await, Receiver::answering(500).await);
    let (project, name) = (account.default_project(), new_name());
    put(&account, &name, &json!({"deprecated": true})).await;
    let accepted = post_soon(&project, &json!({"event_name": name})).await;
    assert_eq!(accepted["deliveries"], json!([]));
    let endpoint = project.endpoint_for(&receiver.url(), &[&name, "call.ended"]).await;
    let delivery = delivery_ids(&post_soon(&project, &json!({"event_name": name})).await).remove(0);
    endpoint.attempted(&delivery, 1).await;
    assert_eq!(account.bearer().delete(&path(&name)).await.status, 204);
    eventually("the name is refused", SPREAD, || async {
        (project.post("/events", &json!({"event_name": name})).await.status == 400).then_some(())
    })
    .await;
    receiver.set(200);
    endpoint.ended(&delivery, "success").await;
    assert_eq!(endpoint.show().await["events"], json!([name, "call.ended"]), "it stays subscribed");
    let same = json!({"events": [name, "call.ended"]});
    eventually("a change that names it is refused", SPREAD, || async {
        (project.api.patch(&endpoint.path(""), &same).await.status == 400).then_some(())
    })
    .await;
    let sample = project.api.post(&endpoint.path("/test"), &json!({})).await.ok(202);
    assert_eq!(sample["event_name"], "call.ended", "a test sends no event of a removed type");
    put(&account, &name, &json!({})).await;
    let again = post_soon(&project, &json!({"event_name": name})).await;
    assert_eq!(again["deliveries"][0]["webhook_endpoint_id"], endpoint.id);
}

#[tokio::test]
async fn a_test_event_carries_the_example() {
    let (account, receiver) = (Account::sign_up().await, Receiver::start().await);
    let (project, name) = (account.default_project(), new_name());
    let example = format!(r#"{{"z": 1.10, "a": 123456789012345678901234567890, "name": "{name}"}}"#);
    let body = format!(r#"{{"example": {example}}}"#);
    for name in [&name, "call.summary"] {
        let body = body.clone().into_bytes();
        let _ = account.bearer().send(reqwest::Method::PUT, &path(name), Some(body)).await.ok(200);
    }
    let endpoint = project.endpoint_for(&receiver.url(), &["call.summary"]).await;
    for (index, test) in [json!({}), json!({"event_name": name})].iter().enumerate() {
        eventually("the name is known", SPREAD, || async {
            let answer = project.api.post(&endpoint.path("/test"), test).await;
            (answer.status != 400).then(|| answer.ok(202))
        })
        .await;
        let request = receiver.received(index + 1).await.remove(index);
        let body = String::from_utf8(request.body).expect("UTF-8");
        assert!(body.ends_with(&format!(r#""data":{example}}}"#)), "{body}");
    }
}

#[tokio::test]
async fn an_account_has_five_hundred_types_at_most() {
    let account = Account::sign_up().await;
    let bearer = account.bearer();
    let words = json!({"example": {"text": "\"".repeat(2_000)}, "description": "\u{1}".repeat(256)});
    let puts = (0..500).map(|n| {
        let (bearer, words) = (bearer.clone(), words.clone());
        async move { bearer.put(&path(&format!("{n:03}.{}", "x".repeat(60))), &words).await.ok(200) }
    });
    bounded(4, puts).await;
    let message = bearer.put(&path("one.more"), &json!({})).await.refused(409);
    assert_eq!(message, "The account has 500 event types, which is the most allowed");
    put(&account, &format!("499.{}", "x".repeat(60)), &words).await;
    let listed = bearer.get("/v1/event-types").await.ok(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(503), "all fit into one answer");
    let refused = account.default_project().post("/events", &json!({"event_name": "order.paid"})).await;
    let message = refused.refused(400);
    assert!(message.ends_with(" and 480 more") && message.len() < 2_000, "{message}");
}
