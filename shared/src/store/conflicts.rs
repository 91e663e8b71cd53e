//! A write of one row that meets a transaction on the row is refused, and the SDK does not repeat it
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html, "Transaction conflict handling"). Owners
//! change endpoints in transactions while deliveries write to the same rows, so the client repeats such a write.

use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

#[derive(Debug)]
pub(super) struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(|output| output.err());
        let error = error.and_then(|error| error.as_operation_error());
        match error.and_then(|error| error.downcast_ref()) {
            Some(UpdateItemError::TransactionConflictException(_)) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    /// Answers the first request with an error, and the others with nothing wrong.
    #[derive(Debug, Clone)]
    struct OnceRefused(Arc<Mutex<Option<&'static str>>>, Arc<AtomicUsize>);

    impl HttpConnector for OnceRefused {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            self.1.fetch_add(1, Ordering::Relaxed);
            let refused = self.0.lock().expect("no panic").take();
            let status = StatusCode::try_from(if refused.is_some() { 400 } else { 200 }).expect("a status");
            let body = refused.map_or("{}".to_owned(), |code| format!(r#"{{"__type": "{code}"}}"#));
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
        }
    }

    /// How many requests an update makes whose first is refused with this code, and whether it succeeds.
    async fn update(code: &'static str) -> (usize, bool) {
        let connector = OnceRefused(Arc::new(Mutex::new(Some(code))), Arc::default());
        let (requests, shared) = (Arc::clone(&connector.1), SharedHttpConnector::new(connector));
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client_fn(move |_, _| shared.clone()))
            .build();
        let client = crate::store::client(&config);
        let updated = client.update_item().table_name("endpoints").send().await;
        (requests.load(Ordering::Relaxed), updated.is_ok())
    }

    #[tokio::test]
    async fn a_write_that_met_a_transaction_is_repeated_and_a_refused_one_is_not() {
        assert_eq!(update("TransactionConflictException").await, (2, true));
        assert_eq!(update("ConditionalCheckFailedException").await, (1, false));
    }
}
