//! Reads a project's endpoints while the caller is still being authenticated, which saves an event one round trip.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request};
use axum::http::Method;
use axum::http::request::Parts;
use echo_shared::api_key::ApiKey;
use echo_shared::endpoint::Endpoint;
use echo_shared::id::ProjectId;
use echo_shared::store::StoreError;
use tokio::task::JoinSet;

use crate::app::{App, AppState};
use crate::auth;
use crate::error::ApiError;

type Read = JoinSet<Result<Vec<Endpoint>, StoreError>>;

/// A read that may be under way. Nobody sees its result when the caller may not use the project.
#[derive(Debug, Clone, Default)]
pub struct EndpointsAhead(Arc<Mutex<Read>>);

/// Starts the read if an event comes with a key that has opened the project before. Any other key may be made up, and a
/// stranger must not cause reads.
pub fn start(app: &AppState, request: &mut Request) {
    let path = request.uri().path();
    let is_event = path.ends_with("/events") || path.ends_with("/events/batch");
    let is_event = request.method() == Method::POST && is_event;
    let project_id = auth::project_in(path).and_then(|id| ProjectId::parse(id).ok()).filter(|_| is_event);
    let is_opened_by = |key: ApiKey, id: &ProjectId| app.grants.has_opened(&key.hash(), id);
    let key = || auth::api_key(request.headers());
    if let Some(project_id) = project_id.filter(|id| key().is_some_and(|key| is_opened_by(key, id))) {
        let (app, mut read) = (Arc::clone(app), Read::new());
        read.spawn(async move { app.store.endpoints(&project_id).await });
        request.extensions_mut().insert(EndpointsAhead(Arc::new(Mutex::new(read))));
    }
}

impl EndpointsAhead {
    /// The project's endpoints, from the read that is under way, if there is one.
    ///
    /// # Errors
    /// When the store did not answer.
    pub async fn endpoints(&self, app: &App, project_id: &ProjectId) -> Result<Vec<Endpoint>, ApiError> {
        let mut read = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let endpoints = match read.join_next().await {
            Some(read) => read.map_err(ApiError::internal)?,
            None => app.store.endpoints(project_id).await,
        };
        Ok(endpoints?)
    }
}

impl<S: Sync> FromRequestParts<S> for EndpointsAhead {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
