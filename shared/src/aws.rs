//! What the AWS clients have in common.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector, http_client_fn};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Region, credentials, and one HTTP client for all services, complete before the first call. The SDK's own makes one
/// for each service and again for its first call, and each reads all the system's root certificates.
pub async fn sdk_config() -> SdkConfig {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector =
        Connector::builder().connector_settings(settings).tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    let connector = SharedHttpConnector::new(connector.build());
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .load()
        .await
}
