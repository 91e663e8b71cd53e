//! `/v1/projects`: an account's projects (contract §2).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::api_key::{ApiKey, ApiKeyRecord};
use echo_shared::audit::Action;
use echo_shared::fields::{NAME_CHARS, string};
use echo_shared::id::ProjectId;
use echo_shared::project::Project;
use echo_shared::shards::Shards;
use echo_shared::store::Created;
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::{AccountCaller, By, Caller, InProject};
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{FromAddress, QueryValues};
use crate::openapi::values;
use crate::routes::erasure;

/// A project.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub struct ProjectBody {
    #[schema(value_type = values::Id)]
    id: ProjectId,
    name: String,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
    /// Over how many partitions its events and deliveries are spread.
    #[schema(value_type = u8, minimum = 1, maximum = 64)]
    shards: Shards,
}

/// A new project and its first API key.
#[derive(Serialize, ToSchema)]
#[schema(as = NewProject)]
pub struct NewProjectBody {
    #[schema(value_type = values::Id)]
    id: ProjectId,
    name: String,
    /// Shown only in this answer.
    #[schema(value_type = values::ApiKey)]
    api_key: String,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
    /// Over how many partitions its events and deliveries are spread.
    #[schema(value_type = u8, minimum = 1, maximum = 64)]
    shards: Shards,
}

impl From<Project> for ProjectBody {
    fn from(project: Project) -> Self {
        Self {
            id: project.id,
            name: project.name,
            created_at: project.id.created_at().to_string(),
            updated_at: project.updated_at.to_string(),
            shards: project.shards,
        }
    }
}

/// `POST /v1/projects`
pub async fn create(
    State(app): State<AppState>,
    AccountCaller { id: account_id, email }: AccountCaller,
    By { author, .. }: By,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<NewProjectBody>), ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    let name = fields.text("name", NAME_CHARS)?;
    let allowed = format!("a whole number from 1 to {}", Shards::MOST);
    let shards = fields
        .nullable("shards", allowed, |value| serde_json::from_str(value.get()).ok().and_then(Shards::new))?;
    let now = Timestamp::now();
    let project = Project::new(account_id, name, shards.unwrap_or_default(), now);
    let key = ApiKey::generate();
    let record = ApiKeyRecord::new(account_id, project.id, project.shards, "default".to_owned(), &key, now);
    let cap = app.settings.max_projects_per_account;
    let entry = author.entry(&project.id, Action::ProjectCreated, project.id.as_uuid(), now);
    match app.registry.create_project(&project, &record, &email, cap, now, &entry).await? {
        Created::Done => {}
        Created::CapReached => {
            let message = format!("The account has {cap} projects, which is the most allowed");
            return Err(ApiError::conflict(message));
        }
        Created::OwnerGone => return Err(ApiError::access_token_refused()),
    }
    let ProjectBody { id, name, created_at, updated_at, shards } = project.into();
    let api_key = key.expose().to_owned();
    let body = NewProjectBody { id, name, api_key, created_at, updated_at, shards };
    Ok((StatusCode::CREATED, Json(body)))
}

/// `DELETE /v1/projects/{projectId}`
pub async fn erase(
    State(app): State<AppState>,
    AccountCaller { email, .. }: AccountCaller,
    from: FromAddress,
    project: InProject,
    query: QueryValues,
    body: RequestBody,
) -> Result<StatusCode, ApiError> {
    query.only(&[])?;
    let password = body.fields()?.required("password", "a string", string)?;
    let now = Timestamp::now();
    let account = app.registry.account(&email).await?.ok_or_else(ApiError::access_token_refused)?;
    erasure::confirm(&app, &account, password, &from.network(), now).await?;
    erasure::erase_project(&app, &project.account_id, &project.id, project.shards, now).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `GET /v1/projects`: the projects of an account, or the project that a key or a portal session opens.
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    query: QueryValues,
) -> Result<Json<Vec<ProjectBody>>, ApiError> {
    query.only(&[])?;
    let projects = match caller {
        Caller::Account(account_id) => app.registry.projects(&account_id).await?,
        Caller::Key(grant) => {
            app.registry.project(&grant.account_id, &grant.project_id).await?.into_iter().collect()
        }
        Caller::Portal(grant) => {
            app.registry.project(&grant.owner_id, &grant.project_id).await?.into_iter().collect()
        }
    };
    Ok(Json(projects.into_iter().map(ProjectBody::from).collect()))
}

/// `GET /v1/projects/{projectId}`
pub async fn show(
    State(app): State<AppState>,
    project: InProject,
    query: QueryValues,
) -> Result<Json<ProjectBody>, ApiError> {
    query.only(&[])?;
    let found = app.registry.project(&project.account_id, &project.id).await?;
    // A process may know the key for some seconds after the project's erasure.
    found.map(|project| Json(project.into())).ok_or_else(ApiError::foreign_project)
}
