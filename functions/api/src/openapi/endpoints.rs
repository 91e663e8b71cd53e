use std::collections::BTreeMap;

use echo_shared::scope::Scope;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Resource;
use super::events::NewEvent;
use super::operation::{delete, get, patch, post};
use super::receiver_auth::ReceiverAuth;
use super::values::{EndpointUrl, EventFilter, OwnHeaders, WantedEvents};
use crate::routes::endpoints::filter_test::VerdictBody;
use crate::routes::endpoints::{EndpointBody, EndpointState, OrderShown, SecretBody};

/// A new endpoint.
#[derive(Debug, ToSchema)]
pub struct NewEndpoint {
    #[schema(value_type = EndpointUrl)]
    pub url: String,
    #[schema(value_type = WantedEvents)]
    pub events: Vec<String>,
    /// `active` when absent. A disabled endpoint gets no deliveries until it is made active.
    #[schema(value_type = Option<EndpointState>)]
    pub status: Option<String>,
    #[schema(max_length = 512)]
    pub description: Option<String>,
    #[schema(value_type = Option<OwnHeaders>)]
    pub headers: Option<BTreeMap<String, String>>,
    /// The most requests it gets in a second. Deliveries beyond it wait, in no certain order.
    #[schema(minimum = 1, maximum = 1_000)]
    pub rate_limit_per_second: Option<u16>,
    /// The first attempt of a delivery waits until the delivery before it has ended, its retries included. Null is no order.
    #[schema(value_type = Option<OrderShown>)]
    pub ordered: Option<String>,
    /// Which events, of those that it is subscribed to, it gets; null is all.
    #[schema(value_type = Option<EventFilter>)]
    pub filter: Option<Value>,
    /// Whether attempts also carry an Ed25519 signature, by a key pair that the service makes. Its public half is `public_key`.
    #[schema(value_type = Option<bool>, default = false)]
    pub ed25519: Option<bool>,
    #[schema(value_type = Option<ReceiverAuth>)]
    pub auth: Option<Value>,
}

/// The fields to change, at least one.
#[derive(Debug, ToSchema)]
#[schema(min_properties = 1)]
pub struct EndpointChange {
    #[schema(value_type = EndpointUrl, required = false)]
    pub url: String,
    #[schema(value_type = WantedEvents, required = false)]
    pub events: Vec<String>,
    /// `active` forgets past failures; `disabled` pauses: no new deliveries are made, and waiting ones end `failed`.
    #[schema(value_type = EndpointState, required = false)]
    pub status: String,
    /// Null takes it away.
    #[schema(max_length = 512)]
    pub description: Option<String>,
    /// All headers; they replace the ones before. The value `********` keeps the value that the endpoint has under that name. Null
    /// removes all. If `url` moves to another origin (scheme, host or port), or a portal session changes `url`, every value must be sent again.
    #[schema(value_type = Option<OwnHeaders>)]
    pub headers: Option<BTreeMap<String, String>>,
    /// Null takes it away.
    #[schema(minimum = 1, maximum = 1_000)]
    pub rate_limit_per_second: Option<u16>,
    /// Holds for the events accepted from now on. Deliveries that wait keep the order in which they were accepted.
    #[schema(value_type = Option<OrderShown>)]
    pub ordered: Option<String>,
    /// Null takes it away.
    #[schema(value_type = Option<EventFilter>)]
    pub filter: Option<Value>,
    /// `false` deletes the key pair. `true` makes one where there is none.
    #[schema(value_type = bool, required = false)]
    pub ed25519: bool,
    /// Null takes it away.
    #[schema(value_type = Option<ReceiverAuth>)]
    pub auth: Option<Value>,
}

/// A filter and an event to try it on.
#[derive(Debug, ToSchema)]
pub struct FilterTest {
    #[schema(value_type = Option<EventFilter>, required)]
    pub filter: Option<Value>,
    /// An event as it is posted, or the `payload` of one.
    #[schema(value_type = NewEvent)]
    pub event: Value,
}

