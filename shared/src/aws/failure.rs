//! A failed call to AWS, as our log may show it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;

/// Why a call failed. Its text has the code, the message and the request id of AWS's answer. The text never has the answer's
/// body, and `Debug` shows the text alone: an SDK error's own `Debug` prints the body, and that can hold a tenant's row.
#[derive(Clone)]
pub struct Failure {
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Why a call to AWS failed.
    pub fn of_call<E>(error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let text = match &error {
            SdkError::ServiceError(answer) => {
                let code = error.code().unwrap_or("an error without a code");
                let status = answer.raw().status().as_u16();
                let request_id = error.request_id().unwrap_or("none");
                let message = error.message().unwrap_or("no message");
                format!("{code} (HTTP {status}, request id {request_id}): {message}")
            }
            _ => chain(&error),
        };
        Self { text, source: Some(Arc::new(error)) }
    }

    /// Why something went wrong on our side of a call.
    pub fn of(error: impl Error + Send + Sync + 'static) -> Self {
        Self { text: chain(&error), source: Some(Arc::new(error)) }
    }
}

/// The texts of an error and of all its sources.
fn chain(error: &(dyn Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |error| (*error).source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, source: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use crate::id::{EndpointId, ProjectId};
    use crate::queue::Queue;
    use crate::store::{Store, StoreError, Tables};
    use crate::time::Timestamp;

    use super::*;

    /// A secret that no log may show.
    const SECRET: &str = "whsec_never_in_a_log";

    /// Answers each request with one status and body.
    #[derive(Debug, Clone, Copy)]
    struct Canned(u16, &'static str);

    impl HttpConnector for Canned {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let status = StatusCode::try_from(self.0).expect("a status");
            let mut answer = HttpResponse::new(status, SdkBody::from(self.1));
            answer.headers_mut().insert("x-amzn-requestid", "R7");
            HttpConnectorFuture::ready(Ok(answer))
        }
    }

    impl Canned {
        fn config(self) -> SdkConfig {
            let credentials = Credentials::new("id", "secret", None, None, "test");
            SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::new("us-east-1"))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(self)))
                .build()
        }

        async fn read_endpoint(self) -> StoreError {
            let tables = Tables::of("");
            let store = Store::new(crate::store::client(&self.config()), tables);
            let now = Timestamp::from_millis(1_776_009_119_499);
            store.endpoint(&ProjectId::new(now), &EndpointId::new(now)).await.expect_err("a failed call")
        }
    }

    /// All that a log could show of an error.
    fn shown(error: &(dyn Error + 'static)) -> String {
        format!("{error:?} {}", chain(error))
    }

    #[tokio::test]
    async fn an_answers_code_message_and_request_id_are_shown_and_its_body_is_not() {
        let body = r#"{"__type": "com.amazon.coral#ValidationException", "message": "too long",
            "Item": {"signing_secret": {"S": "whsec_never_in_a_log"}}}"#;
        let error = Canned(400, body).read_endpoint().await;
        assert!(matches!(error, StoreError::Broken(_)), "{error}");
        assert!(
            error.to_string().ends_with("ValidationException (HTTP 400, request id R7): too long"),
            "{error}"
        );
        assert!(!shown(&error).contains(SECRET), "{}", shown(&error));
        let source = error.source().and_then(Error::source).expect("the SDK's own error");
        assert!(source.is::<SdkError<aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError>>());
    }

    #[tokio::test]
    async fn an_answer_that_nobody_can_read_is_not_shown() {
        let body = r#"{"Item": {"signing_secret": {"S": "whsec_never_in_a_log"}, "#;
        let error = Canned(200, body).read_endpoint().await;
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(!shown(&error).contains(SECRET), "{}", shown(&error));
    }

    #[tokio::test]
    async fn a_queues_answer_is_shown_without_its_body() {
        let body = r#"{"__type": "com.amazonaws.sqs#InvalidMessageContents", "message": "not allowed",
            "MessageBody": "whsec_never_in_a_log"}"#;
        let client = crate::queue::client(&Canned(400, body).config());
        let queue = Queue::new(client, "https://sqs.us-east-1.amazonaws.com/123456789012/queue".to_owned());
        let error = queue.send_text("text", &[]).await.expect_err("a failed call");
        let text = error.to_string();
        assert!(text.ends_with("InvalidMessageContents (HTTP 400, request id R7): not allowed"), "{text}");
        assert!(!shown(&error).contains(SECRET), "{}", shown(&error));
        assert!(error.source().and_then(Error::source).is_some());
    }
}
