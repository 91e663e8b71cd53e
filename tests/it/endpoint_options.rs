//! An endpoint's optional settings: a description, headers of its own and a limit (see `rate_limits`).

use echo_tests::aws::logged;
use echo_tests::project::{Project, unique};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::{Value, json};

const URL: &str = "https://example.com/";

async fn create(project: &Project, url: &str, more: Value) -> echo_tests::api::Answer {
    let mut body = json!({"url": url, "events": ["call.ended"]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    project.post("/webhooks", &body).await
}

#[tokio::test]
async fn an_endpoint_has_none_of_it_unless_it_says_so() {
    let project = Project::new().await;
    let plain = create(&project, URL, json!({})).await.ok(201);
    assert_eq!((&plain["description"], &plain["headers"]), (&json!(null), &json!({})));
    assert_eq!(plain["rate_limit_per_second"], json!(null));
    let more = json!({"description": "é".repeat(512), "headers": {"X-Tenant": "acme", "Authorization": "Bearer a.b"}});
    let created = create(&project, URL, more).await.ok(201);
    assert_eq!(created["description"], "é".repeat(512));
    assert_eq!(created["headers"], json!({"authorization": "********", "x-tenant": "********"}));
    let id = created["id"].as_str().expect("an id");
    assert_eq!(project.get(&format!("/webhooks/{id}")).await.ok(200), created);
    let cleared = json!({"description": null, "headers": null});
    let cleared = project.api.patch(&project.path(&format!("/webhooks/{id}")), &cleared).await.ok(200);
    assert_eq!((&cleared["description"], &cleared["headers"]), (&json!(null), &json!({})));
}

#[tokio::test]
async fn its_own_headers_come_with_each_attempt_and_no_log_holds_them() {
    let (project, receiver) = (Project::new().await, Receiver::scripted([500], 200).await);
    let secret = unique();
    let headers = json!({"authorization": format!("Bearer {secret}"), "x-tenant": "acme"});
    let endpoint = project.endpoint(&receiver.url()).await;
    endpoint.patch(&json!({"headers": headers})).await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
    for request in receiver.received(2).await {
        assert_eq!(request.header("authorization"), format!("Bearer {secret}"));
        assert_eq!(request.header("x-tenant"), "acme");
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("x-echo-delivery"), id);
    }
    endpoint.patch(&json!({"headers": {"x-other": "1"}})).await;
    project.emit_one().await;
    let last = receiver.received(3).await.remove(2);
    assert_eq!(last.header("x-other"), "1");
    assert!(!last.headers.contains_key("authorization"), "they are replaced as a whole");

    eventually("both attempts are logged", PATIENCE, || async {
        (logged("Delivery", &id).await.len() >= 2).then_some(())
    })
    .await;
    for function in ["Api", "Delivery"] {
        assert!(logged(function, &secret).await.is_empty(), "{function} logs a header's value");
    }
}

#[tokio::test]
async fn invalid_options_are_refused() {
    let project = Project::new().await;
    let endpoint = project.endpoint(URL).await;
    let many: serde_json::Map<String, Value> = (0..21).map(|n| (format!("x-{n}"), json!("v"))).collect();
    let header = |name: &str, value: &str| ("headers", json!({"headers": {name: value}}));
    for (field, change) in [
        ("description", json!({"description": "x".repeat(513)})),
        ("description", json!({"description": 7})),
        ("headers", json!({"headers": ["x-a"]})),
        ("headers", json!({"headers": {"x-a": 7}})),
        ("headers", json!({"headers": {"x-a": null}})),
        ("headers", json!({"headers": {"x-a": "1", "X-A": "2"}})),
        ("headers", json!({"headers": many})),
        ("rate_limit_per_second", json!({"rate_limit_per_second": 0})),
        ("rate_limit_per_second", json!({"rate_limit_per_second": 1_001})),
        ("rate_limit_per_second", json!({"rate_limit_per_second": -1})),
        ("rate_limit_per_second", json!({"rate_limit_per_second": 1.5})),
        ("rate_limit_per_second", json!({"rate_limit_per_second": "5"})),
        ("rate_limit_per_second", json!({"rate_limit_per_second": true})),
        ("rate_limit_per_second", json!({"rate_limit_per_second": 100_000})),
        header("content-type", "text/plain"),
        header("host", "example.org"),
        header("connection", "close"),
        header("webhook-id", "1"),
        header("x-echo-signature", "1"),
        header("X-Echo-Event", "1"),
        header("x-a b", "1"),
        header("x-a", ""),
        header("x-a", "1\r\nx-b: 2"),
        header("x-a", "\u{e9}"),
        header("x-a", &"v".repeat(4_097)),
        header("x-forwarded-for", "192.0.2.1"),
    ] {
        project.api.patch(&endpoint.path(""), &change).await.refuses_field(field);
        create(&project, URL, change).await.refuses_field(field);
    }
    assert_eq!(endpoint.show().await, endpoint.created);
}

#[tokio::test]
async fn a_refused_header_is_named() {
    let project = Project::new().await;
    let headers = json!({"x-good": "1", "X-Echo-Event": "1", "authorization": "Bearer a"});
    let message = create(&project, URL, json!({"headers": headers})).await.refused(400);
    assert!(message.starts_with("headers cannot have X-Echo-Event as it was sent"), "{message}");
}

#[tokio::test]
async fn changes_at_once_all_hold() {
    let project = Project::new().await;
    let endpoint = project.endpoint(URL).await;
    let changes = [
        json!({"url": format!("{URL}other")}),
        json!({"events": ["call.ended"]}),
        json!({"description": "d"}),
        json!({"headers": {"x-a": "1"}}),
        json!({"rate_limit_per_second": 5}),
    ];
    for round in 0..3 {
        echo_tests::wait::at_once(changes.len(), |n| endpoint.patch(&changes[n])).await;
        let shown = endpoint.show().await;
        for change in &changes {
            for (field, value) in change.as_object().expect("an object") {
                let value = if field == "headers" { &json!({"x-a": "********"}) } else { value };
                assert_eq!(&shown[field], value, "round {round}");
            }
        }
        endpoint
            .patch(&json!({"url": URL, "events": ["call.started"], "description": null, "headers": null, "rate_limit_per_second": null}))
            .await;
    }
}

#[tokio::test]
async fn no_value_of_a_header_comes_back_and_a_mask_keeps_it() {
    let (project, receiver) = (Project::new().await, Receiver::answering(Reply::status(200)).await);
    let headers = json!({"authorization": "Bearer s3cret", "x-tenant": "acme"});
    let created = create(&project, &receiver.url(), json!({"headers": headers})).await;
    assert!(!created.text().contains("s3cret"));
    let endpoint = echo_tests::endpoint::Endpoint::new(&project, created.ok(201));
    let masked = json!({"authorization": "********", "x-tenant": "********"});
    assert_eq!(endpoint.created["headers"], masked);
    // As a client does that sends back the headers with one value changed and one added.
    let change = json!({"headers": {"authorization": "********", "x-tenant": "other", "x-new": "1"}});
    let changed = project.api.patch(&endpoint.path(""), &change).await;
    assert!(!changed.text().contains("s3cret") && !changed.text().contains("other"));
    project.emit_one().await;
    let request = receiver.first().await;
    for (name, value) in [("authorization", "Bearer s3cret"), ("x-tenant", "other"), ("x-new", "1")] {
        assert_eq!(request.header(name), value);
    }
    let unknown = json!({"headers": {"x-unknown": "********"}});
    let message = project.api.patch(&endpoint.path(""), &unknown).await.refused(400);
    assert!(message.starts_with("headers must give a value for x-unknown"), "{message}");
    create(&project, URL, unknown).await.refuses_field("headers");
}

/// A caller that may change an endpoint could otherwise send its headers to a host of its own.
#[tokio::test]
async fn no_value_of_a_header_moves_to_another_origin() {
    let (project, receiver) = (Project::new().await, Receiver::answering(Reply::status(200)).await);
    let headers = json!({"headers": {"authorization": "Bearer s3cret"}});
    let endpoint =
        echo_tests::endpoint::Endpoint::new(&project, create(&project, URL, headers).await.ok(201));
    let masked = json!({"authorization": "********"});
    for change in [json!({"url": receiver.url()}), json!({"url": receiver.url(), "headers": masked})] {
        let message = project.api.patch(&endpoint.path(""), &change).await.refused(400);
        assert!(message.starts_with("headers must be sent with every value again"), "{message}");
    }
    assert_eq!(endpoint.show().await, endpoint.created);
    endpoint.patch(&json!({"url": format!("{URL}elsewhere?on=this-origin")})).await;
    endpoint.patch(&json!({"url": receiver.url(), "headers": {"authorization": "Bearer another"}})).await;
    project.emit_one().await;
    assert_eq!(receiver.first().await.header("authorization"), "Bearer another");
    endpoint.patch(&json!({"url": URL, "headers": null})).await;
    endpoint.patch(&json!({"url": receiver.url()})).await;
}
