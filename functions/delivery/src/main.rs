//! The delivery function: settings and clients once, then one batch of queue messages after another.

// Optimized builds lay out the whole of an invocation's future at once, and the SDK's calls are many layers deep in it.
#![recursion_limit = "256"]

use std::sync::Arc;

use aws_config::BehaviorVersion;
use delivery::{App, Config, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(EnvFilter::from_default_env())
        .init();
    let config = Config::from_lookup(echo_shared::config::from_process)?;
    let sdk = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let app = Arc::new(App::new(config, &sdk)?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| delivery::handle(&app, event))).await
}
