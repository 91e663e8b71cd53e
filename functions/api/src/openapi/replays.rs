use echo_shared::scope::Scope;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Resource;
use super::operation::{get, post};
use super::values::{GivenTime, KnownEventName};
use crate::routes::replays::{ReplayBody, ReplayedStatus};

/// The deliveries to send again. The `filter` of a replay has the same form. Another field is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReplay {
    /// Only deliveries and events of this moment or later.
    #[schema(value_type = GivenTime)]
    pub since: String,
    /// Only deliveries and events before this moment; now when absent.
    #[schema(value_type = Option<GivenTime>)]
    pub until: Option<String>,
    /// `failed` when absent.
    #[schema(value_type = Option<ReplayedStatus>)]
    pub status: Option<String>,
    /// All names when absent.
    #[schema(value_type = Option<KnownEventName>)]
    pub event_name: Option<String>,
    /// Also make deliveries for events that skipped the endpoint, because it was disabled, not subscribed or filtered them out.
    pub include_skipped: Option<bool>,
}

const CREATE: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/replay";
const REPLAYS: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/replays";
const REPLAY: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/replays/{replayId}";

pub(super) fn resource() -> Resource {
    let create = post(CREATE, "createReplay", "Start a replay")
        .needs(Scope::EndpointsWrite)
        .about(
            "One manual attempt on each delivery that matches. Those that still run, or have had 50 attempts, are found and left \
             alone. It goes on by itself, about a hundred deliveries at a time, until it is through or its endpoint is disabled or \
             deleted. Deliveries of the last second may be missed. An endpoint has one running replay at a time.",
        )
        .takes::<NewReplay>(json!({ "since": "2025-06-30T20:00:00.000Z", "include_skipped": true }))
        .gives::<ReplayBody>(202, "It has begun.", replay("running", 0))
        .refuses(&[409]);
    let list = get(REPLAYS, "listReplays", "List replays")
        .needs(Scope::Read)
        .lists::<ReplayBody>("The newest 20, newest first.", replay("finished", 42));
    let show = get(REPLAY, "getReplay", "Show a replay").needs(Scope::Read).gives::<ReplayBody>(
        200,
        "How far it has come.",
        replay("finished", 42),
    );
    Resource {
        tag: "Replays",
        about: "Orders to send an endpoint's deliveries of some period again. Kept as long as deliveries are.",
        routes: vec![create, list, show],
    }
}

fn replay(status: &str, count: u64) -> Value {
    json!({
        "id": "0197c2a4-9a10-7c05-8f2e-6b1d0e4f7a91",
        "status": status,
        "matched": count,
        "replayed": count,
        "webhook_endpoint_id": "0197c2a4-5c30-7aaa-9bbc-79638b7b01e0",
        "project_id": "0197c2a4-1c11-790f-b01a-1a8a16a36aad",
        "filter": {
            "since": "2025-06-30T20:00:00.000Z",
            "until": "2025-06-30T21:00:56.720Z",
            "status": "failed",
            "event_name": null,
            "include_skipped": true,
        },
        "stop_reason": null,
        "created_at": "2025-06-30T21:00:56.720Z",
        "updated_at": "2025-06-30T21:00:58.104Z",
    })
}
