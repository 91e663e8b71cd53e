//! The delivery function: settings and clients once, then one batch of queue messages after another.

// Optimized builds lay out the whole of an invocation's future at once, and the SDK's calls are many layers deep in it.
#![recursion_limit = "256"]

use std::sync::Arc;

use delivery::{App, Config, SqsEvent};
use echo_shared::config::from_process;
use echo_shared::tls::Tls;
use echo_shared::{aws, logging};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), Error> {
    logging::init(from_process("RUST_LOG"));
    let config = Config::from_lookup(from_process).inspect_err(logging::refused)?;
    let tls = Tls::new().inspect_err(logging::refused)?;
    let sdk = aws::sdk_config(tls.client.clone()).await;
    let app = Arc::new(App::new(config, &sdk, &tls));
    let handler = service_fn(move |event: LambdaEvent<SqsEvent>| {
        let app = Arc::clone(&app);
        async move { delivery::handle(&app, event).await }
    });
    // A task of its own: the future that tokio blocks on is polled only after another look at the kernel.
    tokio::task::spawn_local(lambda_runtime::run(handler)).await?
}
