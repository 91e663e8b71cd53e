//! Events from the intake queue. Each is accepted by itself as an event by HTTPS is, or parked with the reason (contract §4).
//!
//! Events of one batch share reads and writes, and write their rows before they send their jobs. IAM has authorized the
//! producer, so the body names the project, whose routing row names the account whose event types count. An event
//! without an `event_id` gets EventBridge's id or the message's, so a message that comes again brings the same event.
//! The message is deleted once the event is durable, hidden after an internal fault, and parked if the event is
//! refused.

mod accepting;
mod reads;

use std::sync::Arc;
use std::time::Duration;

use echo_shared::accept::{AcceptError, Acceptance, accept};
use echo_shared::budget::{self, Budgeted};
use echo_shared::event::Event;
use echo_shared::fields::Refused;
use echo_shared::id::{AccountId, ProjectId};
use echo_shared::intake::{self, Incoming};
use echo_shared::route::Routes;
use echo_shared::shards::Shard;
use echo_shared::store::{Spent, StoreError};
use echo_shared::time::Timestamp;
use serde_json::json;

use crate::App;
use crate::intake::accepting::Accepting;
use crate::intake::reads::Reads;
use crate::lanes::INTAKE;
use crate::message::{Disposal, Message};
use crate::metrics::Tally;

/// The reason on a parked event of an unknown project.
pub(crate) const NO_PROJECT: &str = "project_id names no project; the event's content is not kept";

/// How much of an event that was not accepted may be parked.
#[derive(Debug)]
pub(crate) enum Kept {
    /// All of its content: its project is there, or it names none.
    Whole,
    /// There is no such project, or none any more. The content may belong to an owner who had the project erased, so only the
    /// project's id is parked.
    Ids(String),
    /// Its project has been erased.
    Nothing,
}

impl Kept {
    /// Of an event with this body, by the routes of the project that it names.
    fn of(project_id: ProjectId, routes: Option<&Routes>) -> Self {
        match routes {
            Some(routes) if routes.is_erased => Self::Nothing,
            Some(_) => Self::Whole,
            None => Self::Ids(json!({ "project_id": project_id }).to_string()),
        }
    }

    /// Of an event that has waited until its queue gave it up.
    ///
    /// # Errors
    /// When the project could not be read.
    pub(crate) async fn of_given_up(app: &App, body: &str) -> Result<Self, StoreError> {
        let Some(project_id) = intake::project_named(body) else { return Ok(Self::Whole) };
        let routes = app.store.routes_or_mark(&project_id, Shard::FIRST).await?;
        Ok(Self::of(project_id, routes.as_ref()))
    }
}

/// The reads and requests that the events of one batch share.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    app: Arc<App>,
    reads: Arc<Reads>,
    /// `None` for a batch of one event.
    others: Option<Accepting>,
    tally: Arc<Tally>,
}

/// Why an event was not accepted.
enum NotAccepted {
    Refused(Refused),
    /// The project does not exist, or no longer. Only these ids of the event are parked, because its content may belong
    /// to an owner who had the project erased.
    NoProject {
        ids: String,
    },
    /// Its payload or its project has been erased: nobody may keep it.
    Erased,
    /// The project's budget is spent, and the event waits for this long.
    OverBudget(ProjectId, Duration),
    /// An internal fault.
    Fault(String),
}

impl From<Refused> for NotAccepted {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<AcceptError> for NotAccepted {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Conflict { .. } => Self::Refused(Refused::new(error.to_string())),
            AcceptError::Erased => Self::Erased,
            AcceptError::Store(_) | AcceptError::InDoubt(_) | AcceptError::TooLate => {
                Self::Fault(error.to_string())
            }
        }
    }
}

impl Intake {
    pub(crate) fn begin(app: &Arc<App>, tally: &Arc<Tally>, events: usize) -> Self {
        let others = (events > 1).then(|| Accepting::begin(app));
        Self { app: app.clone(), reads: Arc::default(), others, tally: tally.clone() }
    }

