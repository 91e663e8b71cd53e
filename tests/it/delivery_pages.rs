//! The list of an endpoint's deliveries: order, pages, filters (contract §6).

use std::collections::BTreeSet;

use echo_tests::endpoint::Endpoint;
use echo_tests::pages;
use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape;
use echo_tests::shape::text;
use echo_tests::time::{rfc3339, timestamp};
use echo_tests::wait::{PATIENCE, bounded, eventually};
use serde_json::{Value, json};

/// All rows that match the query, in pages of `limit`.
async fn walk(endpoint: &Endpoint, query: &str, limit: usize) -> Vec<Value> {
    let get = async |page: String| endpoint.deliveries(&format!("{page}{query}")).await;
    pages::walk(get, limit, "id", shape::delivery).await
}

fn ids(rows: &[Value]) -> BTreeSet<String> {
    pages::ids(rows, "id")
}

/// Posts `count` events, only a few at a time, and gives the ids of their deliveries.
async fn emit_many(project: &Project, names: &[&str], count: usize) -> BTreeSet<String> {
    let posts = (0..count).map(|index| project.emit(names[index % names.len()]));
    let ids: BTreeSet<String> = bounded(6, posts).await.into_iter().flatten().collect();
    assert_eq!(ids.len(), count);
    ids
}

async fn all_are(endpoint: &Endpoint, status: &str, count: usize) {
    eventually(format!("{count} deliveries are {status}"), PATIENCE * 2, || async {
        let rows = walk(endpoint, &format!("&status={status}"), 100).await;
        (rows.len() == count).then_some(())
    })
    .await;
}

/// One test checks all of this, because its 230 deliveries are expensive to make.
#[tokio::test]
async fn hundreds_of_deliveries_are_paged_newest_first_under_every_filter() {
    let project = Project::new().await;
    let receiver = Receiver::choosing(|request| {
        Reply::status(if request.header("x-echo-event") == "call.summary" { 500 } else { 200 })
    })
    .await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let good = emit_many(&project, &["call.started", "call.ended"], 200).await;
    // Asking the receiver is cheaper than asking the API for lists.
    eventually("200 requests have arrived", PATIENCE * 3, || async {
        (receiver.count() >= 200).then_some(())
    })
    .await;
    all_are(&endpoint, "success", 200).await;
    // A second without events leaves a moment that lies between the two groups.
    let newest = timestamp(&endpoint.deliveries("?limit=1").await.ok(200)["data"][0]["created_at"]);
    eventually("a second passes", PATIENCE, || async {
        (echo_tests::time::now() > newest + 1_000).then_some(())
    })
    .await;
    // Posted one by one, the last of these could find the endpoint disabled by the failures of the first.
    let failing = project.post_together(&vec![json!({"event_name": "call.summary"}); 30]).await;
    let bad: BTreeSet<String> = failing.iter().flat_map(delivery_ids).collect();
    assert_eq!(bad.len(), 30);
    eventually("each of the 30 deliveries has had an attempt", PATIENCE * 3, || async {
        (receiver.count() >= 230).then_some(())
    })
    .await;
    all_are(&endpoint, "failed", 30).await;

    let everything = &good | &bad;
    for limit in [100, 37] {
        assert_eq!(ids(&walk(&endpoint, "", limit).await), everything, "limit {limit}");
    }
    let default = endpoint.deliveries("").await.ok(200);
    assert_eq!(default["data"].as_array().map(Vec::len), Some(50), "the default limit");

    assert_eq!(ids(&walk(&endpoint, "&status=success", 60).await), good);
    assert_eq!(ids(&walk(&endpoint, "&status=failed", 7).await), bad);
    assert_eq!(ids(&walk(&endpoint, "&status=failed", 30).await), bad, "a page that is exactly full");
    for status in ["pending", "retrying"] {
        assert!(walk(&endpoint, &format!("&status={status}"), 10).await.is_empty());
    }
    let ended = walk(&endpoint, "&event_name=call.ended", 33).await;
    assert!(ended.len() == 100 && ended.iter().all(|row| row["event_name"] == "call.ended"));
    assert_eq!(ids(&walk(&endpoint, "&event_name=call.summary", 100).await), bad);
    assert_eq!(walk(&endpoint, "&event_name=call.ended&status=success", 100).await.len(), 100);
    assert!(walk(&endpoint, "&event_name=call.ended&status=failed", 100).await.is_empty());

    let between = rfc3339(newest + 500);
    assert_eq!(ids(&walk(&endpoint, &format!("&since={between}"), 20).await), bad);
    assert_eq!(ids(&walk(&endpoint, &format!("&until={between}"), 90).await), good);
    let inverted = format!("&since={between}&until={between}");
    assert!(walk(&endpoint, &inverted, 10).await.is_empty());
    let oldest = walk(&endpoint, "", 100).await.pop().expect("the oldest");
    let first = timestamp(&oldest["created_at"]);
    let window = format!("&since={}&until={}", rfc3339(first - 1), rfc3339(newest + 1));
    assert_eq!(ids(&walk(&endpoint, &window, 100).await), good);
    let offset = rfc3339(newest + 500 + 7_200_000).replace('Z', "%2B02:00");
    let all = format!("&since={offset}&event_name=call.summary&status=failed");
    assert_eq!(ids(&walk(&endpoint, &all, 11).await), bad, "with an offset, and all filters together");

    cursors_belong_to_their_list(&project, &endpoint, &between).await;
}

