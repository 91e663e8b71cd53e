//! One operation's description, in words that all operations share.

use axum::http::StatusCode;
use echo_shared::scope::Scope;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ArrayBuilder, Content, Ref, Required, ResponseBuilder, SecurityRequirement};

use super::refusals;
use super::schemas::{Named, json, reference};
use super::values::{GivenId, GivenName};

/// A route's description while it is being built.
pub(super) struct Described {
    pub(super) path: &'static str,
    pub(super) method: HttpMethod,
    operation: OperationBuilder,
    pub(super) schemas: Vec<Named>,
}

pub(super) fn get(path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(HttpMethod::Get, path, id, summary)
}

pub(super) fn post(path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(HttpMethod::Post, path, id, summary)
}

pub(super) fn put(path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(HttpMethod::Put, path, id, summary)
}

pub(super) fn patch(path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(HttpMethod::Patch, path, id, summary)
}

pub(super) fn delete(path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(HttpMethod::Delete, path, id, summary)
}

impl Described {
    /// Starts a description with the ids of its path, and with the refusals of all routes below `/v1`.
    fn new(method: HttpMethod, path: &'static str, id: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary));
        let changes = method != HttpMethod::Get;
        let mut described = Self { path, method, operation, schemas: Vec::new() };
        if changes {
            described = described.refuses(&[508]);
        }
        for name in path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
            described = match name {
                "name" => {
                    described.param::<GivenName>(ParameterIn::Path, name, "The name of the event type.")
                }
                _ => described.param::<GivenId>(ParameterIn::Path, name, id_of(name)),
            };
        }
        if path.starts_with("/v1") {
            described = described.refuses(&[400, 401, 500, 503]);
        }
        if path.contains("{projectId}") {
            described = described.refuses(&[403]);
        }
        if path.contains("{webhookId}") { described.refuses(&[404]) } else { described }
    }

    /// Adds more than the summary says.
    pub(super) fn about(self, text: &str) -> Self {
        Self { operation: self.operation.description(Some(text)), ..self }
    }

    /// Allows calls with this credential.
    pub(super) fn secured(self, scheme: &str) -> Self {
        let requirement = SecurityRequirement::new::<_, [&str; 0], _>(scheme, []);
        Self { operation: self.operation.security(requirement), ..self }
    }

    /// Allows calls with an access token, and with an API key or a portal session that has this scope. OpenAPI 3.1 has
    /// a place for it: the names beside a credential are "required for the execution"
    /// (spec.openapis.org/oas/v3.1.0#security-requirement-object).
    pub(super) fn needs(self, scope: Scope) -> Self {
        self.by_key_or_account(&[scope.as_str()]).refuses(&[403])
    }

    /// As [`Self::needs`], for routes that no portal session opens.
    pub(super) fn needs_outside_the_portal(self, scope: Scope) -> Self {
        let key = SecurityRequirement::new("apiKey", [scope.as_str()]);
        let account = SecurityRequirement::new::<_, [&str; 0], _>("accessToken", []);
        Self { operation: self.operation.securities(Some([key, account])), ..self }.refuses(&[403])
    }

    /// Allows calls with an access token, and with any API key.
    pub(super) fn for_any_key(self) -> Self {
        self.by_key_or_account(&[])
    }

    /// A portal session has the scopes `read` and `endpoints:write` at most.
    fn by_key_or_account(self, scopes: &[&str]) -> Self {
        let key = SecurityRequirement::new("apiKey", scopes.iter().copied());
        let account = SecurityRequirement::new::<_, [&str; 0], _>("accessToken", []);
        let in_portal = scopes.iter().all(|scope| ["read", "endpoints:write"].contains(scope));
        let portal = in_portal.then(|| SecurityRequirement::new("portalToken", scopes.iter().copied()));
        let all = [Some(key), Some(account), portal].into_iter().flatten();
        Self { operation: self.operation.securities(Some(all)), ..self }
    }

    /// Allows calls with this credential only.
    pub(super) fn secured_only(self, scheme: &str) -> Self {
        let requirement = SecurityRequirement::new::<_, [&str; 0], _>(scheme, []);
        Self { operation: self.operation.securities(Some([requirement])), ..self }
    }

    /// Allows calls without any credential.
    pub(super) fn open(self) -> Self {
        Self { operation: self.operation.security(SecurityRequirement::default()), ..self }
    }

    pub(super) fn query<T: ToSchema>(self, name: &str, about: &str) -> Self {
        self.param::<T>(ParameterIn::Query, name, about).refuses(&[400])
    }

    /// Like [`Self::query`], for a parameter that has to fit another: the two examples fit.
    pub(super) fn query_such_as<T: ToSchema>(mut self, name: &str, about: &str, example: &str) -> Self {
        let parameter = ParameterBuilder::from(self.parameter::<T>(ParameterIn::Query, name, about));
        self.operation = self.operation.parameter(parameter.example(Some(example.into())).build());
        self.refuses(&[400])
    }

    pub(super) fn header<T: ToSchema>(self, name: &str, about: &str) -> Self {
        self.param::<T>(ParameterIn::Header, name, about)
    }

    /// A header that only some requests have.
    pub(super) fn header_sometimes<T: ToSchema>(mut self, name: &str, about: &str) -> Self {
        let mut parameter = self.parameter::<T>(ParameterIn::Header, name, about);
        parameter.required = Required::False;
        self.operation = self.operation.parameter(parameter);
        self
    }

    fn param<T: ToSchema>(mut self, place: ParameterIn, name: &str, about: &str) -> Self {
        let parameter = self.parameter::<T>(place, name, about);
        self.operation = self.operation.parameter(parameter);
        self
    }

    fn parameter<T: ToSchema>(&mut self, place: ParameterIn, name: &str, about: &str) -> Parameter {
        let required = if place == ParameterIn::Query { Required::False } else { Required::True };
        let schema = reference::<T>(&mut self.schemas);
        let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
        parameter.description(Some(about)).schema(Some(schema)).build()
    }

    /// The route requires a JSON body.
    pub(super) fn takes<T: ToSchema>(mut self, example: Value) -> Self {
        let content = json::<T>(&mut self.schemas, example);
        let body =
            RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content);
        Self { operation: self.operation.request_body(Some(body.build())), ..self }.refuses(&[400, 413, 415])
    }

    /// The route accepts a JSON body, which may be absent.
    pub(super) fn may_take<T: ToSchema>(mut self, example: Value) -> Self {
        let content = json::<T>(&mut self.schemas, example);
        let body =
            RequestBodyBuilder::new().required(Some(Required::False)).content("application/json", content);
        Self { operation: self.operation.request_body(Some(body.build())), ..self }.refuses(&[400, 413, 415])
    }

    /// The route's answer to a successful call.
    pub(super) fn gives<T: ToSchema>(mut self, status: u16, about: &str, example: Value) -> Self {
        let content = json::<T>(&mut self.schemas, example);
        self.answers(status, about, "application/json", content)
    }

    /// Like [`Self::gives`], for an array of `T`.
    pub(super) fn lists<T: ToSchema>(mut self, about: &str, example: Value) -> Self {
        let items = ArrayBuilder::new().items(reference::<T>(&mut self.schemas));
        let content = ContentBuilder::new().schema(Some(items)).example(Some(Value::from(vec![example])));
        self.answers(200, about, "application/json", content.build())
    }

    pub(super) fn answers(self, status: u16, about: &str, content_type: &str, content: Content) -> Self {
        let response = ResponseBuilder::new().description(about).content(content_type, content);
        let response = response.header_ref(refusals::REQUEST_ID, refusals::request_id());
        Self { operation: self.operation.response(status.to_string(), response.build()), ..self }
    }

    pub(super) fn answers_nothing(self, status: u16, about: &str) -> Self {
        let response = ResponseBuilder::new().description(about);
        let response = response.header_ref(refusals::REQUEST_ID, refusals::request_id());
        Self { operation: self.operation.response(status.to_string(), response.build()), ..self }
    }

    /// The statuses with which the route refuses a call or fails; see [`refusals`].
    pub(super) fn refuses(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            let name = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
            let reference = Ref::from_response_name(refusals::component(name.unwrap_or_default()));
            self.operation = self.operation.response(status.to_string(), reference);
        }
        self
    }

    pub(super) fn into_operation(self, tag: &str) -> Operation {
        self.operation.tag(tag).build()
    }
}

fn id_of(name: &str) -> &'static str {
    match name {
        "projectId" => "The project.",
        "webhookId" => "The webhook endpoint.",
        "deliveryId" => "The delivery.",
        "eventId" => "The event.",
        "replayId" => "The replay.",
        "apiKeyId" => "The API key.",
        "portalLinkId" => "The portal link.",
        _ => "An id.",
    }
}
