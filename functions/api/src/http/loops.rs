//! Refuses this service's own deliveries when they come back, before any work is done for them (contract §1 and §5).

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use echo_shared::endpoint_url::is_localhost;
use echo_shared::origin::{ORIGIN_HEADER, host_name};
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;

use crate::app::AppState;
use crate::error::ApiError;

/// The layer around every route. It comes before authentication, because a loop must cost nothing. Requests that only read
/// make no new delivery, so they are answered.
///
/// # Errors
/// When the request would change something and carries the mark of this deployment's own attempts.
pub async fn refuse(State(app): State<AppState>, request: Request, next: Next) -> Result<Response, ApiError> {
    let marks = request.headers().get_all(ORIGIN_HEADER).into_iter();
    let mut marks = marks.filter_map(|mark| mark.to_str().ok());
    if !request.method().is_safe() && marks.any(|mark| app.settings.origin.is_marked(mark)) {
        return Err(ApiError::loop_detected());
    }
    Ok(next.run(request).await)
}

/// The host name by which the caller reached this API. A custom domain is not the name in the settings.
#[derive(Debug, Clone)]
pub struct CalledHost(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for CalledHost {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let context = match parts.extensions.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.as_deref(),
            _ => None,
        };
        let host = context.and_then(host_name);
        // On a developer's machine the API and the receivers share the name localhost.
        Ok(Self(host.filter(|host| !is_localhost(host))))
    }
}

/// The path by which the caller reached this API, with its prefix.
#[derive(Debug, Clone)]
pub struct CalledPath(pub String);

impl<S: Sync> FromRequestParts<S> for CalledPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let path = match parts.extensions.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.path.clone(),
            _ => None,
        };
        Ok(Self(path.unwrap_or_default()))
    }
}
