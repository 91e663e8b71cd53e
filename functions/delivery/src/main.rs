//! The delivery function: settings and clients once, then one batch of queue messages after another.

// Optimized builds lay out the whole of an invocation's future at once, and the SDK's calls are many layers deep in it.
#![recursion_limit = "256"]

use std::sync::Arc;

use aws_config::BehaviorVersion;
use delivery::{App, Config, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tracing_subscriber::EnvFilter;

/// One thread for each record of a batch and some to spare: hyper reads `100 Continue` as fast as a receiver sends it,
/// without giving way, and whoever does that must not hold up the others.
#[tokio::main(flavor = "multi_thread", worker_threads = 12)]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(EnvFilter::from_default_env().add_directive("rustls_platform_verifier=off".parse()?))
        .init();
    let config = Config::from_lookup(echo_shared::config::from_process)?;
    let sdk = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let app = Arc::new(App::new(config, &sdk)?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| delivery::handle(&app, event))).await
}
