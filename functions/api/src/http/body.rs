//! Reading a request's body: bounded, and judged only after what comes before it (contract §1).

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::Extensions;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use echo_shared::fields::Fields;
use http_body_util::{BodyExt, Limited};

use crate::error::ApiError;

/// Most bytes of a body that is not an event's.
pub const LIMIT: usize = 64 * 1024;

/// What was read of a body. One over its limit is kept as that: whether a 404 comes before the 413 is for the
/// handler to find out.
#[derive(Debug, Clone)]
pub struct RequestBody {
    bytes: Option<Bytes>,
    limit: usize,
}

/// A layer of each route that takes a body: reads it, up to the limit, for the handler's [`RequestBody`].
pub async fn read(State(limit): State<usize>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let bytes = Limited::new(body, limit).collect().await.ok().map(http_body_util::Collected::to_bytes);
    parts.extensions.insert(RequestBody { bytes, limit });
    next.run(Request::from_parts(parts, Body::empty())).await
}

impl RequestBody {
    fn bytes(&self) -> Result<&[u8], ApiError> {
        self.bytes.as_deref().ok_or_else(|| ApiError::too_large(self.limit))
    }

    /// For routes that take no body and ignore one.
    ///
    /// # Errors
    /// When it is over the limit all the same.
    pub fn check_size(&self) -> Result<(), ApiError> {
        self.bytes().map(|_| ())
    }

    /// # Errors
    /// When the body is over its limit or not a JSON object.
    pub fn fields(&self) -> Result<Fields<'_>, ApiError> {
        Ok(Fields::parse(self.bytes()?)?)
    }

    /// As [`Self::fields`], for routes whose body may be left out.
    ///
    /// # Errors
    /// When there is one, and it is over its limit or not a JSON object.
    pub fn fields_if_any(&self) -> Result<Fields<'_>, ApiError> {
        let bytes = self.bytes()?;
        Ok(if bytes.trim_ascii().is_empty() { Fields::default() } else { Fields::parse(bytes)? })
    }
}

/// A refusal of something else about the request, unless its body is over the limit: that is said first.
pub fn invalid(extensions: &Extensions, message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    let too_large = extensions.get::<RequestBody>().and_then(|body| body.check_size().err());
    too_large.unwrap_or_else(|| ApiError::invalid(message))
}

impl<S: Sync> FromRequestParts<S> for RequestBody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let body = parts.extensions.get().cloned();
        body.ok_or_else(|| ApiError::internal("a route that wants a body has no layer that reads it"))
    }
}
