//! The answers to calls that are refused or fail: one body for all, one description for each status.

use axum::http::StatusCode;
use serde_json::json;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ComponentsBuilder, Header, Ref, Response, ResponseBuilder};

use super::schemas::reference;
use crate::error::ErrorBody;

pub(super) const REQUEST_ID: &str = "x-request-id";

/// Each status, its cause, and a message as an example.
const REFUSALS: [(u16, &str, &str); 12] = [
    (
        400,
        "The body is not a JSON object, or a field, id, query value or cursor is missing, of the wrong type, out of range or unknown, or the \
         query has an unknown parameter. `message` names it and the values that are allowed.",
        "url must use https",
    ),
    (
        401,
        "No credential, or one that is malformed, unknown, revoked, expired or of a session that has ended.",
        "The API key is malformed, unknown, revoked or expired",
    ),
    (
        403,
        "The credential is valid, but not for the project that the path or `project_id` names, whether or not it exists. \
         Or the API key lacks the scope that the call needs; `message` names it.",
        "The credential is not valid for this project",
    ),
    (404, "No such thing in this project.", "Webhook endpoint not found"),
    (
        405,
        "The path exists, but not with this method.",
        "Method not allowed; the allow header lists those that are",
    ),
    (
        409,
        "The state of things forbids it; `message` says which.",
        "The project has 50 webhook endpoints, which is the most allowed",
    ),
    (
        413,
        "The body is over its limit: 256 KiB for an event, 1 MiB for a batch of events, 64 KiB for any other body. The limit of a gzip body is \
         that of its content.",
        "The body must be at most 64 KiB",
    ),
    (
        415,
        "The body has a `content-encoding` other than `gzip` or `identity`. The `accept-encoding` header names these.",
        "content-encoding must be gzip or identity, and only one of them",
    ),
    (
        429,
        "Too many failed logins or tries of a token for this account, or more events or test events of one project than a minute's budget of them, which only a \
         loop exceeds. Where requests come faster than the gateway before the service lets through, it answers 429 by itself, with \
         the body `{\"message\": \"Too Many Requests\"}` and without `retry-after`.",
        "Too many failed tries for this account; try again later",
    ),
    (500, "A fault of ours that sending again will not mend.", "Something went wrong on our side"),
    (
        503,
        "A passing fault of ours: send the same request again.",
        "The service is busy or partly unavailable; send the same request again",
    ),
    (
        508,
        "The request is a delivery of this service itself, which came back to it: it carries the service's own `x-echo-origin`. \
         Nothing was done. This comes before every other refusal.",
        "This request is a delivery of this service itself, which came back to it; nothing was done",
    ),
];

/// A status's name among the components: `Not Found` becomes `NotFound`.
pub(super) fn component(reason: &str) -> String {
    reason.replace(' ', "")
}

pub(super) fn request_id() -> Ref {
    header("RequestId")
}

fn header(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

pub(super) fn add_to(mut components: ComponentsBuilder) -> ComponentsBuilder {
    let mut schemas = Vec::new();
    for (status, about, message) in REFUSALS {
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let reason = reason.unwrap_or_default();
        let example = json!({ "statusCode": status, "message": message, "error": reason });
        let body = reference::<ErrorBody<'_>>(&mut schemas);
        let content = ContentBuilder::new().schema(Some(body)).example(Some(example)).build();
        components = components.response(component(reason), refusal(status, about, content));
    }
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let text = || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    components
        .schemas_from_iter(schemas)
        .header("RequestId", described("The request's id, which is in our logs too.", text().into()))
        .header("RetryAfter", described("Seconds to wait before sending again.", number.into()))
        .header("AcceptEncoding", described("The codings of a body that are read.", text().into()))
        .header("Allow", described("The methods that the path does have, comma separated.", text().into()))
}

fn refusal(status: u16, about: &str, content: utoipa::openapi::Content) -> Response {
    let response = ResponseBuilder::new().description(about).content("application/json", content);
    let response = response.header_ref(REQUEST_ID, request_id());
    match status {
        405 => response.header_ref("allow", header("Allow")),
        415 => response.header_ref("accept-encoding", header("AcceptEncoding")),
        429 | 503 => response.header_ref("retry-after", header("RetryAfter")),
        _ => response,
    }
    .build()
}

fn described(about: &str, schema: utoipa::openapi::schema::Schema) -> Header {
    HeaderBuilder::new().description(Some(about)).schema(Some(schema)).build()
}
