//! Tells the operator what became of an endpoint (`echo_shared::operational`): as an ordinary event of the operator's own
//! project, durable, signed and retried like any other, and on an EventBridge bus.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::StalledStreamProtectionConfig;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use echo_shared::accept::{AcceptError, accept};
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::event::{Event, EventContent};
use echo_shared::id::ProjectId;
use echo_shared::operational::{self, Kind};
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;

use crate::App;
use crate::own_fault::OwnFault;

/// Who put an event on the bus.
const SOURCE: &str = "echo-webhooks";

/// Who wants to be told; by default no one.
#[derive(Debug)]
pub(crate) struct Operator {
    project_id: Option<ProjectId>,
    bus: Option<Bus>,
}

#[derive(Debug)]
struct Bus {
    client: Client,
    name: String,
}

impl Operator {
    pub(crate) fn new(
        project_id: Option<ProjectId>,
        bus_name: Option<String>,
        sdk: &aws_config::SdkConfig,
    ) -> Self {
        Self { project_id, bus: bus_name.map(|name| Bus { client: client(sdk), name }) }
    }

    /// Whether anyone is told of this project's endpoints. Nothing is told of the operator's own: a failed delivery of an
    /// operational event would cause the next.
    pub(crate) fn hears_of(&self, project_id: &ProjectId) -> bool {
        (self.project_id.is_some() || self.bus.is_some()) && self.project_id != Some(*project_id)
    }
}

/// A client whose repeats fit a function's time. Two copies of an operational event do no harm.
fn client(sdk: &aws_config::SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(5))
        .build();
    let config = aws_sdk_eventbridge::config::Builder::from(sdk)
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// Tells an operational event, if anyone wants to hear it. Told again, it is the same event.
///
/// # Errors
/// When it is not certain to have been told: it has to be told again.
pub(crate) async fn tell(
    app: &App,
    kind: Kind,
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
) -> Result<(), OwnFault> {
    if !app.operator.hears_of(&delivery.project_id) {
        return Ok(());
    }
    let data =
        operational::data(kind, delivery, endpoint).map_err(|error| StoreError::Broken(error.to_string()))?;
    if let Some(project_id) = app.operator.project_id {
        let content =
            EventContent { name: kind.event_name(), customer_id: None, notification_id: None, data: &data };
        accept_in(app, project_id, kind, delivery, &content).await?;
    }
    if let Some(bus) = &app.operator.bus {
        bus.put(kind, data.get()).await?;
    }
    tracing::info!(event = kind.name(), "the operator was told");
    Ok(())
}

async fn accept_in(
    app: &App,
    project_id: ProjectId,
    kind: Kind,
    delivery: &Delivery,
    content: &EventContent<'_>,
) -> Result<(), OwnFault> {
    let endpoints = app.store.endpoints(&project_id).await?;
    if endpoints.is_empty() {
        // An id that names no project looks the same.
        tracing::warn!(event = kind.name(), %project_id, "OperatorProjectId has no endpoint: no webhook tells the operator");
    }
    let (id, now) = (kind.event_id(delivery), Timestamp::now());
    let event = Event::accept(project_id, id, content, &endpoints, now, app.settings.retention);
    // Its id alone says what it is: details may have changed when it is told again.
    let event = Event { content_hash: id.to_string(), ..event };
    match accept(app.places(), event, &endpoints, now).await {
        Ok(_) => Ok(()),
        Err(AcceptError::Conflict { .. }) => {
            tracing::error!(event_id = %id, "an event of the operator's has the id of an operational one");
            Ok(())
        }
        Err(error) => Err(OwnFault::NotAccepted(error)),
    }
}

impl Bus {
    async fn put(&self, kind: Kind, data: &str) -> Result<(), OwnFault> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(kind.name())
            .detail(data)
            .build();
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.map_err(|error| OwnFault::Bus(DisplayErrorContext(error).to_string()))?;
        match answer.entries().iter().find_map(|entry| entry.error_code()) {
            Some(code) => Err(OwnFault::Bus(code.to_owned())),
            None => Ok(()),
        }
    }
}
