//! `…/webhooks/{webhookId}/stats`: an endpoint's hourly counts; `…/stats`: those of all endpoints of a project (contract §6).

use axum::Json;
use axum::extract::State;
use echo_shared::id::EndpointId;
use echo_shared::stats::{Counts, Hour, Period};
use echo_shared::store::Hours;
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::endpoints;
use crate::app::{App, AppState};
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::paging;
use crate::http::request::{PathIds, QueryValues};
use crate::openapi::values;

/// The longest time that one question covers. For a project it is shorter: a hundred endpoints and 31 days would pass
/// the 6 MB of a Lambda answer.
const MOST_DAYS: u32 = 31;
const MOST_DAYS_OF_PROJECT: u32 = 7;

/// An endpoint's counts.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointStats)]
pub struct StatsBody {
    #[schema(value_type = values::Id)]
    webhook_endpoint_id: EndpointId,
    /// The beginning of the first hour that was asked for, and the end of the last one.
    #[schema(value_type = values::Time)]
    since: String,
    #[schema(value_type = values::Time)]
    until: String,
    /// Oldest first. An hour in which nothing happened is left out.
    #[schema(max_items = 745)]
    hours: Vec<HourBody>,
    total: TotalBody,
}

/// The counts of one hour of the clock, in UTC.
#[derive(Serialize, ToSchema)]
#[schema(as = HourStats)]
pub struct HourBody {
    /// When the hour begins.
    #[schema(value_type = values::Time)]
    hour: String,
    /// Deliveries that ended `success`, and those that ended `failed`.
    #[schema(minimum = 0)]
    delivered: u64,
    #[schema(minimum = 0)]
    failed: u64,
    /// Attempts that failed and were followed by another one.
    #[schema(minimum = 0)]
    retried: u64,
    /// Every attempt, whatever its result.
    #[schema(minimum = 0)]
    attempts: u64,
    duration_ms: DurationsBody,
}

/// The counts of all these hours together.
#[derive(Serialize, ToSchema)]
#[schema(as = TotalStats)]
pub struct TotalBody {
    #[schema(minimum = 0)]
    delivered: u64,
    #[schema(minimum = 0)]
    failed: u64,
    #[schema(minimum = 0)]
    retried: u64,
    #[schema(minimum = 0)]
    attempts: u64,
    duration_ms: DurationsBody,
    /// The latest attempt of this time; null without one.
    #[schema(required)]
    last_attempt: Option<LatestAttemptBody>,
}

/// How long attempts took: half of them at most `p50`, and 95 of a hundred at most `p95`. Both are within an eighth of the exact
/// value, and null without attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = AttemptDurations)]
pub struct DurationsBody {
    #[schema(minimum = 0, required)]
    p50: Option<u64>,
    #[schema(minimum = 0, required)]
    p95: Option<u64>,
}

/// An attempt, as far as the counts tell of it.
#[derive(Serialize, ToSchema)]
#[schema(as = LatestAttempt)]
pub struct LatestAttemptBody {
    /// Null when no answer came.
    #[schema(minimum = 100, maximum = 999, required)]
    http_status: Option<u16>,
    #[schema(value_type = values::Time)]
    created_at: String,
}

/// The counts of every endpoint of a project.
#[derive(Serialize, ToSchema)]
#[schema(as = ProjectStats)]
pub struct ProjectStatsBody {
    /// Oldest endpoint first.
    #[schema(max_items = 100)]
    data: Vec<StatsBody>,
}

impl StatsBody {
    fn new(webhook_endpoint_id: EndpointId, hours: &Hours, period: Period) -> Self {
        let mut total = Counts::default();
        hours.iter().for_each(|(_, counts)| total.merge(counts));
        Self {
            webhook_endpoint_id,
            since: period.first.start().to_string(),
            until: period.last.end().to_string(),
            hours: hours.iter().map(|(hour, counts)| HourBody::new(*hour, counts)).collect(),
            total: TotalBody::from(&total),
        }
    }
}

impl HourBody {
    fn new(hour: Hour, counts: &Counts) -> Self {
        Self {
            hour: hour.start().to_string(),
            delivered: counts.delivered,
            failed: counts.failed,
            retried: counts.retried,
            attempts: counts.durations.total(),
            duration_ms: DurationsBody::from(counts),
        }
    }
}

impl From<&Counts> for TotalBody {
    fn from(counts: &Counts) -> Self {
        Self {
            delivered: counts.delivered,
            failed: counts.failed,
            retried: counts.retried,
            attempts: counts.durations.total(),
            duration_ms: DurationsBody::from(counts),
            last_attempt: counts.last_attempt.map(|last| LatestAttemptBody {
                http_status: last.http_status,
                created_at: last.began_at.to_string(),
            }),
        }
    }
}

impl From<&Counts> for DurationsBody {
    fn from(counts: &Counts) -> Self {
        Self { p50: counts.durations.percentile(50), p95: counts.durations.percentile(95) }
    }
}

/// `GET …/webhooks/{webhookId}/stats`
pub async fn show(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<StatsBody>, ApiError> {
    let endpoint = endpoints::find(&app, &project, &ids.endpoint()?).await?;
    let now = Timestamp::now();
    let period = asked(&app, &query, MOST_DAYS, now)?;
    let hours = app.store.stats(&project.id, &endpoint.id, endpoint.shards, period, now).await?;
    Ok(Json(StatsBody::new(endpoint.id, &hours, period)))
}

/// `GET …/stats`
pub async fn list(
    State(app): State<AppState>,
    project: InProject,
    query: QueryValues,
) -> Result<Json<ProjectStatsBody>, ApiError> {
    let now = Timestamp::now();
    let period = asked(&app, &query, MOST_DAYS_OF_PROJECT, now)?;
    let copy = project.shards.any(rand::random());
    let found = app.store.stats_of_project(&project.id, copy, period, now).await?;
    let found = found.ok_or_else(ApiError::foreign_project)?;
    let data = found.iter().map(|(id, hours)| StatsBody::new(*id, hours, period)).collect();
    Ok(Json(ProjectStatsBody { data }))
}

/// The hours that the query asks for.
fn asked(app: &App, query: &QueryValues, most_days: u32, now: Timestamp) -> Result<Period, ApiError> {
    if !app.settings.hourly_statistics {
        return Err(ApiError::statistics_off());
    }
    query.only(&["since", "until"])?;
    let (since, until) = (paging::time(query, "since")?, paging::time(query, "until")?);
    Period::new(since, until, most_days, now).map_err(|refused| query.invalid(refused.to_string()))
}
