//! Where the operator is told of operational events: in a project of the operator's, and on an EventBridge bus
//! (`crate::notices`).

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use echo_shared::aws::Failure;
use echo_shared::id::ProjectId;
use echo_shared::notice::Notice;

use crate::own_fault::OwnFault;

/// The `source` of events on the bus.
const SOURCE: &str = "echo-webhooks";

/// Where operational events go. By default they go nowhere.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) project_id: Option<ProjectId>,
    pub(crate) bus: Option<Bus>,
}

#[derive(Debug)]
pub(crate) struct Bus {
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

    /// Whether the operator is told of this project's endpoints. The operator's own endpoints are left out: a failed
    /// delivery of an operational event would cause the next event.
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
        .build();
    Client::from_conf(config)
}

impl Bus {
    pub(crate) async fn put(&self, notice: &Notice) -> Result<(), OwnFault> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(notice.kind.name())
            .detail(&notice.data)
            .build();
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.map_err(|error| OwnFault::Bus(Failure::of_call(error)))?;
        match answer.entries().iter().find_map(|entry| entry.error_code()) {
            Some(code) => Err(OwnFault::Bus(code.into())),
            None => Ok(()),
        }
    }
}
