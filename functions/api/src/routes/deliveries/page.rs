//! One page of deliveries, of an endpoint or of a project: its query, and where it ends.

use echo_shared::cursor;
use echo_shared::delivery::{Delivery, DeliveryStatus};
use echo_shared::event_name::EventNames;
use echo_shared::id::{DeliveryId, EndpointId, ProjectId};
use echo_shared::shards::Shard;
use echo_shared::store::{DeliveryFilter, Found, Owners};
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{DeliveryBody, FIELDS};
use crate::app::App;
use crate::error::ApiError;
use crate::http::paging::{self, Budget, Chosen, SEARCH_TIME, scope_of};
use crate::http::request::QueryValues;
use crate::openapi::lists::DeliveryRow;
use crate::openapi::values::PageCursor;

/// The most envelopes that certainly fit a page, however large each is. Each further load asks for twice as many.
const FIRST_LOAD: usize = 11;

/// The most partitions that a page without an event's name asks. A page of one name asks no more: 100 endpoints with 64 shards.
const MOST_PARTITIONS: usize = 6_400;

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryPage)]
pub struct PageBody {
    #[schema(value_type = Vec<DeliveryRow>, max_items = 100)]
    data: Vec<Box<RawValue>>,
    /// For the next page; null at the end.
    #[schema(value_type = Option<PageCursor>, required)]
    next_cursor: Option<String>,
}

/// A page's query, parsed.
#[derive(Debug)]
pub struct Page {
    filter: DeliveryFilter,
    limit: usize,
    after: Option<DeliveryId>,
    scope: [String; 5],
    chosen: Chosen,
}

impl Page {
    /// A page of one endpoint.
    ///
    /// # Errors
    /// When a value is not allowed, or the cursor belongs to another list or other filters.
    pub fn of_endpoint(query: &QueryValues, id: &EndpointId, names: &EventNames) -> Result<Self, ApiError> {
        Self::read(query, id.to_string(), names)
    }

    /// A page of all endpoints of a project.
    ///
    /// # Errors
    /// When a value is not allowed, or the cursor belongs to another list or other filters.
    pub fn of_project(query: &QueryValues, id: &ProjectId, names: &EventNames) -> Result<Self, ApiError> {
        Self::read(query, format!("project {id}"), names)
    }

    /// # Errors
    /// When a value is not allowed, or the cursor belongs to another list or other filters.
    fn read(query: &QueryValues, list: String, names: &EventNames) -> Result<Self, ApiError> {
        query.only(&["status", "event_name", "since", "until", "limit", "cursor", "fields"])?;
        let statuses = "one of: pending, retrying, success, failed";
        let filter = DeliveryFilter {
            status: query.optional("status", statuses, DeliveryStatus::parse)?,
            event_name: paging::event_name(query, names)?,
            since: paging::time(query, "since")?,
            until: paging::time(query, "until")?,
        };
        let limit = paging::limit(query)?;
        let scope = [
            list,
            filter.status.map_or("", DeliveryStatus::as_str).to_owned(),
            filter.event_name.as_ref().map_or_else(String::new, ToString::to_string),
            scope_of(filter.since),
            scope_of(filter.until),
        ];
        let position = |text: &str| {
            let id = cursor::decode(text, &scope).ok()?;
            DeliveryId::parse(&id.to_string()).ok()
        };
        let after = query.optional("cursor", "the next_cursor of a page with the same filters", position)?;
        Ok(Self { filter, limit, after, scope, chosen: Chosen::read(query, FIELDS)? })
    }

    /// The endpoints of a project, as far as this page needs them.
    ///
    /// # Errors
    /// When the project is gone, the store did not answer, or the page would take too many queries.
    pub async fn owners(&self, app: &App, id: &ProjectId, copy: Shard) -> Result<Owners, ApiError> {
        let is_indexed = self.filter.status.is_some_and(DeliveryStatus::wants_attention);
        if is_indexed {
            return app.store.owners_by_id(id, copy).await?.ok_or_else(ApiError::foreign_project);
        }
        let owners = app.store.owners(id, copy).await?.ok_or_else(ApiError::foreign_project)?;
        let name = self.filter.event_name.as_ref();
        if name.is_none() && owners.partitions(name).len() > MOST_PARTITIONS {
            return Err(ApiError::invalid(
                "event_name, or a status of failed or retrying, must narrow the search: the project has too many endpoints, event \
                 names and shards to look through all of them",
            ));
        }
        Ok(owners)
    }

    /// # Errors
    /// When the store did not answer.
    pub async fn load(&self, app: &App, owners: &Owners, now: Timestamp) -> Result<PageBody, ApiError> {
        // One more than is shown, to know whether there is more.
        let limit = self.limit + 1;
        let search = app.store.deliveries(owners, &self.filter, self.after, limit, SEARCH_TIME, now);
        let Found { rows, stopped_at } = paging::searched(search).await?;
        let shown = &rows[..rows.len().min(self.limit)];
        let mut data = Vec::with_capacity(shown.len());
        let mut budget = Budget::default();
        let mut load = FIRST_LOAD;
        while data.len() < shown.len() {
            let next = &shown[data.len()..shown.len().min(data.len() + load)];
            let fitting = self.bodies(app, next, &mut budget).await?;
            let is_full = fitting.len() < next.len();
            data.extend(fitting);
            if is_full {
                break;
            }
            load *= 2;
        }
        let has_more = data.len() < rows.len();
        let last = data.len().checked_sub(1).filter(|_| has_more).map(|index| rows[index].id.as_uuid());
        let next_cursor = last.or(stopped_at).map(|position| self.cursor_after(position));
        Ok(PageBody { next_cursor, data })
    }

    /// The rows as JSON, up to the first that the budget does not hold.
    async fn bodies(
        &self,
        app: &App,
        rows: &[Delivery],
        budget: &mut Budget,
    ) -> Result<Vec<Box<RawValue>>, ApiError> {
        let envelopes = if self.chosen.has("payload") {
            app.store.envelopes(rows).await?
        } else {
            vec![None; rows.len()]
        };
        let mut bodies = Vec::with_capacity(rows.len());
        for (row, envelope) in rows.iter().zip(envelopes) {
            let Some(body) = budget.take(self.chosen.of(&DeliveryBody::new(row, envelope)?)?) else {
                break;
            };
            bodies.push(body);
        }
        Ok(bodies)
    }

    fn cursor_after(&self, position: Uuid) -> String {
        cursor::encode(position, &self.scope)
    }
}
