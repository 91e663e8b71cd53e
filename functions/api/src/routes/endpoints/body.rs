//! An endpoint as an answer shows it.

use std::collections::BTreeMap;

use echo_shared::endpoint::{DisabledReason, Endpoint, EndpointStatus};
use echo_shared::id::{EndpointId, ProjectId};
use echo_shared::masks::MASK;
use echo_shared::receiver_auth::Auth;
use echo_shared::signing_secret::SigningSecret;
use echo_shared::stream::Order;
use echo_shared::subscription::Subscription;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::openapi::receiver_auth::ShownReceiverAuth;
use crate::openapi::values;

/// Whether deliveries are made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EndpointStatus)]
pub enum EndpointState {
    Active,
    Disabled,
}

/// Why it is disabled: by hand, after too many failures in a row, or because it answered 410.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DisabledReason)]
pub(super) enum DisabledReasonShown {
    Manual,
    ConsecutiveFailures,
    Gone,
}

/// The deliveries that come in order: all of the endpoint, or those of each `customer_id` at it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Order)]
pub enum OrderShown {
    Endpoint,
    CustomerId,
}

/// A webhook endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointBody {
    #[schema(value_type = values::Id)]
    id: EndpointId,
    #[schema(value_type = values::Id)]
    project_id: ProjectId,
    #[schema(value_type = values::EndpointUrl)]
    url: String,
    /// Null for an API key or a portal session without the scope `endpoints:write`.
    #[schema(value_type = Option<values::SigningSecret>, required)]
    signing_secret: Option<String>,
    status: EndpointState,
    #[schema(value_type = Vec<values::Subscription>)]
    events: Vec<Subscription>,
    /// Deliveries in a row that ended in failure; any success makes it 0.
    consecutive_failures: u32,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
    /// Null while it is active.
    #[schema(required)]
    disabled_reason: Option<DisabledReasonShown>,
    /// Null while it is active.
    #[schema(value_type = Option<values::Time>, required)]
    disabled_at: Option<String>,
    /// Its owner's own words.
    #[schema(required, max_length = 512)]
    description: Option<String>,
    /// Sent with each request beside those of the service. No value is ever shown.
    #[schema(value_type = values::MaskedHeaders)]
    headers: BTreeMap<String, &'static str>,
    /// The most requests it gets in a second; null is no limit.
    #[schema(required, minimum = 1, maximum = 1_000)]
    rate_limit_per_second: Option<u16>,
    /// Since when it does not answer: it gets an attempt now and then, and its other deliveries wait. Null while it answers.
    #[schema(value_type = Option<values::Time>, required)]
    hanging_since: Option<String>,
    /// Whether its deliveries come one after another: all of them, or those of each customer. Null is no order.
    #[schema(required)]
    ordered: Option<OrderShown>,
    /// Which events, of those that it is subscribed to, it gets; null is all.
    #[schema(value_type = Option<values::EventFilter>, required)]
    filter: Option<Box<RawValue>>,
    /// Whether attempts also carry an Ed25519 signature, by a key of the endpoint's own.
    ed25519: bool,
    /// The public half of that key, which verifies the newest `v1a` entry of `webhook-signature`. Null without such a key.
    #[schema(value_type = Option<values::PublicKey>, required)]
    public_key: Option<String>,
    /// From when on one more failed delivery disables it, unless one succeeds before. Null while one more failure is not enough.
    #[schema(value_type = Option<values::Time>, required)]
    disables_at: Option<String>,
    /// By which its receiver knows the service, beside the signature. The secret is never shown.
    #[schema(value_type = Option<ShownReceiverAuth>, required)]
    auth: Option<Auth<&'static str>>,
}

/// A new signing secret.
#[derive(Serialize, ToSchema)]
#[schema(as = NewSigningSecret)]
pub struct SecretBody {
    #[schema(value_type = values::SigningSecret)]
    signing_secret: String,
}

impl SecretBody {
    pub(super) fn of(secret: &SigningSecret) -> Self {
        Self { signing_secret: secret.expose().to_owned() }
    }
}

impl EndpointBody {
    /// `secret` is absent for a caller who does not get it.
    ///
    /// # Errors
    /// When a stored filter is not JSON.
    pub(super) fn new(
        app: &App,
        endpoint: Endpoint,
        secret: Option<&SigningSecret>,
    ) -> Result<Self, ApiError> {
        let filter = endpoint.filter.as_ref().map(|filter| RawValue::from_string(filter.as_str().to_owned()));
        let disables_at = app.settings.disable_rule.disables_at(&endpoint);
        let rate_limit_per_second = endpoint.rate_limit_per_second();
        Ok(Self {
            id: endpoint.id,
            project_id: endpoint.project_id,
            signing_secret: secret.map(|secret| secret.expose().to_owned()),
            url: endpoint.url,
            status: match endpoint.status {
                EndpointStatus::Active => EndpointState::Active,
                EndpointStatus::Disabled => EndpointState::Disabled,
            },
            events: endpoint.events,
            consecutive_failures: endpoint.state.consecutive_failures,
            created_at: endpoint.id.created_at().to_string(),
            updated_at: endpoint.updated_at.to_string(),
            disabled_reason: endpoint.disabled_reason.map(|reason| match reason {
                DisabledReason::Manual => DisabledReasonShown::Manual,
                DisabledReason::ConsecutiveFailures => DisabledReasonShown::ConsecutiveFailures,
                DisabledReason::Gone => DisabledReasonShown::Gone,
            }),
            disabled_at: endpoint.disabled_at.map(|at| at.to_string()),
            description: endpoint.description,
            headers: endpoint.headers.0.into_keys().map(|name| (name, MASK)).collect(),
            rate_limit_per_second,
            hanging_since: endpoint.state.hanging_since.map(|at| at.to_string()),
            ordered: endpoint.ordered.map(|order| match order {
                Order::Endpoint => OrderShown::Endpoint,
                Order::Customer => OrderShown::CustomerId,
            }),
            filter: filter.transpose().map_err(ApiError::internal)?,
            ed25519: endpoint.ed25519.is_some(),
            public_key: endpoint.ed25519.map(|pair| pair.public_key),
            disables_at: disables_at.map(|at| at.to_string()),
            auth: endpoint.auth.map(|auth| auth.with(MASK)),
        })
    }

    /// The endpoint, with its secret if the caller gets it.
    pub(super) async fn shown_to(app: &App, caller: &Caller, endpoint: Endpoint) -> Result<Self, ApiError> {
        if !caller.sees_secrets() {
            return Self::new(app, endpoint, None);
        }
        let secret = app.keys.open(|keys| keys.signing_secret_of(&endpoint)).await?;
        Self::new(app, endpoint, Some(&secret))
    }
}
