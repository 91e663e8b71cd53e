//! Webhook endpoints: creating, showing, listing, changing and deleting them, and how many there may be (contract §3).

use echo_tests::cap;
use echo_tests::project::{ALL_EVENTS, Project};
use echo_tests::shape;
use echo_tests::shape::text;
use echo_tests::stack::stack;
use echo_tests::time::timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

const URL: &str = "https://example.com/webhooks/echo?a=b&c=%20";

#[tokio::test]
async fn a_new_endpoint_is_active_and_has_every_field() {
    let project = Project::new().await;
    let created = project.post("/webhooks", &json!({"url": URL, "events": ALL_EVENTS})).await.ok(201);
    shape::endpoint(&created);
    assert_eq!(created["project_id"], project.id);
    assert_eq!(created["url"], URL);
    assert_eq!(created["status"], "active");
    assert_eq!(created["events"], json!(ALL_EVENTS));
    assert_eq!(created["consecutive_failures"], 0);
    assert_eq!(created["created_at"], created["updated_at"]);

    let shown = project.get(&format!("/webhooks/{}", text(&created, "id"))).await.ok(200);
    assert_eq!(shown, created, "shown with its secret, as it was made");
}

#[tokio::test]
async fn a_new_endpoint_can_be_disabled() {
    let project = Project::new().await;
    let wanted = |status: Value| json!({"url": URL, "events": ALL_EVENTS, "status": status});
    let created = project.post("/webhooks", &wanted(json!("disabled"))).await.ok(201);
    shape::endpoint(&created);
    assert_eq!((&created["status"], &created["disabled_reason"]), (&json!("disabled"), &json!("manual")));
    assert_eq!(created["disabled_at"], created["created_at"]);
    assert_eq!(project.get(&format!("/webhooks/{}", text(&created, "id"))).await.ok(200), created);
    assert_eq!(project.emit("call.ended").await.len(), 0);
    let path = project.path(&format!("/webhooks/{}", text(&created, "id")));
    let active = project.api.patch(&path, &json!({"status": "active"})).await.ok(200);
    assert_eq!((&active["status"], &active["disabled_at"]), (&json!("active"), &json!(null)));

    // The object that the API shows for an endpoint is also a valid request for another one.
    let again = project.post("/webhooks", &created).await.ok(201);
    assert_eq!(again["status"], "disabled");
    for status in ["active", "disabled"] {
        assert_eq!(project.post("/webhooks", &wanted(json!(status))).await.ok(201)["status"], status);
    }
    for wrong in [json!("paused"), json!(true)] {
        project.post("/webhooks", &wanted(wrong)).await.refuses_field("status");
    }
}

#[tokio::test]
async fn no_two_endpoints_share_a_secret() {
    let project = Project::new().await;
    let (one, other) = (project.endpoint(URL).await, project.endpoint(URL).await);
    assert_ne!(one.secret, other.secret);
    assert_ne!(one.id, other.id);
}

#[tokio::test]
async fn endpoints_are_listed_oldest_first_as_a_bare_array() {
    let project = Project::new().await;
    assert_eq!(project.get("/webhooks").await.ok(200), json!([]));
    let mut created = Vec::new();
    for _ in 0..4 {
        created.push(project.endpoint(URL).await.created);
    }
    assert_eq!(project.get("/webhooks").await.ok(200), Value::Array(created));
}

#[tokio::test]
async fn url_and_events_are_required() {
    let project = Project::new().await;
    project.post("/webhooks", &json!({"events": ALL_EVENTS})).await.refuses_field("url");
    project.post("/webhooks", &json!({"url": URL})).await.refuses_field("events");
    assert_eq!(project.get("/webhooks").await.ok(200), json!([]), "nothing is half-made");
}

#[tokio::test]
async fn events_is_a_list_of_at_least_one_known_name() {
    let project = Project::new().await;
    let wrong = [
        json!([]),
        json!("call.ended"),
        json!(null),
        json!({"0": "call.ended"}),
        json!([1]),
        json!([null]),
        json!(["call.ended", "call.unknown"]),
        json!(["CALL.ENDED"]),
        json!([""]),
    ];
    for events in wrong {
        project.post("/webhooks", &json!({"url": URL, "events": events})).await.refuses_field("events");
    }
    let refused = project.post("/webhooks", &json!({"url": URL, "events": ["call.unknown"]})).await;
    let message = refused.refused(400);
    assert!(
        ALL_EVENTS.iter().all(|name| message.contains(name)),
        "the message does not list the known names: {message}"
    );
}

#[tokio::test]
async fn duplicate_events_collapse() {
    let project = Project::new().await;
    let events = json!(["call.ended", "call.ended", "call.started", "call.ended"]);
    let created = project.post("/webhooks", &json!({"url": URL, "events": events})).await.ok(201);
    let mut names: Vec<&str> =
        created["events"].as_array().expect("events").iter().filter_map(Value::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["call.ended", "call.started"]);
}

