//! Reads a project's routes while the caller is still being authenticated, which saves an event one round trip.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request};
use axum::http::Method;
use axum::http::request::Parts;
use echo_shared::api_key::ApiKey;
use echo_shared::id::ProjectId;
use echo_shared::route::Routes;
use echo_shared::shards::Shards;
use echo_shared::store::StoreError;
use tokio::task::JoinSet;

use crate::app::{App, AppState};
use crate::auth::{self, InProject};
use crate::error::ApiError;

type Read = JoinSet<Result<Option<Routes>, StoreError>>;

/// A read that may be under way. Nobody sees its result when the caller may not use the project.
#[derive(Debug, Clone, Default)]
pub struct RoutesAhead(Arc<Mutex<Read>>);

/// Starts the read if an event comes with a key that has opened the project before. Any other key may be made up, and a
/// stranger must not cause reads.
pub fn start(app: &AppState, request: &mut Request) {
    let path = request.uri().path();
    let is_event = path.ends_with("/events") || path.ends_with("/events/batch");
    let is_event = request.method() == Method::POST && is_event;
    let project_id = auth::project_in(path).and_then(|id| ProjectId::parse(id).ok()).filter(|_| is_event);
    let opened = |id: ProjectId| {
        let key: ApiKey = auth::api_key(request.headers())?;
        Some((id, app.grants.opened(&key.hash(), &id)?))
    };
    if let Some((project_id, shards)) = project_id.and_then(opened) {
        let (app, mut read) = (Arc::clone(app), Read::new());
        read.spawn(async move { one_copy(&app, &project_id, shards).await });
        request.extensions_mut().insert(RoutesAhead(Arc::new(Mutex::new(read))));
    }
}

impl RoutesAhead {
    /// The project's routes, from the read that is under way, if there is one.
    ///
    /// # Errors
    /// When the store did not answer, or the project is gone.
    pub async fn routes(&self, app: &App, project: &InProject) -> Result<Routes, ApiError> {
        let mut read = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let routes = match read.join_next().await {
            Some(read) => read.map_err(ApiError::internal)?,
            None => one_copy(app, &project.id, project.shards).await,
        };
        routes?.ok_or_else(ApiError::foreign_project)
    }
}

/// Reads a copy that is chosen at random, because DynamoDB limits the reads a second of each copy.
async fn one_copy(app: &App, id: &ProjectId, shards: Shards) -> Result<Option<Routes>, StoreError> {
    app.store.routes(id, shards.any(rand::random())).await
}

impl<S: Sync> FromRequestParts<S> for RoutesAhead {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