const WEBHOOKS: &str = "/v1/projects/{projectId}/webhooks";
const WEBHOOK: &str = "/v1/projects/{projectId}/webhooks/{webhookId}";
const FILTER_TEST: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/filter/test";
const ROTATE: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/secret/rotate";

pub(super) fn resource() -> Resource {
    let wanted =
        json!({ "url": "https://your-server.com/webhooks/echo", "events": ["call.started", "call.ended"] });
    let create = post(WEBHOOKS, "createWebhookEndpoint", "Create a webhook endpoint")
        .needs(Scope::EndpointsWrite)
        .about("It receives the events accepted from now on. A project has at most 50 (the setting `MaxEndpointsPerProject`).")
        .takes::<NewEndpoint>(wanted)
        .gives::<EndpointBody>(201, "Created.", endpoint())
        .refuses(&[409]);
    let list = get(WEBHOOKS, "listWebhookEndpoints", "List webhook endpoints")
        .needs(Scope::Read)
        .about("All of the project's, oldest first.")
        .lists::<EndpointBody>("The endpoints.", endpoint());
    let show = get(WEBHOOK, "getWebhookEndpoint", "Show a webhook endpoint")
        .needs(Scope::Read)
        .gives::<EndpointBody>(200, "The endpoint.", endpoint());
    let update = patch(WEBHOOK, "updateWebhookEndpoint", "Change a webhook endpoint")
        .needs(Scope::EndpointsWrite)
        .about("Holds for every event accepted after the answer, and for every attempt begun after it.")
        .takes::<EndpointChange>(json!({ "status": "disabled" }))
        .gives::<EndpointBody>(200, "The endpoint as it is now.", endpoint());
    let delete = delete(WEBHOOK, "deleteWebhookEndpoint", "Delete a webhook endpoint")
        .needs(Scope::EndpointsWrite)
        .about("Deliveries under way end `failed` with `endpoint_deleted`; everything under the endpoint then answers 404.")
        .answers_nothing(204, "Deleted.");
    let rotate = post(ROTATE, "rotateSigningSecret", "Rotate the signing secret")
        .needs(Scope::EndpointsWrite)
        .about(
            "Attempts from now on are signed with the new secret; for 24 hours `webhook-signature` carries a signature by the \
             previous one too. An endpoint with `ed25519` gets a new key pair likewise. A body is not needed.",
        )
        .gives::<SecretBody>(200, "The new secret.", json!({ "signing_secret": endpoint()["signing_secret"] }))
        .refuses(&[413, 415]);
    let tried = json!({
        "filter": { "data": { "duration_seconds": [{ "numeric": [">", 60] }] } },
        "event": { "event_name": "call.ended", "data": { "duration_seconds": 227 } },
    });
    let test_filter = post(FILTER_TEST, "testFilter", "Try a filter")
        .needs(Scope::Read)
        .about("Says whether an event would pass a filter. Nothing is changed or sent, and the endpoint's own filter does not matter.")
        .takes::<FilterTest>(tried)
        .gives::<VerdictBody>(200, "Whether it matches.", json!({ "matches": true }));
    Resource {
        tag: "Webhook endpoints",
        about: "Where a project's events are delivered.",
        routes: vec![create, list, show, update, delete, rotate, test_filter],
    }
}

fn endpoint() -> Value {
    json!({
        "id": "0197c2a4-5c30-7aaa-9bbc-79638b7b01e0",
        "project_id": "0197c2a4-1c11-790f-b01a-1a8a16a36aad",
        "url": "https://your-server.com/webhooks/echo",
        "signing_secret": "whsec_83ef33172e507644331b2915aede54ca4f0d895b61ff17a8412e8674160a277e",
        "status": "active",
        "events": ["call.started", "call.ended"],
        "consecutive_failures": 0,
        "created_at": "2025-06-30T21:00:40.880Z",
        "updated_at": "2025-06-30T21:00:40.880Z",
        "disabled_reason": null,
        "disabled_at": null,
        "description": "Production",
        "headers": { "x-tenant": "********" },
        "rate_limit_per_second": null,
        "hanging_since": null,
        "ordered": null,
        "filter": null,
        "ed25519": false,
        "public_key": null,
        "disables_at": null,
        "auth": null,
    })
}
