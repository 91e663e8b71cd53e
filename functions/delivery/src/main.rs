//! The delivery function: settings and clients once, then one batch of queue messages after another.

// Optimized builds lay out the whole of an invocation's future at once, and the SDK's calls are many layers deep in it.
#![recursion_limit = "256"]

use std::sync::Arc;

use delivery::{App, Config, SqsEvent};
use echo_shared::config::from_process;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    init_logging();
    let config = Config::from_lookup(from_process)?;
    let sdk = echo_shared::aws::sdk_config().await;
    let app = Arc::new(App::new(config, &sdk)?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| delivery::handle(&app, event))).await
}

/// One JSON object a line, at the levels of `RUST_LOG`: `info`, or `info,aws_config=debug`.
fn init_logging() {
    let levels = from_process("RUST_LOG").and_then(|levels| levels.parse::<Targets>().ok());
    let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(Level::INFO));
    tracing_subscriber::registry().with(lines).with(levels).init();
}
