//! The route table.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use echo_shared::event_input;
use echo_shared::scope::Scope;
use tracing::{Span, field};

use crate::app::AppState;
use crate::auth::{Caller, InProject, authenticate, outside_the_portal, require};
use crate::error::ApiError;
use crate::http::body::{self, LIMIT};
use crate::http::loops;
use crate::http::observe::{note_account, observe};
use crate::http::request::PathIds;
use crate::routes::{
    api_keys, audit, auth, console, deliveries, endpoints, event_types, events, portal, portal_links,
    projects, reference, replays, stats,
};

const PROJECT: &str = "/projects/{project_id}";
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const WEBHOOK: &str = "/projects/{project_id}/webhooks/{webhook_id}";

/// The whole API, at its plain paths and under `/api`.
pub fn router(app: AppState) -> Router {
    // Both share one table, because a cold start pays for every route that is built.
    let plain = at_plain_paths(app);
    Router::new().nest_service("/api", plain.clone()).fallback_service(plain)
}

/// The route table.
pub fn at_plain_paths(app: AppState) -> Router {
    let stack_name: Arc<str> = app.settings.stack_name.as_str().into();
    Router::new()
        .nest("/console", console::routes())
        .route("/console/", get(console::without_slash))
        .merge(portal::routes())
        .nest("/auth", open())
        .nest("/v1", authenticated(&app))
        .merge(reference())
        .fallback(unknown_route)
        .layer(from_fn_with_state(Arc::clone(&app), loops::refuse))
        .layer(from_fn_with_state(stack_name, observe))
        .with_state(app)
}

fn reference() -> Router<AppState> {
    Router::new()
        .route("/openapi.json", get(reference::document))
        .route("/docs", get(reference::page))
        .route("/docs/{version}/{file}", get(reference::file))
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
}

fn open() -> Router<AppState> {
    Router::new()
        .route("/signup", post(auth::sign_up))
        .route("/login", post(auth::log_in))
        .route("/refresh", post(auth::refresh))
        .route("/logout", post(auth::log_out))
        .route("/password", post(auth::change_password))
        .route("/reset", post(auth::reset_password))
        .route("/portal", post(auth::open_portal))
        .route("/account", delete(auth::erase_account))
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .route_layer(from_fn_with_state(LIMIT, body::read))
        .route_layer(map_response(never_stored))
}

