//! The list of a project's deliveries, over all of its endpoints (contract §6).

use std::collections::BTreeSet;

use echo_tests::pages;
use echo_tests::project::Project;
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape::{self, text};
use echo_tests::time::{now, rfc3339, timestamp};
use echo_tests::wait::{PATIENCE, bounded, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

/// All deliveries of the project that match the query, in pages of `limit`.
async fn walk(project: &Project, query: &str, limit: usize) -> Vec<Value> {
    let get = async |page: String| project.get(&format!("/deliveries{page}{query}")).await;
    pages::walk(get, limit, "id", shape::delivery).await
}

async fn found(project: &Project, query: &str, limit: usize) -> BTreeSet<String> {
    pages::ids(&walk(project, query, limit).await, "id")
}

/// Waits until the project lists so many deliveries for a query.
async fn listed(project: &Project, query: &str, count: usize) {
    eventually(format!("{count} deliveries are listed for {query}"), PATIENCE * 3, || async {
        (walk(project, query, 100).await.len() == count).then_some(())
    })
    .await;
}

async fn lists_what_its_endpoints_list(project: Project) {
    let receiver = Receiver::choosing(|request| {
        Reply::status(if request.header("x-echo-event") == "call.summary" { 500 } else { 200 })
    })
    .await;
    let mut endpoints = Vec::new();
    for names in [&["call.started", "call.summary"][..], &["call.summary"], &["call.ended"]] {
        endpoints.push(project.endpoint_for(&receiver.url(), names).await);
    }
    // The second endpoint gets a name that it never asked for.
    let test =
        project.api.post(&endpoints[1].path("/test"), &json!({"event_name": "call.started"})).await.ok(202);
    let tested = text(&test["deliveries"][0], "id").to_owned();
    bounded(6, (0..24).map(|n| project.emit(["call.started", "call.ended"][n % 2]))).await;
    listed(&project, "&status=success", 25).await;
    // Posted one by one, the last of these could find their endpoints disabled by the failures of the first.
    project.post_together(&vec![json!({"event_name": "call.summary"}); 12]).await;
    listed(&project, "&status=failed", 24).await;

    for query in ["", "&status=failed", "&event_name=call.started"] {
        let mut of_endpoints = BTreeSet::new();
        for endpoint in &endpoints {
            let get = async |page: String| endpoint.deliveries(&format!("{page}{query}")).await;
            of_endpoints.extend(pages::ids(&pages::walk(get, 100, "id", shape::delivery).await, "id"));
        }
        assert!(of_endpoints.len() > 12, "{query}");
        for limit in [100, 11] {
            assert_eq!(found(&project, query, limit).await, of_endpoints, "{query}, pages of {limit}");
        }
    }
    assert!(found(&project, "&event_name=call.started", 9).await.contains(&tested));
    assert!(walk(&project, "&status=failed&event_name=call.ended", 10).await.is_empty());
    assert_eq!(walk(&project, "&status=failed&event_name=call.summary", 5).await.len(), 24);
    assert!(walk(&project, "&status=pending", 10).await.is_empty());

    let rows = walk(&project, "", 100).await;
    let middle = text(&rows[30], "created_at");
    let at = timestamp(&rows[30]["created_at"]);
    let since = rows.iter().filter(|row| timestamp(&row["created_at"]) >= at).count();
    assert_eq!(walk(&project, &format!("&since={middle}"), 8).await.len(), since);
    assert_eq!(walk(&project, &format!("&until={middle}"), 8).await.len(), rows.len() - since);
}

#[tokio::test]
async fn a_project_lists_what_its_endpoints_list_newest_first() {
    lists_what_its_endpoints_list(Project::new().await).await;
}

#[tokio::test]
async fn a_project_of_sixteen_shards_does_too() {
    lists_what_its_endpoints_list(Project::with_shards(16).await).await;
}

#[tokio::test]
async fn a_replay_of_skipped_events_is_listed_and_a_deleted_endpoint_is_not() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint_for(&receiver.url(), &["call.ended"]).await;
    let kept = project.endpoint_for(&receiver.url_of("/kept"), &["call.ended"]).await;
    let skipping = project.post_event(&json!({"event_name": "call.started"})).await;
    assert_eq!(skipping["deliveries"], json!([]));
    project.emit("call.ended").await;
    let filter = json!({"since": rfc3339(now() - 3_600_000), "include_skipped": true});
    let _ = project.api.post(&kept.path("/replay"), &filter).await.ok(202);
    listed(&project, "&status=success", 3).await;
    let newest = &walk(&project, "", 2).await[0];
    assert_eq!(newest["event_id"], skipping["event_id"], "made last, of the first event");

    endpoint.delete().await;
    listed(&project, "", 2).await;
    let rows = walk(&project, "", 10).await;
    assert!(rows.iter().all(|row| row["webhook_endpoint_id"] == kept.id), "{rows:?}");
    let event = project.get(&format!("/events/{}", text(&rows[1], "event_id"))).await.ok(200);
    assert_eq!(event["deliveries"].as_array().map(Vec::len), Some(2), "they stay listed on their event");
}

