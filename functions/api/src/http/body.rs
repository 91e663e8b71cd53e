//! Reads a request's body up to its limit and inflates it. The body is judged only after the refusals that come before it
//! (contract §1).

use std::borrow::Cow;
use std::io::Read;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use echo_shared::fields::Fields;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Limited};

use crate::error::ApiError;

/// Most bytes of a body that is not an event's.
pub const LIMIT: usize = 64 * 1024;

/// How much longer than its content a gzip body may be: a header, a trailer, and content that no compression can shorten.
const GZIP_OVERHEAD: usize = 1_024;

/// A request's body as the layer read it. A body that cannot be used is kept too, because the handler may answer 404
/// before the body is refused.
#[derive(Debug, Clone)]
pub struct RequestBody {
    content: Content,
    limit: usize,
}

#[derive(Debug, Clone)]
enum Content {
    Whole(Bytes),
    TooLarge,
    /// In a coding that is not read here.
    Encoded,
    /// Declared as gzip, but not gzip.
    Damaged,
}

/// How the bytes of a body stand for its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Other,
}

/// A layer of each route that takes a body: reads it, up to the limit, for the handler's [`RequestBody`].
pub async fn read(State(limit): State<usize>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let coding = Coding::of(&parts.headers);
    let most = if coding == Coding::Gzip { limit + GZIP_OVERHEAD } else { limit };
    let content = match Limited::new(body, most).collect().await {
        Ok(body) => coding.decode(body.to_bytes(), limit),
        Err(_) => Content::TooLarge,
    };
    parts.extensions.insert(RequestBody { content, limit });
    next.run(Request::from_parts(parts, Body::empty())).await
}

impl Coding {
    /// `identity` says nothing, and `x-gzip` is gzip's old name (RFC 9110 §8.4.1.3).
    fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::CONTENT_ENCODING).into_iter();
        let lists = values.map(|value| value.to_str().unwrap_or("unreadable"));
        let codings = lists.flat_map(|list| list.split(',')).map(|coding| coding.trim().to_ascii_lowercase());
        let codings: Vec<String> =
            codings.filter(|coding| !matches!(coding.as_str(), "" | "identity")).collect();
        match codings.as_slice() {
            [] => Self::Identity,
            [only] if matches!(only.as_str(), "gzip" | "x-gzip") => Self::Gzip,
            _ => Self::Other,
        }
    }

    fn decode(self, body: Bytes, limit: usize) -> Content {
        match self {
            Self::Identity => Content::Whole(body),
            // Nothing is nothing in every coding.
            _ if body.is_empty() => Content::Whole(body),
            Self::Gzip => inflate(&body, limit),
            Self::Other => Content::Encoded,
        }
    }
}

/// Stops at the limit: a small body can inflate to a thousand times its size.
fn inflate(body: &[u8], limit: usize) -> Content {
    let mut content = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(body).take(most).read_to_end(&mut content) {
        Ok(length) if length > limit => Content::TooLarge,
        Ok(_) => Content::Whole(content.into()),
        Err(_) => Content::Damaged,
    }
}

impl RequestBody {
    fn bytes(&self) -> Result<&[u8], ApiError> {
        match &self.content {
            Content::Whole(bytes) => Ok(bytes),
            Content::TooLarge => Err(ApiError::too_large(self.limit)),
            Content::Encoded => Err(ApiError::unsupported_encoding()),
            Content::Damaged => Err(ApiError::invalid(
                "The body is not whole gzip, although content-encoding says gzip; with content-type application/octet-stream its bytes \
                 arrive here as they were sent",
            )),
        }
    }

    /// For routes that take no body and ignore one.
    ///
    /// # Errors
    /// When it is over the limit, or in a coding that is not read here, all the same.
    pub fn check(&self) -> Result<(), ApiError> {
        match self.content {
            Content::Damaged => Ok(()),
            _ => self.bytes().map(|_| ()),
        }
    }

    /// # Errors
    /// When the body cannot be read, or is not a JSON object.
    pub fn fields(&self) -> Result<Fields<'_>, ApiError> {
        Ok(Fields::parse(self.bytes()?)?)
    }

    /// As [`Self::fields`], for routes whose body may be left out.
    ///
    /// # Errors
    /// When there is one, and it cannot be read or is not a JSON object.
    pub fn fields_if_any(&self) -> Result<Fields<'_>, ApiError> {
        let bytes = self.bytes()?;
        Ok(if bytes.trim_ascii().is_empty() { Fields::default() } else { Fields::parse(bytes)? })
    }
}

/// A refusal of something else about the request, unless its body has to be refused as a whole: that is said first.
pub fn invalid(body: Option<&RequestBody>, message: impl Into<Cow<'static, str>>) -> ApiError {
    let refused = body.and_then(|body| body.check().err());
    refused.unwrap_or_else(|| ApiError::invalid(message))
}

impl<S: Sync> FromRequestParts<S> for RequestBody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let body = parts.extensions.get().cloned();
        body.ok_or_else(|| ApiError::internal("a route that wants a body has no layer that reads it"))
    }
}
