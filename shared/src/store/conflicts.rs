//! A PutItem, UpdateItem or DeleteItem that meets a transaction on its row is refused, and the SDK does not repeat it
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html, "Transaction conflict handling"). Owners
//! change endpoints in transactions while deliveries write to the same rows, and a producer may post an `event_id` again while
//! the payload of that event is erased. A refused write was not made, so the client repeats it.
//!
//! A statement of a batch is refused with a code of its own, `TransactionConflict`. [`super::inserts`] writes such a
//! row again by itself; a deletion fails, and its caller repeats it.

use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::interceptors::context::Error;

#[derive(Debug)]
pub(super) struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(|output| output.err());
        let error = error.and_then(|error| error.as_operation_error());
        if error.is_some_and(met_a_transaction) {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}

fn met_a_transaction(error: &Error) -> bool {
    error.downcast_ref().is_some_and(UpdateItemError::is_transaction_conflict_exception)
        || error.downcast_ref().is_some_and(PutItemError::is_transaction_conflict_exception)
        || error.downcast_ref().is_some_and(DeleteItemError::is_transaction_conflict_exception)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_sdk_dynamodb::Client;
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

    /// How many requests a write makes whose first is refused with this code, and whether it succeeds.
    async fn refused_once(code: &'static str, write: impl AsyncFn(Client) -> bool) -> (usize, bool) {
        let connector = OnceRefused(Arc::new(Mutex::new(Some(code))), Arc::default());
        let (requests, shared) = (Arc::clone(&connector.1), SharedHttpConnector::new(connector));
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client_fn(move |_, _| shared.clone()))
            .build();
        let is_done = write(crate::store::client(&config)).await;
        (requests.load(Ordering::Relaxed), is_done)
    }

    #[tokio::test]
    async fn a_write_that_met_a_transaction_is_repeated_and_a_refused_one_is_not() {
        for (code, expected) in
            [("TransactionConflictException", (2, true)), ("ConditionalCheckFailedException", (1, false))]
        {
            let put = async |client: Client| client.put_item().table_name("events").send().await.is_ok();
            let update =
                async |client: Client| client.update_item().table_name("endpoints").send().await.is_ok();
            let delete =
                async |client: Client| client.delete_item().table_name("sessions").send().await.is_ok();
            assert_eq!(refused_once(code, put).await, expected, "{code}");
            assert_eq!(refused_once(code, update).await, expected, "{code}");
            assert_eq!(refused_once(code, delete).await, expected, "{code}");
        }
    }
}
