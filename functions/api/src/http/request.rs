//! A request's path, query and connection as handlers take them.

use std::fmt::Display;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::Extensions;
use axum::http::request::Parts;
use echo_shared::account::CallerNetwork;
use echo_shared::event_name::EventName;
use echo_shared::event_type;
use echo_shared::fields::{Refused, not_known};
use echo_shared::id::{ApiKeyId, DeliveryId, EndpointId, EventId, NotAnId, PortalLinkId, ReplayId};
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use tracing::{Span, field};

use crate::error::ApiError;
use crate::http::body::{self, RequestBody};

/// The ids and names in the path, each parsed when it is asked for: an endpoint that does not exist is said before a malformed
/// delivery id.
///
/// # Errors
/// Each function that returns an id fails when the path's text is not a UUID.
#[derive(Debug, Clone)]
pub struct PathIds {
    params: Vec<(String, String)>,
    body: Option<RequestBody>,
}

impl PathIds {
    fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(param, _)| param == name).map_or("", |(_, value)| value)
    }

    fn parse<T: Display>(
        &self,
        name: &str,
        shown: &str,
        parse: fn(&str) -> Result<T, NotAnId>,
    ) -> Result<T, ApiError> {
        let id = parse(self.param(name))
            .map_err(|error| body::invalid(self.body.as_ref(), format!("{shown} in the path {error}")))?;
        // The contract's webhook is an endpoint everywhere else.
        let noted = if name == "webhook_id" { "endpoint_id" } else { name };
        Span::current().record(noted, field::display(&id));
        Ok(id)
    }

    pub fn endpoint(&self) -> Result<EndpointId, ApiError> {
        self.parse("webhook_id", "webhookId", EndpointId::parse)
    }

    pub fn delivery(&self) -> Result<DeliveryId, ApiError> {
        self.parse("delivery_id", "deliveryId", DeliveryId::parse)
    }

    pub fn replay(&self) -> Result<ReplayId, ApiError> {
        self.parse("replay_id", "replayId", ReplayId::parse)
    }

    pub fn event(&self) -> Result<EventId, ApiError> {
        self.parse("event_id", "eventId", EventId::parse)
    }

    pub fn api_key(&self) -> Result<ApiKeyId, ApiError> {
        self.parse("api_key_id", "apiKeyId", ApiKeyId::parse)
    }

    /// # Errors
    /// When it is not a name that an event type may have.
    pub fn event_type(&self) -> Result<EventName, ApiError> {
        let text = self.param("name");
        event_type::name(text).map_err(|Refused(why)| body::invalid(self.body.as_ref(), why))
    }

    pub fn portal_link(&self) -> Result<PortalLinkId, ApiError> {
        self.parse("portal_link_id", "portalLinkId", PortalLinkId::parse)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // A path that does not decode to UTF-8 holds no id.
        let params = RawPathParams::from_request_parts(parts, state).await.map_or_else(
            |_| Vec::new(),
            |params| params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        );
        Ok(Self { params, body: parts.extensions.get().cloned() })
    }
}

/// The query, decoded. Each handler says which parameters its route has.
#[derive(Debug, Clone)]
pub struct QueryValues {
    pairs: Vec<(String, String)>,
    body: Option<RequestBody>,
}

impl QueryValues {
    /// # Errors
    /// When there is a parameter that the route does not have: to ignore a misspelled filter would answer another question.
    pub fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let unknown = self.pairs.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name));
        unknown.map_or(Ok(()), |name| Err(self.invalid(not_known("parameter", name, known))))
    }

    /// A parameter's one value, if it is there; `allowed` completes "must be …".
    ///
    /// # Errors
    /// When it is there twice, or `read` does not take its value.
    pub fn optional<T>(
        &self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(self.invalid(format!("{name} must be given only once")));
        }
        read(value).map(Some).ok_or_else(|| self.invalid(format!("{name} must be {allowed}")))
    }

    /// A refusal of the query.
    #[must_use]
    pub fn invalid(&self, message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
        body::invalid(self.body.as_ref(), message)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryValues {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::from_request_parts(parts, state).await;
        let pairs =
            pairs.map_err(|_| body::invalid(parts.extensions.get(), "The query must be name=value pairs"))?;
        Ok(Self { pairs: pairs.0, body: parts.extensions.get().cloned() })
    }
}

/// Where the caller is, by the connection that API Gateway took. Headers such as `x-forwarded-for`
/// do not count, because the caller writes them.
#[derive(Debug, Clone, Copy)]
pub struct FromAddress(pub Option<IpAddr>);

impl FromAddress {
    #[must_use]
    pub fn network(self) -> CallerNetwork {
        CallerNetwork::of(self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for FromAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(caller_address(&parts.extensions)))
    }
}

/// The address of the connection that API Gateway took.
pub fn caller_address(extensions: &Extensions) -> Option<IpAddr> {
    match extensions.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref()?.parse().ok(),
        _ => None,
    }
}
