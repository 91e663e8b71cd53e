//! `/openapi.json` and `/docs`: the description of the API, for programs and for people.
//!
//! The page is our own, 41 KB. Viewers on npm have 0.8 to 3 MB, and the function's zip has to stay under 5 MB.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use echo_shared::event_name::EventNames;

use super::files::{self, Files, POLICY, files};
use crate::app::AppState;

/// Written from [`crate::openapi`] by `tests/openapi.rs`.
const DOCUMENT: &str = include_str!("../../openapi.json");

const CACHED: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

/// `GET /openapi.json`
pub async fn document(State(app): State<AppState>) -> impl IntoResponse {
    let (events, delivered) = (&app.settings.event_names, &app.settings.delivered_names);
    let document = named(events, delivered).unwrap_or_else(|| DOCUMENT.to_owned());
    ([(header::CONTENT_TYPE, "application/json"), CACHED], document)
}

const PAGE: &str = include_str!("../../page/reference.html");

/// The files that the page loads.
static FILES: Files = files!["../../page/";
    "reference.css" "reference.js" "dom.js" "own.js" "samples.js" "schema.js" "search.js" "tryit.js"
];

/// `GET /docs`: a page that needs only `openapi.json`.
pub async fn page(headers: HeaderMap) -> Response {
    files::page(FILES.linked("docs", PAGE), &headers, HeaderValue::from_static(POLICY))
}

/// `GET /docs/{version}/{file}`
pub async fn file(Path((version, name)): Path<(String, String)>) -> Response {
    FILES.answer(&version, &name)
}

/// The document's key of the known event names, which are no enumeration: accounts add names.
const KNOWN: &str = "\"x-extensible-enum\": ";

/// The document with this deployment's names: those of its events, and those to which its endpoints may subscribe.
fn named(events: &EventNames, delivered: &EventNames) -> Option<String> {
    naming(&naming(DOCUMENT, "KnownEventName", events)?, "Subscription", delivered)
}

/// The document with these names as the known ones of a schema.
fn naming(document: &str, schema: &str, names: &EventNames) -> Option<String> {
    let listed: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let start = document.find(&format!("\"{schema}\": {{"))?;
    let known = start + document[start..].find(KNOWN)? + KNOWN.len();
    let (_, after) = document[known..].split_once(']')?;
    Some(format!("{}[{}]{after}", &document[..known], listed.join(", ")))
}

#[cfg(test)]
mod tests {
    use echo_shared::event_name::OPERATIONAL;
    use echo_shared::operational::with_operational;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_document_has_the_deployments_event_names() {
        let names = EventNames::parse("order.paid,order.sent").expect("names");
        let served = named(&names, &with_operational(&names)).expect("both schemas");
        let mut served: Value = serde_json::from_str(&served).expect("JSON");
        let ours = ["call.started", "call.ended", "call.summary"];
        for (schema, more) in [("KnownEventName", &[] as &[&str]), ("Subscription", &OPERATIONAL)] {
            let known = &mut served["components"]["schemas"][schema]["x-extensible-enum"];
            assert_eq!(*known, json!([&["order.paid", "order.sent"], more].concat()), "{schema}");
            *known = json!([&ours, more].concat());
        }
        assert_eq!(served, serde_json::from_str::<Value>(DOCUMENT).expect("JSON"));
    }
}
