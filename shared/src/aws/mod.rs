//! The parts that all AWS clients share: configuration, HTTP client, and the account of a failed call.

mod connector;
mod failure;

pub use self::failure::Failure;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};
use rustls::ClientConfig;

use self::connector::Connector;

/// Region, credentials, and one HTTP client for all services. All of it is complete before the first call.
///
/// Lambda gives a function its role's credentials in the environment
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>). The SDK's default
/// chain would build all other sources too, with a client of STS: a fifteenth of a cold start.
pub async fn sdk_config(tls: ClientConfig) -> SdkConfig {
    let defaults = aws_config::defaults(BehaviorVersion::v2026_01_12());
    defaults
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .http_client(http_client(tls))
        // Each client has timeouts, which are enough. Counting every byte would cost a twentieth of each call's processor time.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await
}

fn http_client(tls: ClientConfig) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector::new(tls));
    http_client_fn(move |_, _| connector.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn answer_all(mut stream: TcpStream, status: &str) {
        let mut request = Vec::new();
        while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
            if !request.ends_with(b"{}") {
                continue;
            }
            request.clear();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_answers_with_faults_is_left_for_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
                tokio::spawn(answer_all(stream, if is_first { "500 Fault" } else { "200 OK" }));
            }
        });
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(url)
            .http_client(http_client(crate::tls::Tls::new().expect("root certificates").client))
            .build();
        let dynamodb = crate::store::client(&config);
        for _ in 0..3 {
            dynamodb.list_tables().send().await.expect("an answer by another server");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    }
}
