use echo_shared::scope::Scope;
use serde_json::{Value, json};

use super::Resource;
use super::operation::{Described, get};
use super::values::GivenTime;
use crate::routes::stats::{ProjectStatsBody, StatsBody};

const OF_PROJECT: &str = "/v1/projects/{projectId}/stats";
const OF_ENDPOINT: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/stats";

fn hourly(path: &'static str, id: &str, summary: &str, about: &str, most: &str) -> Described {
    get(path, id, summary)
        .needs(Scope::Read)
        .about(about)
        .query_such_as::<GivenTime>(
            "since",
            &format!("From the hour of this moment on, at most {most} before `until`; 23 hours before the last hour when absent."),
            "2026-04-11T00:00:00Z",
        )
        .query_such_as::<GivenTime>(
            "until",
            "Up to the last hour that begins before this moment; the present hour when absent.",
            "2026-04-12T00:00:00Z",
        )
        .refuses(&[404])
}

pub(super) fn resource() -> Resource {
    let show = hourly(
        OF_ENDPOINT,
        "getStats",
        "Show an endpoint's hourly counts",
        "Without a query, those of the last 24 hours.",
        "31 days",
    )
    .gives::<StatsBody>(200, "The counts.", stats());
    let list = hourly(
        OF_PROJECT,
        "listStats",
        "Show the hourly counts of all endpoints",
        "Without a query, those of the last 24 hours. An endpoint that was just made or deleted may be missing.",
        "7 days",
    )
    .gives::<ProjectStatsBody>(200, "The counts of each endpoint.", json!({ "data": [stats()] }));
    Resource {
        tag: "Statistics",
        about: "What happened at an endpoint, hour by hour. Kept 30 days (the setting `RetentionDays`). The counts are for people: a fault of the \
                service can lose some, and the newest come a moment late. With the setting `HourlyStatistics` off, both calls are a 404.",
        routes: vec![show, list],
    }
}

fn stats() -> Value {
    json!({
        "webhook_endpoint_id": "0197c2a4-5c30-7aaa-9bbc-79638b7b01e0",
        "since": "2025-06-29T22:00:00.000Z",
        "until": "2025-06-30T22:00:00.000Z",
        "hours": [{
            "hour": "2025-06-30T21:00:00.000Z",
            "delivered": 120,
            "failed": 1,
            "retried": 3,
            "attempts": 124,
            "duration_ms": { "p50": 87, "p95": 207 },
        }],
        "total": {
            "delivered": 120,
            "failed": 1,
            "retried": 3,
            "attempts": 124,
            "duration_ms": { "p50": 87, "p95": 207 },
            "last_attempt": { "http_status": 200, "created_at": "2025-06-30T21:00:41.525Z" },
        },
    })
}
