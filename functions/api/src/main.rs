//! The api function's entry point: settings, clients, then requests until Lambda stops it.

use std::sync::Arc;

use api::app::App;
use api::config::Config;
use echo_shared::config::from_process;
use echo_shared::tls::Tls;
use echo_shared::{aws, logging};
use tower::util::MapRequestLayer;

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), lambda_http::Error> {
    logging::init(from_process("RUST_LOG"));
    let config = Config::from_lookup(from_process).inspect_err(logging::refused)?;
    let sdk = aws::sdk_config(Tls::new().inspect_err(logging::refused)?.client).await;
    let app = Arc::new(App::new(config, &sdk));
    let tidied = MapRequestLayer::new(api::http::gateway::tidy);
    let handler = lambda_http::Adapter::from(api::router::router(app));
    let runtime = lambda_http::lambda_runtime::Runtime::new(handler).layer(tidied);
    // A task of its own: the future that tokio blocks on is polled only after another look at the kernel.
    tokio::task::spawn_local(runtime.run()).await?
}
