//! `…/audit`: the changes of a project, each with its maker, address and time (contract §2).

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use echo_shared::audit::{Actor, AuditEntry};
use echo_shared::cursor;
use echo_shared::id::{AuditId, ProjectId};
use echo_shared::store::AuditFilter;
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::AppState;
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::paging::{self, scope_of};
use crate::http::request::QueryValues;
use crate::openapi::values;

/// The kinds of makers of changes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorType {
    Account,
    ApiKey,
    PortalLink,
    Service,
}

/// The maker of a change.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorBody {
    /// `service` is this service itself, which disables an endpoint that fails for too long or answers 410.
    r#type: ActorType,
    /// The id of the account, key or portal link; null for the service.
    #[schema(value_type = Option<values::Id>, required)]
    id: Option<Uuid>,
}

impl From<Actor> for ActorBody {
    fn from(actor: Actor) -> Self {
        let (r#type, id) = match actor {
            Actor::Account(id) => (ActorType::Account, Some(id.as_uuid())),
            Actor::ApiKey(id) => (ActorType::ApiKey, Some(id.as_uuid())),
            Actor::PortalLink(id) => (ActorType::PortalLink, Some(id.as_uuid())),
            Actor::Service => (ActorType::Service, None),
        };
        Self { r#type, id }
    }
}

/// One change.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditEntryBody {
    #[schema(value_type = values::Id)]
    id: AuditId,
    #[schema(value_type = values::AuditAction)]
    action: &'static str,
    actor: ActorBody,
    /// The thing that was changed.
    #[schema(value_type = values::Id)]
    resource_id: Uuid,
    /// The names of the fields that have another value since. Empty unless a PATCH of an endpoint made the change.
    fields: Vec<String>,
    /// Null where the service acted by itself.
    #[schema(value_type = Option<values::CallerAddress>, required)]
    from: Option<IpAddr>,
    #[schema(value_type = values::Time)]
    created_at: String,
}

impl From<AuditEntry> for AuditEntryBody {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            action: entry.action.as_str(),
            actor: entry.actor.into(),
            resource_id: entry.resource_id,
            fields: entry.fields,
            from: entry.from,
            created_at: entry.id.created_at().to_string(),
        }
    }
}

/// A page of the activity list.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub struct AuditPageBody {
    #[schema(max_items = 100)]
    data: Vec<AuditEntryBody>,
    /// For the next page; null at the end.
    #[schema(value_type = Option<values::PageCursor>, required)]
    next_cursor: Option<String>,
}

/// A page's query, parsed.
#[derive(Debug)]
struct Page {
    filter: AuditFilter,
    limit: usize,
    after: Option<AuditId>,
    scope: [String; 4],
}

impl Page {
    fn read(query: &QueryValues, project_id: &ProjectId) -> Result<Self, ApiError> {
        query.only(&["since", "until", "limit", "cursor"])?;
        let filter =
            AuditFilter { since: paging::time(query, "since")?, until: paging::time(query, "until")? };
        let limit = paging::limit(query)?;
        let scope =
            ["audit".to_owned(), project_id.to_string(), scope_of(filter.since), scope_of(filter.until)];
        let position = |text: &str| cursor::decode(text, &scope).ok();
        let after = query.optional("cursor", "the next_cursor of a page with the same filters", position)?;
        Ok(Self { filter, limit, after: after.map(AuditId::from_uuid), scope })
    }
}

/// `GET …/audit`
pub async fn list(
    State(app): State<AppState>,
    project: InProject,
    query: QueryValues,
) -> Result<Json<AuditPageBody>, ApiError> {
    let page = Page::read(&query, &project.id)?;
    let Page { filter, limit, after, scope } = &page;
    // One more than is shown, to know whether there is more.
    let mut entries = app.store.audit(&project.id, *filter, *after, limit + 1, Timestamp::now()).await?;
    let has_more = entries.len() > *limit;
    entries.truncate(*limit);
    let last = entries.last().filter(|_| has_more);
    let next_cursor = last.map(|last| cursor::encode(last.id.as_uuid(), scope));
    Ok(Json(AuditPageBody { data: entries.into_iter().map(AuditEntryBody::from).collect(), next_cursor }))
}
