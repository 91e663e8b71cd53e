//! One page of a project's events: its query, and where it ends.

use std::collections::HashMap;

use echo_shared::cursor;
use echo_shared::event_name::EventNames;
use echo_shared::id::{EventId, ProjectId};
use echo_shared::store::{EventFilter, EventsWanted, Found, ReadEvent};
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::body::{EventBody, FIELDS, deliveries_of};
use crate::app::App;
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::paging::{self, Budget, Chosen, MAX_BYTES, SEARCH_TIME, scope_of};
use crate::http::request::QueryValues;
use crate::openapi::lists::EventRow;
use crate::openapi::values::PageCursor;

/// Deliveries whose rows are read at once; an event that has more is read by itself.
const DELIVERIES_AT_ONCE: usize = 500;

/// A page of events.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub struct EventPageBody {
    #[schema(value_type = Vec<EventRow>, max_items = 100)]
    data: Vec<Box<RawValue>>,
    /// For the next page; null at the end.
    #[schema(value_type = Option<PageCursor>, required)]
    next_cursor: Option<String>,
}

/// A page's query, parsed.
#[derive(Debug)]
pub struct EventPage {
    filter: EventFilter,
    limit: usize,
    after: Option<EventId>,
    scope: [String; 5],
    chosen: Chosen,
}

impl EventPage {
    /// # Errors
    /// When a value is not allowed, or the cursor belongs to another project or other filters.
    pub fn read(query: &QueryValues, project_id: &ProjectId, names: &EventNames) -> Result<Self, ApiError> {
        query.only(&["event_name", "since", "until", "limit", "cursor", "fields"])?;
        let filter = EventFilter {
            event_name: paging::event_name(query, names)?,
            since: paging::time(query, "since")?,
            until: paging::time(query, "until")?,
        };
        let limit = paging::limit(query)?;
        let scope = [
            "events".to_owned(),
            project_id.to_string(),
            filter.event_name.as_ref().map_or_else(String::new, ToString::to_string),
            scope_of(filter.since),
            scope_of(filter.until),
        ];
        let list_key = |text: &str| {
            let id = cursor::decode(text, &scope).ok()?;
            EventId::parse(&id.to_string()).ok()
        };
        let after = query.optional("cursor", "the next_cursor of a page with the same filters", list_key)?;
        Ok(Self { filter, limit, after, scope, chosen: Chosen::read(query, FIELDS)? })
    }

    /// # Errors
    /// When the store did not answer.
    pub async fn load(
        &self,
        app: &App,
        project: &InProject,
        now: Timestamp,
    ) -> Result<EventPageBody, ApiError> {
        // One more than is shown, to know whether there is more.
        let envelope_bytes = self.chosen.has("payload").then_some(MAX_BYTES);
        let page = EventsWanted { rows: self.limit + 1, envelope_bytes, search: SEARCH_TIME };
        let search = app.store.events(&project.id, project.shards, &self.filter, self.after, page, now);
        let Found { rows, stopped_at } = paging::searched(search).await?;
        let mut data = Vec::new();
        let mut budget = Budget::default();
        'page: while data.len() < rows.len().min(self.limit) {
            let next = together(&rows[data.len()..rows.len().min(self.limit)]);
            let deliveries = if self.chosen.has("deliveries") {
                deliveries_of(app, next.iter().map(|row| &row.event)).await?
            } else {
                HashMap::new()
            };
            for row in next {
                let body = EventBody::new(&row.event, row.envelope.clone(), &deliveries)?;
                let Some(body) = budget.take(self.chosen.of(&body)?) else {
                    break 'page;
                };
                data.push(body);
            }
        }
        let last = data.len().checked_sub(1).filter(|_| data.len() < rows.len());
        let last = last.map(|index| rows[index].event.list_key().as_uuid());
        let next_cursor = last.or(stopped_at).map(|position| cursor::encode(position, &self.scope));
        Ok(EventPageBody { data, next_cursor })
    }
}

/// The first of the events, as many as have few enough deliveries together; at least one.
fn together(rows: &[ReadEvent]) -> &[ReadEvent] {
    let mut deliveries = 0;
    let fitting = rows.iter().take_while(|row| {
        deliveries += row.event.deliveries.len();
        deliveries <= DELIVERIES_AT_ONCE
    });
    &rows[..fitting.count().clamp(1, rows.len())]
}