async fn cursors_belong_to_their_list(project: &Project, endpoint: &Endpoint, between: &str) {
    let cursor_of = |query: String| async move {
        let page = endpoint.deliveries(&query).await.ok(200);
        text(&page, "next_cursor").to_owned()
    };
    let plain = cursor_of("?limit=5".to_owned()).await;
    let _ = endpoint.deliveries(&format!("?limit=9&cursor={plain}")).await.ok(200);
    let failed = cursor_of("?limit=5&status=failed".to_owned()).await;
    let since = cursor_of(format!("?limit=5&since={between}")).await;
    let foreign = [
        format!("?cursor={plain}&status=success"),
        format!("?cursor={plain}&event_name=call.ended"),
        format!("?cursor={plain}&since={between}"),
        format!("?cursor={plain}&until={between}"),
        format!("?cursor={failed}"),
        format!("?cursor={failed}&status=success"),
        format!("?cursor={failed}&status=failed&event_name=call.summary"),
        format!("?cursor={since}"),
        format!("?cursor={since}&until={between}"),
    ];
    for query in foreign {
        endpoint.deliveries(&query).await.refuses_field("cursor");
    }
    let other = project.endpoint("https://example.com/").await;
    other.deliveries(&format!("?cursor={plain}")).await.refuses_field("cursor");
}

#[tokio::test]
async fn an_empty_list_is_an_empty_page() {
    let endpoint = Project::new().await.endpoint("https://example.com/").await;
    assert_eq!(endpoint.deliveries("").await.ok(200), json!({"data": [], "next_cursor": null}));
}

#[tokio::test]
async fn a_bad_query_value_is_named() {
    let endpoint = Project::new().await.endpoint("https://example.com/").await;
    let wrong = [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "1.5"),
        ("limit", "many"),
        ("limit", ""),
        ("limit", "99999999999999999999"),
        ("status", "done"),
        ("status", "FAILED"),
        ("event_name", "call.unknown"),
        ("since", "yesterday"),
        ("since", "2026-04-12"),
        ("since", "1776009119"),
        ("until", "2026-13-12T15:51:59.499Z"),
        ("until", "2026-04-12T15:51:59"),
        ("since", "2026-11-22T05:00Z"),
        ("since", "2026-11-22T05:00:00%2B0200"),
        ("status[]", "success"),
        ("Status", "success"),
        ("untill", "2026-04-12T15:51:59Z"),
        ("cursor", "x"),
        ("cursor", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("cursor", "%00"),
        ("cursor", "..%2F"),
    ];
    for (name, value) in wrong {
        endpoint.deliveries(&format!("?{name}={value}")).await.refuses_field(name);
    }
    let message = endpoint.deliveries("?since=2026-04-12T17:51:59+02:00").await.refused(400);
    assert!(message.contains("%2B"), "{message}");
    for good in [
        "?until=9999-12-31T23:59:59Z",
        "?limit=1",
        "?limit=100",
        "?since=2026-04-12T15:51:59Z",
        "?until=2026-04-12T17:51:59.499123%2B02:00",
    ] {
        let _ = endpoint.deliveries(good).await.ok(200);
    }
}

#[tokio::test]
async fn an_altered_cursor_is_refused() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    emit_many(&project, &["call.ended"], 3).await;
    let page = endpoint.deliveries("?limit=1").await.ok(200);
    let cursor = text(&page, "next_cursor");
    for index in [0, cursor.len() / 2, cursor.len() - 2] {
        let mut altered = cursor.to_owned().into_bytes();
        altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII");
        endpoint.deliveries(&format!("?limit=1&cursor={altered}")).await.refuses_field("cursor");
    }
    endpoint.deliveries(&format!("?cursor={}", &cursor[1..])).await.refuses_field("cursor");
}

#[tokio::test]
async fn a_page_ends_early_only_before_its_body_passes_3_mib() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let text_of_240_kib = "Grüß Gott ".repeat(20_480);
    let event = json!({"event_name": "call.ended", "data": {"text": text_of_240_kib}});
    let accepted = bounded(3, (0..16).map(|_| project.post_event(&event))).await;
    assert_eq!(accepted.len(), 16);

    let (seen, pages) = pages::walk_large(async |page: String| endpoint.deliveries(&page).await, "id").await;
    assert_eq!((seen.len(), pages), (16, 2));
}

#[tokio::test]
async fn deliveries_that_change_status_move_between_filters() {
    let project = Project::new().await;
    let receiver = Receiver::answering(Reply::status(503).header("retry-after", "5")).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    endpoint.attempted(&id, 1).await;
    let ids_with = |status: &'static str| {
        let endpoint = &endpoint;
        async move { ids(&walk(endpoint, &format!("&status={status}"), 10).await) }
    };
    let only = BTreeSet::from([id.clone()]);
    eventually("the delivery is listed as retrying", PATIENCE, || async {
        (ids_with("retrying").await == only).then_some(())
    })
    .await;
    assert!(ids_with("success").await.is_empty() && ids_with("failed").await.is_empty());
    receiver.set(200);
    endpoint.ended(&id, "success").await;
    eventually("the delivery is listed as a success only", PATIENCE, || async {
        (ids_with("success").await == only && ids_with("retrying").await.is_empty()).then_some(())
    })
    .await;
}
