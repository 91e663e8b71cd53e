//! `/v1/api-keys`: a project's keys (contract §2).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::api_key::{ApiKey, ApiKeyRecord, ApiKeyStatus};
use echo_shared::fields::NAME_CHARS;
use echo_shared::id::ApiKeyId;
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::ChosenProject;
use crate::body::RequestBody;
use crate::error::ApiError;
use crate::openapi::values;
use crate::request::PathIds;

/// Whether a key still opens its project.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApiKeyStatus)]
pub enum ApiKeyState {
    Active,
    Revoked,
}

/// An API key as it is listed.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeySummary)]
pub struct ApiKeyBody {
    #[schema(value_type = values::Id)]
    id: ApiKeyId,
    name: String,
    #[schema(value_type = values::KeyPrefix)]
    key_prefix: String,
    status: ApiKeyState,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
}

/// A new API key.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub struct NewApiKeyBody {
    #[schema(value_type = values::Id)]
    id: ApiKeyId,
    name: String,
    /// Shown this once.
    #[schema(value_type = values::ApiKey)]
    key: String,
    #[schema(value_type = values::KeyPrefix)]
    key_prefix: String,
    status: ApiKeyState,
    #[schema(value_type = values::Time)]
    created_at: String,
}

impl From<ApiKeyRecord> for ApiKeyBody {
    fn from(record: ApiKeyRecord) -> Self {
        Self {
            id: record.id,
            name: record.name,
            key_prefix: record.key_prefix,
            status: record.status.into(),
            created_at: record.id.created_at().to_string(),
            updated_at: record.updated_at.to_string(),
        }
    }
}

impl From<ApiKeyStatus> for ApiKeyState {
    fn from(status: ApiKeyStatus) -> Self {
        match status {
            ApiKeyStatus::Active => Self::Active,
            ApiKeyStatus::Revoked => Self::Revoked,
        }
    }
}

/// `POST /v1/api-keys`
pub async fn create(
    State(app): State<AppState>,
    ChosenProject(project): ChosenProject,
    body: RequestBody,
) -> Result<(StatusCode, Json<NewApiKeyBody>), ApiError> {
    let name = body.fields()?.text("name", NAME_CHARS)?;
    let key = ApiKey::generate();
    let record = ApiKeyRecord::new(project.account_id, project.id, name, &key, Timestamp::now());
    app.registry.create_api_key(&record).await?;
    let ApiKeyBody { id, name, key_prefix, status, created_at, .. } = record.into();
    let body = NewApiKeyBody { id, name, key: key.expose().to_owned(), key_prefix, status, created_at };
    Ok((StatusCode::CREATED, Json(body)))
}

/// `GET /v1/api-keys`
pub async fn list(
    State(app): State<AppState>,
    ChosenProject(project): ChosenProject,
) -> Result<Json<Vec<ApiKeyBody>>, ApiError> {
    let keys = app.registry.api_keys(&project.id).await?;
    Ok(Json(keys.into_iter().map(ApiKeyBody::from).collect()))
}

/// `PATCH /v1/api-keys/{apiKeyId}/revoke`
pub async fn revoke(
    State(app): State<AppState>,
    ChosenProject(project): ChosenProject,
    ids: PathIds,
    body: RequestBody,
) -> Result<Json<ApiKeyBody>, ApiError> {
    let id = ids.api_key()?;
    body.check_size()?;
    let record = app.registry.revoke_api_key(&project.id, &id, Timestamp::now()).await?;
    let record = record.ok_or_else(ApiError::api_key_not_found)?;
    app.grants.refuse(record.key_hash.clone());
    Ok(Json(record.into()))
}
