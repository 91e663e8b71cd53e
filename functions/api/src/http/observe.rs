//! The outermost layer: a request's id, its log line, and an answer even if the code below panics.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use echo_shared::id::{AccountId, EventId};
use futures_util::FutureExt;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use tokio::time::Instant;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use crate::error::{ApiError, OverBudget};
use crate::http::request::caller_address;

/// The event of a request and whether it was new, for the log line. Its handler puts it on the answer.
#[derive(Debug, Clone, Copy)]
pub struct AcceptedEvent {
    pub id: EventId,
    pub duplicate: bool,
}

/// When the request came, for a handler that has to answer in time.
#[derive(Debug, Clone, Copy)]
pub struct Began(pub Instant);

/// The events of a batch, for the log line.
#[derive(Debug, Clone, Default)]
pub struct AcceptedBatch {
    /// Those that are durable.
    pub event_ids: Vec<EventId>,
    /// How many of them are no duplicates.
    pub new: usize,
    pub over_budget: usize,
}

/// A browser that has reached the console or the API once uses no plain HTTP for a year (RFC 6797). The header names no other
/// hosts, because a custom domain may have subdomains of somebody else's.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Notes, for the line of the request, the account in whose name it is made.
pub fn note_account(id: &AccountId) {
    Span::current().record("by_account", field::display(id));
}

/// The outermost layer.
pub async fn observe(State(stack_name): State<Arc<str>>, request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let span = tracing::info_span!(
        "request",
        request_id = id,
        project_id = field::Empty,
        event_id = field::Empty,
        endpoint_id = field::Empty,
        delivery_id = field::Empty,
        replay_id = field::Empty,
        api_key_id = field::Empty,
        portal_link_id = field::Empty,
        by_key = field::Empty,
        by_account = field::Empty,
        by_portal_link = field::Empty,
    );
    let mut response = answer(&stack_name, request, next).instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    response
}

async fn answer(stack_name: &str, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    request.extensions_mut().insert(Began(started));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // For the audit of a change: its maker is in the span, and the caller's address on the line.
    let from = caller_address(request.extensions()).filter(|_| !method.is_safe());
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = response.unwrap_or_else(|panic| ApiError::internal(panic_text(&*panic)).into_response());
    let event = response.extensions().get::<AcceptedEvent>();
    if let Some(event) = event {
        Span::current().record("event_id", field::display(event.id));
    }
    let batch = response.extensions().get::<AcceptedBatch>();
    // A mark that is absent is not written. A metric filter in template.yaml makes the metric `Accepted` of this line, for
    // 37 bytes a line. (Rejected: the embedded metric format, for 180.)
    let new = usize::from(event.is_some_and(|event| !event.duplicate)) + batch.map_or(0, |batch| batch.new);
    // Likewise the metric `OverBudget`.
    let is_over_budget = response.extensions().get::<OverBudget>().is_some();
    let over_budget = usize::from(is_over_budget) + batch.map_or(0, |batch| batch.over_budget);
    tracing::info!(
        method = method.as_str(),
        from = from.map(field::display),
        route = route.as_ref().map_or("none", MatchedPath::as_str),
        status = response.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        accepted = (new > 0).then_some(new),
        over_budget = (over_budget > 0).then_some(over_budget),
        stack = (new + over_budget > 0).then_some(stack_name),
        event_ids = batch.map(|batch| format!("{:?}", batch.event_ids)),
        duplicate = event.filter(|event| event.duplicate).map(|event| event.duplicate),
        "request answered"
    );
    response
}

/// API Gateway's id, so that its access log and this log can be joined. Without the gateway, an id of the service's own.
fn request_id(request: &Request) -> String {
    let gateway = match request.extensions().request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    let lambda = || request.extensions().lambda_context_ref().map(|context| context.request_id.clone());
    let is_usable = |id: &String| !id.is_empty() && HeaderValue::from_str(id).is_ok();
    gateway.filter(is_usable).or_else(lambda).filter(is_usable).unwrap_or_else(|| Uuid::new_v4().to_string())
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn fail() {
        panic!("the cause");
    }

    #[tokio::test]
    async fn a_panic_is_answered_like_any_fault_of_ours() {
        let router: Router =
            Router::new().route("/", get(fail)).layer(from_fn_with_state(Arc::from("my-stack"), observe));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains(r#""error":"Internal Server Error""#) && !text.contains("the cause"), "{text}");
    }
}
