//! `…/webhooks/{webhookId}/deliveries`: the deliveries of an endpoint, and their retries by hand; `…/deliveries`: those of all
//! endpoints of a project (contract §6).

pub mod body;
pub mod page;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::attempt::MAX_ATTEMPTS;
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::{Endpoint, EndpointStatus};
use echo_shared::id::{DeliveryId, EndpointId};
use echo_shared::job::{AHEAD_OF_ITS_ROW, Chain, DeliveryJob};
use echo_shared::store::{Advanced, Owners};
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;
use futures_util::future::try_join;

use self::body::{DeliveryBody, DeliveryWithAttemptsBody};
use self::page::{Page, PageBody};
use super::endpoints;
use crate::app::{App, AppState};
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{PathIds, QueryValues};

/// The endpoint and its delivery, read side by side, or the 404 of the first that is not there.
///
/// # Errors
/// When one is not there, or the store did not answer.
pub async fn find(
    app: &App,
    project: &InProject,
    endpoint_id: &EndpointId,
    id: &DeliveryId,
) -> Result<(Endpoint, Delivery), ApiError> {
    let delivery = app.store.delivery(&project.id, endpoint_id, id, Timestamp::now());
    let (endpoint, delivery) = try_join(app.store.endpoint(&project.id, endpoint_id), delivery).await?;
    let endpoint = endpoint.ok_or_else(ApiError::endpoint_not_found)?;
    Ok((endpoint, delivery.ok_or_else(ApiError::delivery_not_found)?))
}

/// As [`find`], by the ids in the path: an endpoint that is not there comes before a malformed delivery id.
async fn find_by_path(
    app: &App,
    project: &InProject,
    ids: &PathIds,
) -> Result<(Endpoint, Delivery), ApiError> {
    let endpoint_id = ids.endpoint()?;
    match ids.delivery() {
        Ok(id) => find(app, project, &endpoint_id, &id).await,
        Err(malformed) => Err(endpoints::find(app, project, &endpoint_id).await.err().unwrap_or(malformed)),
    }
}

async fn body_of(app: &App, delivery: &Delivery) -> Result<DeliveryBody, ApiError> {
    let mut envelopes = app.store.envelopes(std::slice::from_ref(delivery)).await?;
    DeliveryBody::new(delivery, envelopes.pop().flatten())
}

/// `GET /v1/projects/{projectId}/deliveries`
pub async fn list_all(
    State(app): State<AppState>,
    project: InProject,
    query: QueryValues,
) -> Result<Json<PageBody>, ApiError> {
    let page = app.by_delivered_names(&project, |names| Page::of_project(&query, &project.id, names)).await?;
    let owners = page.owners(&app, &project.id, project.shards.any(rand::random())).await?;
    Ok(Json(page.load(&app, &owners, Timestamp::now()).await?))
}

/// The delivery, of whichever endpoint of the project, or 404.
///
/// # Errors
/// When no endpoint that the project has made it, or the store did not answer.
pub async fn find_anywhere(app: &App, project: &InProject, id: &DeliveryId) -> Result<Delivery, ApiError> {
    let copy = project.shards.any(rand::random());
    let owners = app.store.owners_by_id(&project.id, copy).await?.ok_or_else(ApiError::foreign_project)?;
    let found = app.store.delivery_of_any(&owners, &project.id, id, Timestamp::now()).await?;
    found.ok_or_else(ApiError::delivery_not_found)
}

/// `GET /v1/projects/{projectId}/deliveries/{deliveryId}`
pub async fn show_anywhere(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<DeliveryWithAttemptsBody>, ApiError> {
    let delivery = find_anywhere(&app, &project, &ids.delivery()?).await?;
    query.only(&[])?;
    let body = body_of(&app, &delivery).await?;
    Ok(Json(DeliveryWithAttemptsBody::new(body, &delivery)))
}

/// `GET …/deliveries`
pub async fn list(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<PageBody>, ApiError> {
    let endpoint = endpoints::find(&app, &project, &ids.endpoint()?).await?;
    let page =
        app.by_delivered_names(&project, |names| Page::of_endpoint(&query, &endpoint.id, names)).await?;
    Ok(Json(page.load(&app, &Owners::from(&endpoint), Timestamp::now()).await?))
}

/// `GET …/deliveries/{deliveryId}`
pub async fn show(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<DeliveryWithAttemptsBody>, ApiError> {
    let (_, delivery) = find_by_path(&app, &project, &ids).await?;
    query.only(&[])?;
    let body = body_of(&app, &delivery).await?;
    Ok(Json(DeliveryWithAttemptsBody::new(body, &delivery)))
}

/// `POST …/deliveries/{deliveryId}/retry`
pub async fn retry(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<DeliveryBody>), ApiError> {
    let (endpoint, delivery) = find_by_path(&app, &project, &ids).await?;
    body.check()?;
    query.only(&[])?;
    if endpoint.status == EndpointStatus::Disabled {
        return Err(ApiError::endpoint_disabled());
    }
    if !delivery.status.is_final() {
        return Err(not_finished());
    }
    if delivery.erased {
        return Err(ApiError::payload_erased());
    }
    if delivery.attempt_count >= MAX_ATTEMPTS {
        return Err(ApiError::conflict(format!(
            "The delivery has had {MAX_ATTEMPTS} attempts, the most allowed"
        )));
    }
    if delivery.uncounted {
        return Err(ApiError::unavailable("a failure is still to be counted"));
    }
    let shown = body_of(&app, &delivery).await?;
    let now = Timestamp::now();
    let retried = start_manual_attempt(&app, &endpoint, &delivery, now).await?;
    Ok((StatusCode::ACCEPTED, Json(shown.retried(retried.at))))
}

fn not_finished() -> ApiError {
    ApiError::conflict("Only a delivery whose status is failed or success can be retried")
}

/// Sends the job first: a job without its row's change does nothing, a change without its job would wait for ever.
async fn start_manual_attempt(
    app: &App,
    endpoint: &Endpoint,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Transition, ApiError> {
    let chain = Chain::new();
    let job = DeliveryJob { by_hand: true, ..delivery.job_again(chain, now) };
    let lane = if endpoint.is_slow(now) { &app.slow_endpoints } else { &app.first_attempts };
    lane.send(&job, AHEAD_OF_ITS_ROW).await?;
    let transition = Transition::by_hand(chain, now);
    match app.store.advance(delivery, &transition).await? {
        Advanced::Done => Ok(transition),
        Advanced::Overtaken => Err(not_finished()),
    }
}
