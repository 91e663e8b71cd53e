//! Every answer that refuses or fails, in the contract's one shape (§1); the only place with their status codes.

mod causes;

use std::borrow::Cow;
use std::fmt;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use echo_shared::api_key::Beyond;
use echo_shared::scope::Scope;
use echo_shared::store::Spent;
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// How long a caller waits before it sends a request again that failed for a passing reason.
const RETRY_AFTER_SECONDS: u64 = 2;

#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: Cow<'static, str>,
    retry_after_seconds: Option<u64>,
    /// For our own log; never shown.
    cause: Option<String>,
    is_over_budget: bool,
}

/// On the answer to a request that was over its project's budget, for the log.
#[derive(Debug, Clone, Copy)]
pub struct OverBudget;

/// The body of every refusal and failure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Error)]
pub struct ErrorBody<'a> {
    /// The status again.
    #[schema(minimum = 400, maximum = 599)]
    status_code: u16,
    /// For people. Names the field and the allowed values.
    #[schema(min_length = 1)]
    message: &'a str,
    /// The status in words.
    error: &'static str,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after_seconds: None,
            cause: None,
            is_over_budget: false,
        }
    }

    fn too_many(message: &'static str, retry_after_seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    fn unauthenticated(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    #[must_use]
    pub fn credential_missing() -> Self {
        Self::unauthenticated("A credential is required: the header x-api-key, or a bearer access token")
    }

    #[must_use]
    pub fn api_key_refused() -> Self {
        Self::unauthenticated("The API key is malformed, unknown, revoked or expired")
    }

    #[must_use]
    pub fn access_token_refused() -> Self {
        Self::unauthenticated(
            "The access token is malformed, expired, not an access token, or its session has ended",
        )
    }

    #[must_use]
    pub fn refresh_token_refused() -> Self {
        Self::unauthenticated(
            "authorization must be Bearer and a refresh token that has not expired and whose session has not ended",
        )
    }

    #[must_use]
    pub fn session_token_refused() -> Self {
        Self::unauthenticated("authorization must be Bearer and a token of a session that has not ended")
    }

    #[must_use]
    pub fn portal_session_refused() -> Self {
        Self::unauthenticated("The portal session has ended, or its token is malformed or unknown")
    }

    #[must_use]
    pub fn portal_code_refused() -> Self {
        Self::unauthenticated("The link is incomplete or unknown, or it has been ended; ask for another one")
    }

    #[must_use]
    pub fn portal_code_used() -> Self {
        Self::unauthenticated("The link has been used, and it works once; ask for another one")
    }

    #[must_use]
    pub fn portal_code_expired() -> Self {
        Self::unauthenticated("The link has expired; ask for another one")
    }

    #[must_use]
    pub fn too_many_portal_tries(retry_after_seconds: u64) -> Self {
        Self::too_many("Too many tries of this link; try again later", retry_after_seconds)
    }

    #[must_use]
    pub fn reset_token_refused() -> Self {
        Self::unauthenticated(
            "The reset token is malformed, expired or used, or the password has been changed",
        )
    }

    #[must_use]
    pub fn access_token_needed() -> Self {
        Self::unauthenticated(
            "An access token is needed here (authorization: Bearer <token>); an API key is not enough",
        )
    }

    #[must_use]
    pub fn login_refused() -> Self {
        Self::unauthenticated("The e-mail or the password is wrong")
    }

    /// A 401 would say that the caller's own token is refused.
    #[must_use]
    pub fn current_password_wrong() -> Self {
        Self::invalid("current_password must be the account's present password")
    }

    /// As [`Self::current_password_wrong`], where the field has another name.
    #[must_use]
    pub fn password_wrong() -> Self {
        Self::invalid("password must be the account's present password")
    }

    #[must_use]
    pub fn signup_token_refused() -> Self {
        Self::unauthenticated(
            "The header x-signup-token is missing or wrong; the operator of this service has it",
        )
    }

    #[must_use]
    pub fn signup_closed() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Sign-up is closed")
    }

    #[must_use]
    pub fn foreign_project() -> Self {
        Self::new(StatusCode::FORBIDDEN, "The credential is not valid for this project")
    }

    #[must_use]
    pub fn scope_missing(scope: Scope) -> Self {
        Self::new(StatusCode::FORBIDDEN, format!("The API key lacks the scope {scope}"))
    }

    #[must_use]
    pub fn outside_the_portal(scope: Scope) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            format!("The portal link does not open this; it lacks the scope {scope}"),
        )
    }

    #[must_use]
    pub fn not_in_the_portal() -> Self {
        Self::new(StatusCode::FORBIDDEN, "A portal link does not open this")
    }

    /// A link would open more than the key that makes it.
    #[must_use]
    pub fn link_beyond_maker(scope: Scope) -> Self {
        let message = format!("The API key lacks the scope {scope}, so it makes no link that opens it");
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// A key would reach further than the key that makes it.
    #[must_use]
    pub fn beyond_maker(beyond: Beyond) -> Self {
        let message = match beyond {
            Beyond::Scope(scope) => {
                format!("scopes cannot have {scope}, which the key that makes this one lacks")
            }
            Beyond::End(end) => {
                format!("expires_at must be at most {end}, when the key that makes this one expires")
            }
        };
        Self::new(StatusCode::FORBIDDEN, message)
    }

    #[must_use]
    pub fn route_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Route not found")
    }

    #[must_use]
    pub fn endpoint_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Webhook endpoint not found")
    }

    #[must_use]
    pub fn delivery_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Delivery not found")
    }

    #[must_use]
    pub fn event_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Event not found")
    }

    #[must_use]
    pub fn replay_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Replay not found")
    }

    #[must_use]
    pub fn statistics_off() -> Self {
        Self::new(StatusCode::NOT_FOUND, "This deployment keeps no hourly statistics")
    }

    #[must_use]
    pub fn api_key_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "API key not found")
    }

    #[must_use]
    pub fn event_type_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Event type not found")
    }

    #[must_use]
    pub fn portal_link_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Portal link not found")
    }

    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed; the allow header lists those that are")
    }

    #[must_use]
    pub fn too_large(limit_bytes: usize) -> Self {
        let message = format!("The body must be at most {} KiB", limit_bytes / 1024);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Of one event of a batch.
    #[must_use]
    pub fn event_too_large(limit_bytes: usize) -> Self {
        let message = format!("An event must be at most {} KiB", limit_bytes / 1024);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    #[must_use]
    pub fn unsupported_encoding() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-encoding must be gzip or identity, and only one of them",
        )
    }

    /// The request itself is wrong. The message names the field and the allowed values.
    #[must_use]
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The state of things forbids it.
    #[must_use]
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    #[must_use]
    pub fn endpoint_disabled() -> Self {
        Self::conflict("The webhook endpoint is disabled")
    }

    #[must_use]
    pub fn payload_erased() -> Self {
        Self::conflict("The event's payload has been erased, or the event was never accepted")
    }

    #[must_use]
    pub fn replay_running() -> Self {
        Self::conflict("A replay of the webhook endpoint is running, and only one may at a time")
    }

    #[must_use]
    pub fn too_many_tries(retry_after_seconds: u64) -> Self {
        Self::too_many("Too many failed tries for this account; try again later", retry_after_seconds)
    }

    #[must_use]
    pub fn over_budget(spent: Spent, now: Timestamp) -> Self {
        let message = "The project has posted more events in this minute than it may; send the same request again later";
        let retry_after_seconds = spent.until.since(now).as_secs() + 1;
        Self { is_over_budget: true, ..Self::too_many(message, retry_after_seconds) }
    }

    /// Of one event of a batch whose earlier events have as many deliveries as one request may make.
    #[must_use]
    pub fn too_many_deliveries() -> Self {
        let message = "The events before this one take the deliveries that one request may make; send this event again in another request";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    #[must_use]
    pub fn loop_detected() -> Self {
        Self::new(
            StatusCode::LOOP_DETECTED,
            "This request is a delivery of this service itself, which came back to it; nothing was done",
        )
    }

    /// A passing fault of the service: the caller should send the same request again.
    #[must_use]
    pub fn unavailable(cause: impl fmt::Display) -> Self {
        let message = "The service is busy or partly unavailable; send the same request again";
        Self {
            retry_after_seconds: Some(RETRY_AFTER_SECONDS),
            cause: Some(cause.to_string()),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }

    /// A fault of the service that the same request would meet again.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        let message = "Something went wrong on our side";
        Self { cause: Some(cause.to_string()), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, message) }
    }
}

impl ApiError {
    /// The status and the message that stand for this refusal among the results of a batch.
    #[must_use]
    pub fn of_one_event(self) -> (StatusCode, String) {
        if let Some(cause) = &self.cause {
            tracing::error!(status = self.status.as_u16(), cause, "an event of a batch was not accepted");
        }
        // The same request would bring the other events again.
        (self.status, self.message.replace("the same request", "this event"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(status = self.status.as_u16(), cause, "request failed");
        }
        let body = Json(ErrorBody {
            status_code: self.status.as_u16(),
            message: &self.message,
            error: self.status.canonical_reason().unwrap_or_default(),
        });
        let mut response = (self.status, body).into_response();
        // Some statuses may be cached by default (RFC 9110 §15.1), and a refusal can repeat text of its caller.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // The header names the codings that are read (RFC 9110 §15.5.16).
            response
                .headers_mut()
                .insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
        }
        if self.is_over_budget {
            response.extensions_mut().insert(OverBudget);
        }
        response
    }
}
