//! Builds AWS clients over the SDK's own HTTP client, one for all services.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector, http_client_fn};
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(2)).build();
    let connector =
        Connector::builder().connector_settings(settings).tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    let connector = SharedHttpConnector::new(connector.build());
    let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .load()
        .await;
    echo_baselines::build_clients_and_answer(sdk).await
}
