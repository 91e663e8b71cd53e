//! `…/events/batch`: many events in one request, each of which stands for itself (contract §4).

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use echo_shared::accept::Acceptance;
use echo_shared::accept_many::{Posted, accept_many};
use echo_shared::budget::Budgeted;
use echo_shared::event::{Event, EventContent};
use echo_shared::event_input;
use echo_shared::event_name::EventNames;
use echo_shared::fields::Fields;
use echo_shared::id::EventId;
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::AcceptedBody;
use super::routes_ahead::RoutesAhead;
use crate::app::AppState;
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::observe::{AcceptedBatch, Began};
use crate::http::request::QueryValues;

/// The most bytes of a batch.
pub const MAX_BYTES: usize = 1024 * 1024;

const MAX_EVENTS: usize = 100;

/// The most deliveries of one request, so that it has time for all of them.
const MAX_DELIVERIES: usize = 1_000;

/// When the work ends, counted from the request. The answer comes within ten seconds.
const WORK_TIME: Duration = Duration::from_millis(9_500);

/// What became of each event.
#[derive(Serialize, ToSchema)]
#[schema(as = EventBatchResults)]
pub struct BatchBody {
    /// In the order of the events.
    #[schema(min_items = 1, max_items = 100)]
    results: Vec<ResultBody>,
}

/// What became of one event.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = EventResult)]
enum ResultBody {
    Accepted(AcceptedResult),
    Refused(RefusedResult),
}

/// An event that is durable.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedResult)]
struct AcceptedResult {
    #[schema(minimum = 202, maximum = 202)]
    status: u16,
    #[serde(flatten)]
    accepted: AcceptedBody,
}

/// An event that was not accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusedResult)]
struct RefusedResult {
    /// The status of its refusal, or 202 for an event that is durable.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// For people. Names the field and the allowed values.
    #[schema(min_length = 1)]
    message: String,
}

/// `POST …/events/batch`
pub async fn create_many(
    State(app): State<AppState>,
    Extension(Began(began)): Extension<Began>,
    project: InProject,
    ahead: RoutesAhead,
    query: QueryValues,
    body: RequestBody,
) -> Result<BatchBody, ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    fields.only(&["events"])?;
    let texts = fields.required("events", format_args!("an array of 1 to {MAX_EVENTS} events"), array)?;
    let mut given = Vec::with_capacity(texts.len());
    for text in texts {
        given.push(app.by_posted_names(&project, |names| read(text, names)).await);
    }
    let routes = ahead.routes(&app, &project).await?;
    let now = Timestamp::now();
    let Sorted { mut places, mut events, mut outcomes } = sort(given, now, |event_id, content| {
        let retention = app.settings.retention;
        Event::accept(project.id, event_id, content, &routes, now, retention)
    });
    let permits = app.budgets.take_many(Budgeted::Events, &project.id, events.len(), now).await;
    if let Err(spent) = permits {
        events.truncate(spent.taken);
        let refused = places.drain(spent.taken..);
        outcomes.extend(refused.map(|place| (place, Err(ApiError::over_budget(spent, now)))));
    }
    let accepted = accept_many(app.sinks(), events, &routes, now, began + WORK_TIME).await;
    let accepted = accepted.into_iter().map(|outcome| outcome.map_err(ApiError::from));
    outcomes.extend(places.into_iter().zip(accepted));
    Ok(BatchBody { results: outcomes.into_values().map(ResultBody::from).collect() })
}

/// An event as the producer gave it.
type Given<'a> = (Option<EventId>, EventContent<'a>);

type Answer = Result<Acceptance, ApiError>;

/// The events to accept with their places in the request, and by place the outcomes of the others.
#[derive(Default)]
struct Sorted {
    places: Vec<usize>,
    events: Vec<Posted>,
    outcomes: BTreeMap<usize, Answer>,
}

fn sort<'a>(
    given: Vec<Result<Given<'a>, ApiError>>,
    now: Timestamp,
    make: impl Fn(EventId, &EventContent<'a>) -> Event,
) -> Sorted {
    let mut sorted = Sorted::default();
    let mut deliveries = 0;
    for (place, given) in given.into_iter().enumerate() {
        let posted = given.and_then(|(event_id, content)| {
            let event = make(event_id.unwrap_or_else(|| EventId::new(now)), &content);
            deliveries += event.deliveries.len();
            // No later event is accepted either, so that events that are sent again keep their order.
            if deliveries > MAX_DELIVERIES {
                return Err(ApiError::too_many_deliveries());
            }
            Ok(Posted { event, has_own_id: event_id.is_some() })
        });
        match posted {
            Ok(posted) => {
                sorted.places.push(place);
                sorted.events.push(posted);
            }
            Err(refused) => _ = sorted.outcomes.insert(place, Err(refused)),
        }
    }
    sorted
}

fn array(value: &RawValue) -> Option<Vec<&RawValue>> {
    let events: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    (1..=MAX_EVENTS).contains(&events.len()).then_some(events)
}

fn read<'a>(text: &'a RawValue, names: &EventNames) -> Result<(Option<EventId>, EventContent<'a>), ApiError> {
    if text.get().len() > event_input::MAX_BYTES {
        return Err(ApiError::event_too_large(event_input::MAX_BYTES));
    }
    let fields: Fields<'a> =
        serde_json::from_str(text.get()).map_err(|_| ApiError::invalid("An event must be a JSON object"))?;
    // If a misspelled `event_id` were ignored, it would not be safe to send the event again.
    fields.only(&["event_name", "event_id", "customer_id", "notification_id", "data"])?;
    Ok(event_input::read(&fields, names)?)
}

impl From<Answer> for ResultBody {
    fn from(outcome: Answer) -> Self {
        match outcome {
            Ok(acceptance) => {
                let status = StatusCode::ACCEPTED.as_u16();
                Self::Accepted(AcceptedResult { status, accepted: acceptance.into() })
            }
            Err(refused) => {
                let (status, message) = refused.of_one_event();
                Self::Refused(RefusedResult { status: status.as_u16(), message })
            }
        }
    }
}

impl IntoResponse for BatchBody {
    fn into_response(self) -> Response {
        let mut logged = AcceptedBatch::default();
        for result in &self.results {
            match result {
                ResultBody::Accepted(AcceptedResult { accepted, .. }) => {
                    logged.event_ids.push(accepted.event_id);
                    logged.new += usize::from(!accepted.duplicate);
                }
                ResultBody::Refused(RefusedResult { status, .. }) => {
                    logged.over_budget += usize::from(*status == StatusCode::TOO_MANY_REQUESTS);
                }
            }
        }
        (Extension(logged), Json(self)).into_response()
    }
}
