//! `…/webhooks/{webhookId}/replay`: sending an endpoint's deliveries of some period again (contract §6).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::audit::Action;
use echo_shared::delivery::DeliveryStatus;
use echo_shared::endpoint::EndpointStatus;
use echo_shared::event_name::{EventName, EventNames};
use echo_shared::fields::{Fields, string};
use echo_shared::id::{EndpointId, ProjectId, ReplayId};
use echo_shared::job::{AHEAD_OF_ITS_ROW, ReplayJob};
use echo_shared::replay::{Replay, ReplayFilter, ReplayStatus, StopReason};
use echo_shared::store::Created;
use echo_shared::time::{ALLOWED, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::endpoints;
use crate::app::{App, AppState};
use crate::auth::{By, InProject};
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{PathIds, QueryValues};
use crate::openapi::values;

/// How many replays of an endpoint are listed.
const MOST_LISTED: usize = 20;

/// `running`, or over: `finished` when it is through, `stopped` when it will not go on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReplayStatus)]
pub enum ReplayState {
    Running,
    Finished,
    Stopped,
}

/// Why it was stopped: the endpoint was disabled or deleted, or the fault is ours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StopReason)]
pub enum StopReasonShown {
    EndpointDisabled,
    EndpointDeleted,
    Internal,
}

/// The statuses of the deliveries that are replayed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayedStatus {
    Failed,
    Success,
}

/// A replay and how far it has come.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
pub struct ReplayBody {
    #[schema(value_type = values::Id)]
    id: ReplayId,
    status: ReplayState,
    /// Deliveries and skipped events that were found so far.
    #[schema(minimum = 0)]
    matched: u64,
    /// Those of them that were started: an attempt for a delivery, a delivery for an event that was skipped.
    #[schema(minimum = 0)]
    replayed: u64,
    #[schema(value_type = values::Id)]
    webhook_endpoint_id: EndpointId,
    #[schema(value_type = values::Id)]
    project_id: ProjectId,
    filter: ReplayFilterBody,
    /// Null unless the status is `stopped`.
    #[schema(required)]
    stop_reason: Option<StopReasonShown>,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
}

/// The request, with defaults filled in.
#[derive(Serialize, ToSchema)]
#[schema(as = ReplayFilter)]
pub struct ReplayFilterBody {
    #[schema(value_type = values::Time)]
    since: String,
    #[schema(value_type = values::Time)]
    until: String,
    status: ReplayedStatus,
    /// Null for all names.
    #[schema(value_type = Option<values::EventName>, required)]
    event_name: Option<EventName>,
    include_skipped: bool,
}

impl From<Replay> for ReplayBody {
    fn from(replay: Replay) -> Self {
        Self {
            id: replay.id,
            status: match replay.status {
                ReplayStatus::Running => ReplayState::Running,
                ReplayStatus::Finished => ReplayState::Finished,
                ReplayStatus::Stopped => ReplayState::Stopped,
            },
            matched: replay.matched,
            replayed: replay.replayed,
            webhook_endpoint_id: replay.endpoint_id,
            project_id: replay.project_id,
            filter: ReplayFilterBody {
                since: replay.filter.since.to_string(),
                until: replay.filter.until.to_string(),
                status: match replay.filter.status {
                    DeliveryStatus::Success => ReplayedStatus::Success,
                    _ => ReplayedStatus::Failed,
                },
                event_name: replay.filter.event_name,
                include_skipped: replay.filter.include_skipped,
            },
            stop_reason: replay.stop_reason.map(|reason| match reason {
                StopReason::EndpointDisabled => StopReasonShown::EndpointDisabled,
                StopReason::EndpointDeleted => StopReasonShown::EndpointDeleted,
                StopReason::Internal => StopReasonShown::Internal,
            }),
            created_at: replay.id.created_at().to_string(),
            updated_at: replay.updated_at.to_string(),
        }
    }
}

/// The replay of this endpoint, or 404.
///
/// # Errors
/// When there is no such replay, or the store did not answer.
pub async fn find(
    app: &App,
    project: &InProject,
    endpoint_id: &EndpointId,
    id: &ReplayId,
) -> Result<Replay, ApiError> {
    let replay = app.store.replay(endpoint_id, id, Timestamp::now()).await?;
    replay.filter(|replay| replay.project_id == project.id).ok_or_else(ApiError::replay_not_found)
}

