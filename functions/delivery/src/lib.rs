//! Makes the signed deliveries, and takes events in, from five SQS queues.
//!
//! In reading order: [`sqs_event`] is the invocation as Lambda hands it over, and `batch` takes each record by itself. `turn`
//! is one job's whole turn: `echo_shared::decision` decides it. `sender` makes the request. `replay_step` is one step
//! of trying many deliveries again, `erasure_step` one of erasing a project, `reseal_step` one of the sweep under a new
//! key, `streams` keeps the order of ordered endpoints, `intake` accepts events, and `dead_letters` ends the deliveries
//! that failed in every other way. `coalescer` joins requests of one batch, `message` hides messages, `lanes` moves
//! jobs between queues, `notices` tells the `operator` and a project's own endpoints, `metrics` counts for the
//! operator, and `stats` for an endpoint's owner.

mod batch;
mod coalescer;
mod config;
mod dead_letters;
mod erasure_step;
mod intake;
mod lanes;
mod message;
mod metrics;
mod notices;
mod operator;
mod own_fault;
mod replay_step;
mod reseal_step;
mod sender;
pub mod sqs_event;
mod stats;
mod steps;
mod streams;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use echo_shared::accept::Sinks;
use echo_shared::queue::{self, Queue};
use echo_shared::sealing::Keyring;
use echo_shared::store::{self, Budgets, StatsWriter, Store};
use echo_shared::time::Timestamp;
use echo_shared::tls::Tls;
use lambda_runtime::{Error, LambdaEvent};
use tokio::time::Instant;
use tracing::Instrument;

pub use self::config::Config;
use self::config::Settings;
use self::lanes::Crowding;
use self::operator::Operator;
use self::sender::Sender;
pub use self::sqs_event::{BatchResponse, SqsEvent};

/// The function's timeout in template.yaml.
const USUAL_TIME: Duration = Duration::from_secs(30);

/// Everything that lives as long as the process.
#[derive(Debug)]
pub struct App {
    store: Store,
    budgets: Budgets,
    /// None where the operator wants no hourly counts.
    stats: Option<StatsWriter>,
    queues: Queues,
    keys: Keyring,
    sender: Sender,
    settings: Settings,
    crowding: Crowding,
    operator: Operator,
}

/// The queues, by their use.
#[derive(Debug)]
struct Queues {
    first_attempts: Queue,
    retries: Queue,
    slow_endpoints: Queue,
    dead_letters: Queue,
    parked: Queue,
    intake: Queue,
}

impl App {
    /// `tls` is for the receivers.
    #[must_use]
    pub fn new(config: Config, sdk: &aws_config::SdkConfig, tls: &Tls) -> Self {
        let sqs = queue::client(sdk);
        let queue = |url| Queue::new(sqs.clone(), url);
        let (timeout, addresses) = (config.settings.request_timeout, config.settings.addresses.clone());
        let dynamodb = store::client(sdk);
        let Settings { hourly_statistics, retention, .. } = config.settings;
        let stats = || StatsWriter::new(&dynamodb, config.tables.stats.clone(), retention);
        Self {
            stats: hourly_statistics.then(stats),
            store: Store::new(dynamodb.clone(), config.tables),
            budgets: Budgets::new(dynamodb, config.budgets_table, config.settings.limits),
            queues: Queues {
                first_attempts: queue(config.queue_urls.first_attempts),
                retries: queue(config.queue_urls.retries),
                slow_endpoints: queue(config.queue_urls.slow_endpoints),
                dead_letters: queue(config.queue_urls.dead_letters),
                parked: queue(config.queue_urls.parked),
                intake: queue(config.queue_urls.intake),
            },
            keys: Keyring::new(sdk, config.sealing_keys_arn),
            sender: Sender::new(timeout, addresses, tls),
            operator: Operator::new(config.operator_project_id, config.operational_bus, sdk),
            settings: config.settings,
            crowding: Crowding::default(),
        }
    }

    /// Where accepted events go.
    const fn sinks(&self) -> Sinks<'_> {
        Sinks {
            store: &self.store,
            first_attempts: &self.queues.first_attempts,
            slow_endpoints: &self.queues.slow_endpoints,
            request_timeout: self.settings.request_timeout,
        }
    }
}

/// Handles one invocation. The answer names the messages that stay in their queue.
///
/// # Errors
/// Never: a fault keeps the messages that it concerns in their queue.
pub async fn handle(app: &Arc<App>, event: LambdaEvent<SqsEvent>) -> Result<BatchResponse, Error> {
    let time_left = time_left(Timestamp::from_millis(event.context.deadline.cast_signed()), Timestamp::now());
    let request_id = event.context.request_id;
    let span = tracing::info_span!("batch", request_id);
    let batch = batch::handle(app, event.payload.records, &request_id, Instant::now() + time_left);
    Ok(batch.instrument(span).await)
}

/// How long the invocation may still run. `cargo lambda` gives a deadline in the past, which Lambda never does.
fn time_left(deadline: Timestamp, now: Timestamp) -> Duration {
    let left = deadline.since(now);
    if left.is_zero() { USUAL_TIME } else { left }
}

#[cfg(test)]
impl App {
    /// Without a region or credentials, every call to AWS fails at once.
    fn cut_off() -> Self {
        let lookup = |name: &str| match name {
            "TABLES_PREFIX" => Some("cut-off-".to_owned()),
            "API_ENDPOINT" => Some("https://api.example".to_owned()),
            "SEALING_KEYS_ARN" => Some("arn:keys".to_owned()),
            name if name.ends_with("_QUEUE_URL") => Some(format!("https://sqs.example/1/{name}")),
            _ => None,
        };
        let config = Config::from_lookup(lookup).expect("settings");
        let version = aws_config::BehaviorVersion::v2026_01_12();
        let sdk = aws_config::SdkConfig::builder().behavior_version(version).build();
        Self::new(config, &sdk, &echo_shared::tls::Tls::new().expect("root certificates"))
    }
}