fn authenticated(app: &AppState) -> Router<AppState> {
    let in_project = |rest: &str| format!("{PROJECT}{rest}");
    let in_webhook = |rest: &str| format!("{WEBHOOK}{rest}");
    let for_any_key = Router::new()
        .route("/projects", get(projects::list).post(projects::create))
        .route(PROJECT, get(projects::show).delete(projects::erase))
        .route("/event-types", get(event_types::list))
        .route(
            "/event-types/{name}",
            get(event_types::show).put(event_types::put).delete(event_types::delete),
        );
    let reading = Router::new()
        .route(&in_project("/webhooks"), get(endpoints::list))
        .route(WEBHOOK, get(endpoints::show))
        .route(&in_project("/events/{event_id}"), get(events::show))
        .route(&in_webhook("/replays"), get(replays::list))
        .route(&in_project("/deliveries"), get(deliveries::list_all))
        .route(&in_project("/deliveries/{delivery_id}"), get(deliveries::show_anywhere))
        .route(&in_webhook("/replays/{replay_id}"), get(replays::show))
        .route(&in_project("/stats"), get(stats::list))
        .route(&in_webhook("/stats"), get(stats::show))
        .route(&in_webhook("/filter/test"), post(endpoints::filter_test::test_filter))
        .route(&in_webhook("/deliveries"), get(deliveries::list))
        .route(&in_webhook("/deliveries/{delivery_id}"), get(deliveries::show))
        .route_layer(from_fn_with_state(Scope::Read, require));
    let managing_endpoints = Router::new()
        .route(&in_project("/webhooks"), post(endpoints::create))
        .route(WEBHOOK, patch(endpoints::update).delete(endpoints::delete))
        .route(&in_webhook("/secret/rotate"), post(endpoints::rotate_secret))
        .route(&in_webhook("/test"), post(events::send_test))
        .route(&in_webhook("/replay"), post(replays::create))
        .route(&in_webhook("/deliveries/{delivery_id}/retry"), post(deliveries::retry))
        .route_layer(from_fn_with_state(Scope::EndpointsWrite, require));
    // A project's customer erases nothing that the project has to show.
    let erasing = Router::new()
        .route(&in_project("/events/{event_id}/payload"), delete(events::erase_payload))
        .route_layer(from_fn(outside_the_portal))
        .route_layer(from_fn_with_state(Scope::EndpointsWrite, require));
    let managing_keys = Router::new()
        .route("/api-keys", get(api_keys::list).post(api_keys::create))
        .route("/api-keys/{api_key_id}/revoke", patch(api_keys::revoke))
        .route(&in_project("/portal-links"), get(portal_links::list).post(portal_links::create))
        .route(&in_project("/portal-links/{portal_link_id}"), delete(portal_links::end))
        .route(&in_project("/audit"), get(audit::list))
        .route_layer(from_fn_with_state(Scope::KeysWrite, require));
    // These have a larger body.
    let events_listed = Router::new()
        .route(&in_project("/events"), get(events::list))
        .route_layer(from_fn_with_state(Scope::Read, require));
    let events_posted = Router::new()
        .route(&in_project("/events"), post(events::create))
        .route_layer(from_fn_with_state(Scope::EventsWrite, require));
    let events = events_listed
        .merge(events_posted)
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn_with_state(event_input::MAX_BYTES, body::read));
    let batches = Router::new()
        .route(&in_project("/events/batch"), post(events::batch::create_many))
        .route_layer(from_fn_with_state(Scope::EventsWrite, require))
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn_with_state(events::batch::MAX_BYTES, body::read));
    // Each route is in one of these groups, and the group names the scope that a key needs.
    for_any_key
        .merge(reading)
        .merge(managing_endpoints)
        .merge(erasing)
        .merge(managing_keys)
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn_with_state(LIMIT, body::read))
        .merge(events)
        .merge(batches)
        .fallback(unknown_route)
        .layer(from_fn_with_state(app.clone(), admit))
}

/// Keeps answers with tokens, keys and signing secrets out of every cache.
async fn never_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// The layer around every path below `/v1`, unknown ones included.
async fn admit(State(app): State<AppState>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    events::routes_ahead::start(&app, &mut request);
    authenticate(&app, &mut request).await?;
    if !request.method().is_safe() {
        note_caller(&request);
    }
    Ok(never_stored(next.run(request).await).await)
}

/// Who makes a change, for its log line.
fn note_caller(request: &Request) {
    let span = Span::current();
    match request.extensions().get() {
        Some(Caller::Key(grant)) => _ = span.record("by_key", field::display(grant.api_key_id)),
        Some(Caller::Account(id)) => note_account(id),
        Some(Caller::Portal(grant)) => _ = span.record("by_portal_link", field::display(grant.link_id)),
        None => {}
    }
}

async fn unknown_route() -> ApiError {
    ApiError::route_not_found()
}

/// Answers a wrong method. A thing in the path that is not there comes first: 404 before 405.
async fn wrong_method(
    State(app): State<AppState>,
    project: Result<InProject, ApiError>,
    ids: PathIds,
) -> ApiError {
    let looked_up = async {
        let Ok(project) = project else { return Ok(()) };
        if let Ok(event_id) = ids.event() {
            events::find(&app, &project, &event_id).await?;
        }
        if let Ok(endpoint_id) = ids.endpoint() {
            endpoints::find(&app, &project, &endpoint_id).await?;
            if let Ok(replay_id) = ids.replay() {
                replays::find(&app, &project, &endpoint_id, &replay_id).await?;
            }
            if let Ok(delivery_id) = ids.delivery() {
                deliveries::find(&app, &project, &endpoint_id, &delivery_id).await?;
            }
        } else if let Ok(delivery_id) = ids.delivery() {
            deliveries::find_anywhere(&app, &project, &delivery_id).await?;
        }
        if let Ok(link_id) = ids.portal_link() {
            portal_links::find(&app, &project, &link_id).await?;
        }
        Ok(())
    };
    looked_up.await.err().unwrap_or_else(ApiError::method_not_allowed)
}