#[tokio::test]
async fn each_field_can_be_changed_alone() {
    let project = Project::new().await;
    let endpoint = project.endpoint(URL).await;
    let changes = [
        json!({"url": "https://example.org/other"}),
        json!({"events": ["call.summary"]}),
        json!({"status": "disabled"}),
        json!({"status": "active"}),
        json!({"description": "Production, the first"}),
        json!({"headers": {"authorization": "Bearer abc"}}),
        json!({"headers": {}}),
        json!({"description": null}),
        json!({"rate_limit_per_second": 1_000}),
        json!({"rate_limit_per_second": 1}),
        json!({"rate_limit_per_second": null}),
        json!({"ordered": "customer_id"}),
        json!({"ordered": null}),
    ];
    let mut before = endpoint.created.clone();
    for change in changes {
        let after = endpoint.patch(&change).await;
        for (field, value) in change.as_object().expect("an object") {
            // No value of a header is shown.
            let masked = json!({"authorization": "********"});
            let is_header = value.get("authorization").is_some();
            assert_eq!(&after[field], if is_header { &masked } else { value });
        }
        for field in [
            "id",
            "project_id",
            "url",
            "signing_secret",
            "status",
            "events",
            "consecutive_failures",
            "created_at",
            "description",
            "headers",
            "rate_limit_per_second",
            "ordered",
        ] {
            if change.get(field).is_none() {
                assert_eq!(after[field], before[field], "{field} changed with {change}");
            }
        }
        assert!(timestamp(&after["updated_at"]) > timestamp(&before["updated_at"]), "{after}");
        assert_eq!(endpoint.show().await, after);
        before = after;
    }
}

#[tokio::test]
async fn all_fields_can_be_changed_together() {
    let endpoint = Project::new().await.endpoint(URL).await;
    let change = json!({"url": "https://example.org/", "events": ["call.started", "call.started"], "status": "disabled"});
    let after = endpoint.patch(&change).await;
    assert_eq!(after["url"], "https://example.org/");
    assert_eq!(after["events"], json!(["call.started"]));
    assert_eq!(after["status"], "disabled");
}

#[tokio::test]
async fn a_change_must_change_something_known() {
    let project = Project::new().await;
    let endpoint = project.endpoint(URL).await;
    let path = endpoint.path("");
    for change in
        [json!({}), json!({"colour": "green"}), json!({"signing_secret": "whsec_x"}), json!({"id": "x"})]
    {
        project.api.patch(&path, &change).await.refused(400);
    }
    assert_eq!(endpoint.show().await, endpoint.created);
}

#[tokio::test]
async fn a_change_is_checked_as_a_new_endpoint_is_and_happens_whole_or_not_at_all() {
    let project = Project::new().await;
    let endpoint = project.endpoint(URL).await;
    let path = endpoint.path("");
    let wrong = [
        ("url", json!({"url": "http://example.com/", "status": "disabled"})),
        ("url", json!({"url": 7})),
        ("url", json!({"url": "https://10.0.0.1/"})),
        ("events", json!({"events": [], "url": "https://example.org/"})),
        ("events", json!({"events": ["call.unknown"]})),
        ("status", json!({"status": "paused", "events": ["call.started"]})),
        ("status", json!({"status": true})),
        ("status", json!({"status": "ACTIVE"})),
    ];
    for (field, change) in wrong {
        project.api.patch(&path, &change).await.refuses_field(field);
    }
    assert_eq!(endpoint.show().await, endpoint.created);
}

#[tokio::test]
async fn after_a_deletion_every_route_under_the_endpoint_is_404() {
    let project = Project::new().await;
    let (endpoint, other) = (project.endpoint(URL).await, project.endpoint(URL).await);
    endpoint.delete().await;
    let delivery = format!("/deliveries/{}", Uuid::now_v7());
    let api = &project.api;
    api.get(&endpoint.path("")).await.refused(404);
    api.patch(&endpoint.path(""), &json!({"status": "active"})).await.refused(404);
    api.delete(&endpoint.path("")).await.refused(404);
    api.post_nothing(&endpoint.path("/secret/rotate")).await.refused(404);
    api.get(&endpoint.path("/deliveries")).await.refused(404);
    api.get(&endpoint.path(&delivery)).await.refused(404);
    api.post_nothing(&endpoint.path(&format!("{delivery}/retry"))).await.refused(404);
    assert_eq!(project.get("/webhooks").await.ok(200), json!([other.created]));
}

#[tokio::test]
async fn an_unknown_endpoint_is_404() {
    let project = Project::new().await;
    let path = project.path(&format!("/webhooks/{}", Uuid::now_v7()));
    assert_eq!(project.api.get(&path).await.refused(404), "Webhook endpoint not found");
    project.api.patch(&path, &json!({"status": "active"})).await.refused(404);
    project.api.delete(&path).await.refused(404);
    project.api.post_nothing(&format!("{path}/secret/rotate")).await.refused(404);
    project.api.get(&format!("{path}/deliveries")).await.refused(404);
}

#[tokio::test]
async fn a_project_has_at_most_so_many_endpoints_even_when_made_16_at_once() {
    let project = Project::new().await;
    let most = usize::try_from(stack().max_endpoints()).expect("a small number");
    let body = json!({"url": URL, "events": ["call.ended"]});
    let create = || project.post("/webhooks", &body);
    cap::meet(most - 8, &format!("{most} webhook endpoints"), create).await;
    let listed = project.get("/webhooks").await.ok(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(most));
    let first = text(&listed[0], "id");
    assert_eq!(project.api.delete(&project.path(&format!("/webhooks/{first}"))).await.status, 204);
    assert_eq!(create().await.status, 201, "a deletion makes room");
    create().await.refused(409);
}