/// `POST …/webhooks/{webhookId}/replay`
pub async fn create(
    State(app): State<AppState>,
    By { author, .. }: By,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<ReplayBody>), ApiError> {
    let endpoint = endpoints::find(&app, &project, &ids.endpoint()?).await?;
    query.only(&[])?;
    let now = Timestamp::now();
    let fields = body.fields()?;
    let filter = app.by_delivered_names(&project, |names| read(&fields, names, now)).await?;
    if endpoint.status == EndpointStatus::Disabled {
        return Err(ApiError::endpoint_disabled());
    }
    let latest = app.store.latest_replay(&endpoint.id).await?;
    if let Some(id) = &latest
        && let Some(latest) = app.store.replay(&endpoint.id, id, now).await?
        && latest.status == ReplayStatus::Running
    {
        return Err(ApiError::replay_running());
    }
    let replay = Replay::new(&endpoint, filter, now, app.settings.retention);
    let job = ReplayJob {
        project_id: project.id,
        endpoint_id: endpoint.id,
        replay_id: replay.id,
        step: replay.step,
    };
    // The job goes first: without its row it does nothing, a row without it would wait for ever.
    app.retries.send(&job, AHEAD_OF_ITS_ROW).await?;
    let entry = author.of_endpoint(&endpoint, Action::EndpointReplayStarted, now);
    match app.store.create_replay(&replay, latest, &entry).await? {
        Created::Done => Ok((StatusCode::ACCEPTED, Json(replay.into()))),
        Created::CapReached | Created::OwnerGone => Err(ApiError::replay_running()),
    }
}

/// `GET …/webhooks/{webhookId}/replays`
pub async fn list(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<Vec<ReplayBody>>, ApiError> {
    let endpoint = endpoints::find(&app, &project, &ids.endpoint()?).await?;
    query.only(&[])?;
    let replays = app.store.replays(&endpoint.id, MOST_LISTED, Timestamp::now()).await?;
    Ok(Json(replays.into_iter().map(ReplayBody::from).collect()))
}

/// `GET …/webhooks/{webhookId}/replays/{replayId}`
pub async fn show(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<ReplayBody>, ApiError> {
    let endpoint = endpoints::find(&app, &project, &ids.endpoint()?).await?;
    let replay = find(&app, &project, &endpoint.id, &ids.replay()?).await?;
    query.only(&[])?;
    Ok(Json(replay.into()))
}

fn read(fields: &Fields<'_>, names: &EventNames, now: Timestamp) -> Result<ReplayFilter, ApiError> {
    // A misspelled filter that is ignored would send everything again.
    fields.only(&["since", "until", "status", "event_name", "include_skipped"])?;
    let time = |value: &RawValue| Timestamp::parse(&string(value)?).ok();
    let status = |value: &RawValue| match string(value)?.as_str() {
        "failed" => Some(DeliveryStatus::Failed),
        "success" => Some(DeliveryStatus::Success),
        _ => None,
    };
    let yes_or_no = |value: &RawValue| serde_json::from_str(value.get()).ok();
    Ok(ReplayFilter {
        since: fields.required("since", ALLOWED, time)?,
        until: fields.nullable("until", ALLOWED, time)?.map_or(now, |until| until.min(now)),
        status: fields.nullable("status", "failed or success", status)?.unwrap_or(DeliveryStatus::Failed),
        event_name: fields
            .nullable("event_name", format_args!("one of: {names}"), |value| names.find(&string(value)?))?,
        include_skipped: fields.nullable("include_skipped", "true or false", yes_or_no)?.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn filter(body: &str) -> Option<ReplayFilter> {
        let names = EventNames::parse("call.started,call.ended").expect("names");
        read(&Fields::parse(body.as_bytes()).expect("an object"), &names, NOW).ok()
    }

    #[test]
    fn a_replay_is_of_failures_up_to_now_unless_it_says_otherwise() {
        let since = Timestamp::from_millis(1_776_000_000_000);
        let plain = ReplayFilter {
            since,
            until: NOW,
            status: DeliveryStatus::Failed,
            event_name: None,
            include_skipped: false,
        };
        let body = |more: &str| format!(r#"{{"since": "{since}"{more}}}"#);
        assert_eq!(filter(&body("")), Some(plain.clone()));
        let nulls = r#", "until": null, "status": null, "event_name": null, "include_skipped": null"#;
        assert_eq!(filter(&body(nulls)), Some(plain.clone()), "an answer can be sent back");
        assert_eq!(filter(&body(r#", "until": "2030-01-01T00:00:00Z""#)), Some(plain.clone()));
        let all = body(
            r#", "until": "2026-04-12T15:00:00Z", "status": "success", "event_name": "call.ended", "include_skipped": true"#,
        );
        let wanted = ReplayFilter {
            until: Timestamp::parse("2026-04-12T15:00:00Z").expect("a time"),
            status: DeliveryStatus::Success,
            event_name: Some(EventName::from_stored("call.ended")),
            include_skipped: true,
            ..plain
        };
        assert_eq!(filter(&all), Some(wanted));
        for bad in [
            "{}",
            r#"{"since": null}"#,
            r#"{"since": "yesterday"}"#,
            &body(r#", "until": 7"#),
            &body(r#", "untill": "2026-04-12T15:00:00Z""#),
            &body(r#", "status": "pending""#),
            &body(r#", "event_name": "call.other""#),
            &body(r#", "include_skipped": "yes""#),
        ] {
            assert_eq!(filter(bad), None, "{bad}");
        }
    }
}