    /// Accepts the event in a message, or parks the message.
    pub(crate) async fn take(self, message: Arc<Message>, body: String) -> Disposal {
        let (app, tally) = (self.app.clone(), self.tally.clone());
        match self.accept(&message, &body).await {
            Ok(Acceptance { event, duplicate }) => {
                tracing::info!(
                    message_id = message.id,
                    project_id = %event.project_id,
                    event_id = %event.event_id,
                    deliveries = event.deliveries.len(),
                    duplicate,
                    "an event was accepted",
                );
                tally.add(|counts| counts.accepted += u64::from(!duplicate));
                Disposal::Delete
            }
            Err(NotAccepted::Refused(Refused(reason))) => {
                refuse(&app, &message, &tally, &body, &reason).await
            }
            Err(NotAccepted::NoProject { ids }) => refuse(&app, &message, &tally, &ids, NO_PROJECT).await,
            Err(NotAccepted::Erased) => {
                tracing::info!(message_id = message.id, "an event was dropped: it or its project is erased");
                Disposal::Delete
            }
            Err(NotAccepted::OverBudget(project_id, wait)) => {
                tracing::warn!(message_id = message.id, %project_id, "an event waits for its project's budget");
                tally.add(|counts| counts.over_budget += 1);
                message.hide(wait).await
            }
            Err(NotAccepted::Fault(error)) => {
                tracing::error!(
                    message_id = message.id,
                    error,
                    "an event waits for an internal fault to pass"
                );
                message.back_off().await
            }
        }
    }

    async fn accept(self, message: &Message, body: &str) -> Result<Acceptance, NotAccepted> {
        let app = &self.app;
        let incoming = match intake::read(body, &message.id, &app.settings.event_names) {
            Ok(incoming) => incoming,
            Err(refused) => return Err(self.refused(body, refused).await),
        };
        let Incoming { project_id, event_id, ref content, .. } = incoming;
        let routes = self.reads.routes(&app.store, project_id).await.map_err(NotAccepted::Fault)?;
        let Some(routes) = routes else {
            let name = &content.name;
            let ids =
                json!({ "project_id": project_id, "event_id": event_id, "event_name": name }).to_string();
            return Err(NotAccepted::NoProject { ids });
        };
        if routes.is_erased {
            return Err(NotAccepted::Erased);
        }
        self.check_name(&incoming, routes.account_id).await?;
        self.budget(message, project_id).await?;
        let now = Timestamp::now();
        let event = Event::accept(project_id, event_id, content, &routes, now, app.settings.retention);
        let accepted = match &self.others {
            Some(others) => others.accept(app, event, &routes, now).await?,
            None => accept(app.sinks(), event, &routes, now).await?,
        };
        Ok(accepted)
    }

    /// The reason why an event with this body is not accepted; its fault does not depend on its project.
    async fn refused(&self, body: &str, refused: Refused) -> NotAccepted {
        let Some(project_id) = intake::project_named(body) else { return NotAccepted::Refused(refused) };
        match self.reads.routes(&self.app.store, project_id).await {
            Ok(routes) => match Kept::of(project_id, routes.as_deref()) {
                Kept::Whole => NotAccepted::Refused(refused),
                Kept::Ids(ids) => NotAccepted::NoProject { ids },
                Kept::Nothing => NotAccepted::Erased,
            },
            Err(fault) => NotAccepted::Fault(fault),
        }
    }

    /// Checks that the event's name is one of the deployment's, or of the types of the project's account.
    async fn check_name(&self, event: &Incoming<'_>, account: Option<AccountId>) -> Result<(), NotAccepted> {
        let (store, configured) = (&self.app.store, &self.app.settings.event_names);
        let refused = event.is_named_by(configured);
        let (Err(_), Some(account)) = (&refused, account) else { return Ok(refused?) };
        let kept = store.kept_own_names(&account, Timestamp::now());
        if kept.is_some_and(|kept| event.is_named_by(&configured.with_own(kept)).is_ok()) {
            return Ok(());
        }
        let own = self.reads.own_names(store, account).await.map_err(NotAccepted::Fault)?;
        Ok(event.is_named_by(&configured.with_own(own))?)
    }

