//! Tells the operator of a change at an endpoint (`echo_shared::operational`): by an ordinary event of the operator's own
//! project, which is durable, signed and retried like any other, and by an event on an EventBridge bus.
//! The operator is told before `uncounted` is removed from the delivery's row, so after a crash the same event, with the
//! same id, is told again. (Rejected: a queue or stream of its own. Its events would need everything that deliveries
//! already have.)

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::StalledStreamProtectionConfig;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use echo_shared::accept::{AcceptError, accept};
use echo_shared::aws::Failure;
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::event::{Event, EventContent};
use echo_shared::id::ProjectId;
use echo_shared::operational::{Kind, Notice};
use echo_shared::shards::Shard;
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;

use crate::App;
use crate::own_fault::OwnFault;

/// The `source` of events on the bus.
const SOURCE: &str = "echo-webhooks";

/// Where operational events go. By default they go nowhere.
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

    /// Whether operational events are made for this project's endpoints. None are made for the operator's own endpoints: a
    /// failed delivery of an operational event would cause the next event.
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

/// Sends an operational event, if the settings ask for it. Sent again, it is the same event.
///
/// # Errors
/// When it is not certain that the event was sent: it has to be sent again.
pub(crate) async fn tell(
    app: &App,
    kind: Kind,
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
) -> Result<(), OwnFault> {
    if !app.operator.hears_of(&delivery.project_id) {
        return Ok(());
    }
    let notice = Notice::new(kind, delivery, endpoint, &app.settings.stack_name)
        .map_err(|error| StoreError::Broken(Failure::of(error)))?;
    if let Some(project_id) = app.operator.project_id {
        accept_in(app, project_id, &notice).await?;
    }
    if let Some(bus) = &app.operator.bus {
        bus.put(&notice).await?;
    }
    tracing::info!(event = kind.name(), "the operator was told");
    Ok(())
}

async fn accept_in(app: &App, project_id: ProjectId, notice: &Notice) -> Result<(), OwnFault> {
    let Some(routes) = app.store.routes(&project_id, Shard::FIRST).await? else {
        tracing::warn!(event = notice.kind.name(), %project_id, "OperatorProjectId names no project: no webhook tells the operator");
        return Ok(());
    };
    if routes.endpoints.is_empty() {
        tracing::warn!(event = notice.kind.name(), %project_id, "OperatorProjectId has no endpoint: no webhook tells the operator");
    }
    let (id, now) = (notice.event_id, Timestamp::now());
    let name = notice.kind.event_name();
    let content = EventContent { name, customer_id: None, notification_id: None, data: &notice.data };
    let event = Event::accept(project_id, id, &content, &routes, now, app.settings.retention);
    // The id alone identifies the event: its details may have changed when it is sent again.
    let event = Event { content_hash: id.to_string(), ..event };
    match accept(app.sinks(), event, &routes, now).await {
        Ok(_) | Err(AcceptError::Erased) => Ok(()),
        Err(AcceptError::Conflict { .. }) => {
            tracing::error!(event_id = %id, "an event of the operator's project has the id of an operational event");
            Ok(())
        }
        Err(error) => Err(OwnFault::NotAccepted(error)),
    }
}

impl Bus {
    async fn put(&self, notice: &Notice) -> Result<(), OwnFault> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(notice.kind.name())
            .detail(notice.data.get())
            .build();
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.map_err(|error| OwnFault::Bus(Failure::of_call(error)))?;
        match answer.entries().iter().find_map(|entry| entry.error_code()) {
            Some(code) => Err(OwnFault::Bus(code.into())),
            None => Ok(()),
        }
    }
}