async fn finds_a_delivery_by_its_id_alone(project: Project) {
    let receiver = Receiver::start().await;
    let mut endpoints = Vec::new();
    for name in ["call.started", "call.ended", "call.summary"] {
        endpoints.push(project.endpoint_for(&receiver.url_of(&format!("/{name}")), &[name]).await);
    }
    for (endpoint, name) in endpoints.iter().zip(["call.started", "call.ended", "call.summary"]) {
        let event = project.post_event(&json!({"event_name": name})).await;
        let id = text(&event["deliveries"][0], "id").to_owned();
        endpoint.ended(&id, "success").await;
        let path = format!("/deliveries/{id}");
        assert_eq!(project.get(&path).await.ok(200), endpoint.delivery(&id).await);
        project.get(&format!("{path}?x=1")).await.refuses_field("x");
        project.post(&path, &json!({})).await.refused(405);
    }
    let deleted = text(&endpoints[0].deliveries("").await.ok(200)["data"][0], "id").to_owned();
    endpoints[0].delete().await;
    project.get(&format!("/deliveries/{deleted}")).await.refused(404);
    project.post(&format!("/deliveries/{deleted}"), &json!({})).await.refused(404);
    project.get("/deliveries/not-an-id").await.refuses_field("deliveryId");
}

#[tokio::test]
async fn a_delivery_is_found_by_its_id_alone() {
    finds_a_delivery_by_its_id_alone(Project::new().await).await;
}

#[tokio::test]
async fn so_it_is_in_a_project_of_sixteen_shards() {
    finds_a_delivery_by_its_id_alone(Project::with_shards(16).await).await;
}

#[tokio::test]
async fn a_project_without_endpoints_has_no_delivery() {
    Project::new().await.get(&format!("/deliveries/{}", Uuid::now_v7())).await.refused(404);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list_and_bad_values_are_named() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let empty = project.get("/deliveries").await.ok(200);
    assert_eq!(empty, json!({"data": [], "next_cursor": null}));
    bounded(3, (0..3).map(|_| project.emit_one())).await;
    listed(&project, "", 3).await;
    let cursor = |page: &Value| text(page, "next_cursor").to_owned();
    let of_project = cursor(&project.get("/deliveries?limit=1").await.ok(200));
    let of_endpoint = cursor(&endpoint.deliveries("?limit=1").await.ok(200));
    let _ = project.get(&format!("/deliveries?limit=2&cursor={of_project}")).await.ok(200);
    endpoint.deliveries(&format!("?cursor={of_project}")).await.refuses_field("cursor");
    for query in [
        format!("cursor={of_endpoint}"),
        format!("cursor={of_project}&status=failed"),
        format!("cursor={of_project}&event_name=call.ended"),
    ] {
        project.get(&format!("/deliveries?{query}")).await.refuses_field("cursor");
    }
    let other = Project::new().await;
    other.get(&format!("/deliveries?cursor={of_project}")).await.refuses_field("cursor");
    for (name, value) in [
        ("limit", "0"),
        ("status", "done"),
        ("event_name", "call.unknown"),
        ("since", "yesterday"),
        ("until", "2026-04-12"),
        ("webhook_id", "x"),
    ] {
        project.get(&format!("/deliveries?{name}={value}")).await.refuses_field(name);
    }
}
