//! `/portal`: the console's files for a project's customer, who comes by a portal link (contract §2). The page differs from the
//! console in its name and colour, and in its policy: sites that the operator names may embed it.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use super::console;
use super::files::{self, POLICY};
use crate::app::AppState;
use crate::error::ApiError;

/// The page; paths are whole.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/portal", get(page))
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
}

/// `GET /portal`: the same page for everyone. It asks for nothing before its reader presses a button, because programs that
/// scan mails open the links in them.
async fn page(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let look = &app.settings.portal;
    let name = escaped(&look.name);
    let mark = format!(
        "    <meta name=\"portal\" content=\"{name}\">\n    <meta name=\"portal-accent\" content=\"{}\">\n",
        look.accent
    );
    let text = console::text(&mark)
        .replace("<title>Echo Webhooks</title>", &format!("<title>{name}</title>"))
        .replace("%233457d5", &look.accent.replace('#', "%23"));
    files::page(text, &headers, look.policy(POLICY))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
