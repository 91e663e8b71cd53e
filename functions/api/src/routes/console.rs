//! `/console`: a page for people, made of the files in `src/console/`. The page contains no data: it asks the API for all
//! that it shows, with the credential of the person who signs in. (Rejected: a key made at sign-in and revoked at sign-out.
//! A closed tab would leave it valid.)
//!
//! The page asks for everything relative to its own address, so any base path may be in front.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::files::{Files, POLICY, files, page};
use crate::app::AppState;
use crate::error::ApiError;

const INDEX: &str = include_str!("../console/index.html");

/// The files that the page loads.
static FILES: Files = files!["../console/";
    "console.css" "main.js" "account.js" "activity.js" "api.js" "attempts.js" "auth_field.js" "causes.js" "charts.js"
    "compare.js" "deliveries.js" "delivery.js" "dialogs.js" "dom.js" "endpoint.js" "endpoint_fields.js"
    "endpoint_forms.js" "endpoint_settings.js" "endpoints.js" "event_names.js" "event_types.js" "events.js"
    "filter_field.js" "filters.js" "format.js" "json.js" "keys.js" "log.js" "payload.js" "places.js"
    "portal.js" "portal_links.js" "portal_session.js" "project_deliveries.js" "replay.js" "search.js"
    "session.js" "signin.js" "signup.js" "snippets.js" "stats.js" "verify.js" "widgets.js"
];

/// The page and its files; paths are below `/console`.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(index))
        .route("/{version}/{file}", get(file))
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
}

/// `GET /console/`: leads to the address without the slash, to which the page's relative addresses belong.
pub async fn without_slash() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "../console")]).into_response()
}

/// `GET /console`
async fn index(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let mark = format!("    <meta name=\"sign-up\" content=\"{}\">\n", app.settings.signup_policy.as_str());
    page(text(&mark), &headers, HeaderValue::from_static(POLICY))
}

/// The page's text. `mark` is the part in which the console's page and the portal's differ.
pub(super) fn text(mark: &str) -> String {
    FILES.linked("console", INDEX).replace("{portal}\n", mark)
}

/// `GET /console/{version}/{file}`
async fn file(Path((version, name)): Path<(String, String)>) -> Response {
    FILES.answer(&version, &name)
}
