//! `/console`: a page for people, made of the files in `src/console/`. The page contains no data: it asks the API for all
//! that it shows, with the credential of the person who signs in. (Rejected: a key made at sign-in and revoked at sign-out.
//! A closed tab would leave it valid.)
//!
//! The files are compiled into the function, below 230 KB together, and served under addresses with their hash; the
//! page itself is revalidated. The page asks for everything relative to its own address, so any base path may be in
//! front. There is no build step.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use echo_shared::event_name::EventNames;
use sha2::{Digest, Sha256};

use crate::app::AppState;
use crate::error::ApiError;

const INDEX: &str = include_str!("../console/index.html");

macro_rules! files {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../console/", $name)))),*] };
}

/// The files that the page loads.
const FILES: &[(&str, &str)] = files![
    "console.css" "main.js" "account.js" "api.js" "attempts.js" "auth_field.js" "causes.js" "charts.js"
    "compare.js" "deliveries.js" "delivery.js" "dialogs.js" "dom.js" "endpoint.js" "endpoint_fields.js"
    "endpoint_forms.js" "endpoint_settings.js" "endpoints.js" "event_names.js" "event_types.js" "events.js"
    "filter_field.js" "filters.js" "format.js" "json.js" "keys.js" "log.js" "payload.js" "places.js"
    "portal.js" "portal_links.js" "portal_session.js" "project_deliveries.js" "replay.js" "search.js"
    "session.js" "signin.js" "signup.js" "snippets.js" "stats.js" "verify.js" "widgets.js"
];

/// The page loads nothing from elsewhere and runs nothing inline, and no script may turn a text into HTML.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Part of the files' addresses, so that browsers can keep the files for good and see a new release at once.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (name, text) in FILES {
        hash.update(name);
        hash.update(text);
    }
    hex::encode(&hash.finalize()[..8])
});

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
    let mark = format!(
        "    <meta name=\"sign-up\" content=\"{}\">\n",
        app.settings.signup_policy.as_str()
    );
    page(text(&app.settings.event_names, &mark), &headers, HeaderValue::from_static(POLICY))
}

/// The page's text. `mark` is what stands in one of the console's page and the portal's alone.
pub(super) fn text(event_names: &EventNames, mark: &str) -> String {
    let scripts = FILES.iter().filter(|(name, _)| name.ends_with(".js"));
    let preload =
        |name: &str| format!("    <link rel=\"modulepreload\" href=\"console/{{version}}/{name}\">\n");
    let preloads: String = scripts.map(|(name, _)| preload(name)).collect();
    INDEX
        .replace("{preloads}\n", &preloads)
        .replace("{version}", &VERSION)
        .replace("{event_names}", &event_names.to_string())
        .replace("{portal}\n", mark)
}

/// The answer with a page, or without it if the browser has it already.
pub(super) fn page(page: String, headers: &HeaderMap, policy: HeaderValue) -> Response {
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&page)[..8]));
    let is_known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let answer = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { page.into_response() };
    let mut answer = guarded(answer, "text/html; charset=utf-8", "no-cache");
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        answer.headers_mut().insert(header::ETAG, etag);
    }
    answer
}

/// `GET /console/{version}/{file}`
async fn file(Path((version, name)): Path<(String, String)>) -> Response {
    let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) else {
        return ApiError::route_not_found().into_response();
    };
    let kind =
        if name.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
    // During an update, a page of one version can reach a function of the other.
    let kept = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    guarded(text.into_response(), kind, kept)
}

fn guarded(mut answer: Response, kind: &'static str, kept: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, kept),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
