//! `/openapi.json` and `/docs`: the description of the API, for programs and for people.
//!
//! The page is our own, 24 KB. Viewers on npm have 0.8 to 3 MB, and the function's zip has to stay under 5 MB.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use echo_shared::event_name::EventNames;
use sha2::{Digest, Sha256};

use crate::app::AppState;

/// Written from [`crate::openapi`] by `tests/openapi.rs`.
const DOCUMENT: &str = include_str!("../../openapi.json");

const CACHED: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

/// `GET /openapi.json`
pub async fn document(State(app): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), CACHED], naming(&app.settings.event_names))
}

const PAGE: &str = include_str!("../../page/reference.html");
const STYLE: &str = include_str!("../../page/reference.css");
const SCRIPT: &str = include_str!("../../page/reference.js");

/// `GET /docs`: a page that needs only `openapi.json`. Its policy names its style and its script by their hashes, so that no
/// other script runs.
pub async fn page() -> impl IntoResponse {
    let hash = |text: &str| BASE64.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT),
    );
    let page = PAGE
        .replace("<!-- style -->", &format!("<style>{STYLE}</style>"))
        .replace("<!-- script -->", &format!("<script>{SCRIPT}</script>"));
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (CACHED.0, CACHED.1.to_owned()),
    ];
    (headers, page)
}

/// The document with this deployment's event names.
fn naming(names: &EventNames) -> String {
    let listed: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let enumeration = || {
        let (before, rest) = DOCUMENT.split_once("\"KnownEventName\": {")?;
        let (between, rest) = rest.split_once('[')?;
        let (_, after) = rest.split_once(']')?;
        Some(format!("{before}\"KnownEventName\": {{{between}[{}]{after}", listed.join(", ")))
    };
    enumeration().unwrap_or_else(|| DOCUMENT.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_has_the_deployments_event_names() {
        let names = EventNames::parse("order.paid,order.sent").expect("names");
        let mut served: Value = serde_json::from_str(&naming(&names)).expect("JSON");
        let known = &mut served["components"]["schemas"]["KnownEventName"]["enum"];
        assert_eq!(*known, serde_json::json!(["order.paid", "order.sent"]));
        *known = serde_json::json!(["call.started", "call.ended", "call.summary"]);
        assert_eq!(served, serde_json::from_str::<Value>(DOCUMENT).expect("JSON"));
    }
}