    /// Takes a permit from the project's budget, or says how long the event waits for one.
    async fn budget(&self, message: &Message, project_id: ProjectId) -> Result<(), NotAccepted> {
        let (app, now) = (&self.app, Timestamp::now());
        let taken = app.budgets.take(Budgeted::Events, &project_id, now).await;
        let Err(Spent { until, .. }) = taken else { return Ok(()) };
        let is_crowded = app.crowding.is_intake_crowded(&app.queues).await;
        let wait = budget::wait(until, message.receives, is_crowded, rand::random(), now);
        wait.map_or(Ok(()), |wait| Err(NotAccepted::OverBudget(project_id, wait)))
    }
}

/// Parks the part of a refused event that may be kept.
async fn refuse(app: &App, message: &Message, tally: &Tally, body: &str, reason: &str) -> Disposal {
    if let Err(error) = app.queues.park(message, INTAKE, body, reason).await {
        tracing::error!(message_id = message.id, %error, "a refused event is not parked yet");
        return message.back_off().await;
    }
    tracing::warn!(message_id = message.id, %reason, "an event was refused and is parked");
    tally.add(|counts| counts.intake_refused += 1);
    Disposal::Delete
}

#[cfg(test)]
mod tests {
    use echo_shared::event_name::EventNames;
    use serde_json::Value;

    use super::*;
    use crate::SqsEvent;

    const PROJECT: &str = "019d8257-8a4b-7000-8000-000000000001";

    /// The envelope that a body becomes, for receivers of the samples' project.
    fn envelope(body: &str, message_id: &str) -> Value {
        let names = EventNames::parse("call.started,call.ended,call.summary").expect("names");
        let incoming = intake::read(body, message_id, &names).expect("an event");
        assert_eq!(incoming.project_id.to_string(), PROJECT);
        serde_json::from_slice(&incoming.content.envelope(&incoming.event_id)).expect("JSON")
    }

    fn sample(id: &str) -> Value {
        serde_json::json!({
            "event_id": id,
            "event_name": "call.ended",
            "customer_id": "customer-7",
            "notification_id": null,
            "data": { "call_id": "call_1", "duration_seconds": 227 },
        })
    }

    #[test]
    fn the_recorded_invocations_are_events() {
        for (recorded, id) in [
            (
                include_str!("../../../../events/delivery-intake-direct.json"),
                "019d8257-8a4b-7000-8000-000000000004",
            ),
            (
                include_str!("../../../../events/delivery-intake-eventbridge.json"),
                "7bf73129-1428-4cd3-a780-95db273d1602",
            ),
        ] {
            let event: SqsEvent = serde_json::from_str(recorded).expect("an event");
            for record in &event.records {
                assert_eq!(envelope(&record.body, &record.message_id), sample(id));
            }
        }
    }

    #[test]
    fn what_the_samples_tell_producers_to_send_is_taken() {
        let message = include_str!("../../../../events/producer-send-message.json");
        assert_eq!(envelope(message, "m"), sample("019d8257-8a4b-7000-8000-000000000004"));
        let entries = include_str!("../../../../events/producer-put-events.json");
        let entries: Value = serde_json::from_str(entries).expect("JSON");
        let (name, detail) = (&entries[0]["DetailType"], entries[0]["Detail"].as_str().expect("text"));
        let id = "059f36b4-87a3-44ab-83d2-661975970009";
        assert_eq!(envelope(&format!(r#"{{"detail-type":{name},"detail":{detail}}}"#), id), sample(id));
    }
}
