//! Hourly counts of endpoints (contract §6).

use std::time::Duration;

use echo_tests::endpoint::Endpoint;
use echo_tests::project::Project;
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape;
use echo_tests::time::{now, rfc3339, timestamp};
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

const HOUR: i64 = 3_600_000;
const SUMS: [&str; 4] = ["delivered", "failed", "retried", "attempts"];

/// Checks an endpoint's counts: their form, and that the hours add up to the total.
fn check(stats: &Value) {
    shape::fields(stats, &["webhook_endpoint_id", "since", "until", "hours", "total"]);
    shape::uuid(&stats["webhook_endpoint_id"]);
    shape::fields(
        &stats["total"],
        &["delivered", "failed", "retried", "attempts", "duration_ms", "last_attempt"],
    );
    shape::fields(&stats["total"]["duration_ms"], &["p50", "p95"]);
    let (mut last, until) = (timestamp(&stats["since"]) - HOUR, timestamp(&stats["until"]));
    let hours = stats["hours"].as_array().expect("hours");
    for hour in hours {
        shape::fields(hour, &["hour", "delivered", "failed", "retried", "attempts", "duration_ms"]);
        let at = timestamp(&hour["hour"]);
        assert!(at % HOUR == 0 && last < at && at < until, "{stats}");
        assert!(SUMS.iter().any(|name| hour[name] != 0), "an hour in which nothing happened: {hour}");
        last = at;
    }
    for name in SUMS {
        let sum: u64 = hours.iter().map(|hour| hour[name].as_u64().expect("a count")).sum();
        assert_eq!(stats["total"][name], sum, "{name}: {stats}");
    }
}

async fn stats(project: &Project, endpoint: &Endpoint, query: &str) -> Value {
    let stats = project.api.get(&endpoint.path(&format!("/stats{query}"))).await.ok(200);
    check(&stats);
    assert_eq!(stats["webhook_endpoint_id"], endpoint.id.as_str());
    stats
}

/// Waits until so many attempts are counted. The counts come just after a delivery's own record.
async fn counted(project: &Project, endpoint: &Endpoint, attempts: u64) -> Value {
    eventually(format!("{attempts} attempts are counted"), PATIENCE, || async {
        let stats = stats(project, endpoint, "").await;
        (stats["total"]["attempts"] == attempts).then_some(stats)
    })
    .await
}

/// Two deliveries succeed at once, one at the second attempt, and one fails at all four.
async fn counts_what_happened(project: Project) {
    let receiver = Receiver::choosing(|request| match request.header("x-echo-event") {
        "call.summary" => Reply::status(500),
        "call.ended" if request.header("x-echo-attempt") == "1" => Reply::status(503),
        _ => Reply::status(200).after(Duration::from_millis(1_500)),
    })
    .await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let quiet = project.endpoint_for(&receiver.url_of("/quiet"), &["call.started"]).await;
    quiet.set_status("disabled").await;
    let none = stats(&project, &endpoint, "").await;
    assert_eq!((&none["hours"], &none["total"]["last_attempt"]), (&json!([]), &Value::Null));
    assert_eq!(none["total"]["duration_ms"], json!({"p50": null, "p95": null}));

    for name in ["call.started", "call.started", "call.ended", "call.summary"] {
        project.emit(name).await;
    }
    let stats_now = counted(&project, &endpoint, 8).await;
    let total = &stats_now["total"];
    assert_eq!(SUMS.map(|name| total[name].as_u64()), [3, 1, 4, 8].map(Some), "{stats_now}");
    // Three of the eight attempts took 1.5 s or a little longer, and the others answered at once.
    let took = ["p50", "p95"].map(|name| total["duration_ms"][name].as_u64().expect("a duration"));
    assert!(took[0] < 1_200 && (1_280..15_000).contains(&took[1]), "{total}");
    let last = &total["last_attempt"];
    assert_eq!(last["http_status"], 500, "{total}");
    assert!((now() - 60_000..=now()).contains(&timestamp(&last["created_at"])), "{total}");

    let listed = project.get("/stats").await.ok(200);
    shape::fields(&listed, &["data"]);
    let listed = listed["data"].as_array().expect("endpoints");
    assert_eq!(listed.len(), 2, "{listed:?}");
    listed.iter().for_each(check);
    // The hour may have turned since then, and the period with it.
    for field in ["webhook_endpoint_id", "hours", "total"] {
        assert_eq!(listed[0][field], stats_now[field], "oldest endpoint first, and as it shows itself");
    }
    assert_eq!((&listed[1]["webhook_endpoint_id"], &listed[1]["hours"]), (&json!(quiet.id), &json!([])));

    endpoint.delete().await;
    project.api.get(&endpoint.path("/stats")).await.refused(404);
    eventually("a deleted endpoint is listed no more", PATIENCE, || async {
        let listed = project.get("/stats").await.ok(200);
        (listed["data"].as_array().map(Vec::len) == Some(1)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_hour_counts_what_was_delivered_failed_and_retried_and_how_long_attempts_took() {
    counts_what_happened(Project::new().await).await;
}

/// The counts of such a project are spread over several rows of an hour.
#[tokio::test]
async fn a_project_of_sixty_four_shards_counts_the_same() {
    counts_what_happened(Project::with_shards(64).await).await;
}

#[tokio::test]
async fn a_retry_by_hand_ends_its_delivery_again() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let delivery = project.emit_one().await;
    endpoint.ended(&delivery, "success").await;
    let _ = endpoint.retry(&delivery).await.ok(202);
    let stats = counted(&project, &endpoint, 2).await;
    assert_eq!(stats["total"]["delivered"], 2, "{stats}");
}

#[tokio::test]
async fn a_period_has_whole_hours_and_an_end() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    let hours = |stats: &Value| (timestamp(&stats["until"]) - timestamp(&stats["since"])) / HOUR;
    let usual = stats(&project, &endpoint, "").await;
    assert_eq!(hours(&usual), 24);
    assert!((now() - HOUR..=now() + HOUR).contains(&timestamp(&usual["until"])), "{usual}");
    let asked =
        stats(&project, &endpoint, "?since=2026-04-12T10:59:59Z&until=2026-04-12T12:00:00.001Z").await;
    assert_eq!([&asked["since"], &asked["until"]], ["2026-04-12T10:00:00.000Z", "2026-04-12T13:00:00.000Z"]);

    let end = now();
    let at = |days: i64| rfc3339(end - days * 24 * HOUR);
    let long = |days| format!("?since={}&until={}", at(days), at(0));
    assert_eq!(hours(&stats(&project, &endpoint, &long(31)).await) / 24, 31);
    for (path, days) in [(endpoint.path("/stats"), 32), (project.path("/stats"), 8)] {
        let refused = project.api.get(&format!("{path}{}", long(days))).await.refused(400);
        assert_eq!(refused, format!("since must be at most {} days before until", days - 1));
        for query in [
            "since=yesterday",
            "until=2026-04-12",
            "limit=1",
            "since=2026-04-12T10:00:00Z&until=2026-04-12T10:00:00Z",
        ] {
            let name = query.split('=').next().expect("a name");
            project.api.get(&format!("{path}?{query}")).await.refuses_field(name);
        }
    }
    let unknown = project.path(&format!("/webhooks/{}/stats", Uuid::now_v7()));
    assert_eq!(project.api.get(&unknown).await.refused(404), "Webhook endpoint not found");
}
