//! Sends operational events (`echo_shared::operational`): to the operator, and to those endpoints of the project itself
//! that are subscribed to them. In a project they are ordinary events, which are durable, signed and retried like any
//! other.
//!
//! They are sent before `uncounted` is removed from the delivery's row, so after a crash the same events, with the same
//! ids, are sent again. When one cannot be sent, `untold` takes the place of `uncounted`: it has the events as they are, so
//! that the delivery may be tried by hand meanwhile. (Rejected: a queue or stream of their own. Their events would need
//! everything that deliveries already have.)

use echo_shared::accept::{AcceptError, accept};
use echo_shared::aws::Failure;
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::event::{Event, EventContent};
use echo_shared::id::ProjectId;
use echo_shared::notice::{Kind, Notice};
use echo_shared::operational::{may_concern_its_project, notice};
use echo_shared::partition::Partition;
use echo_shared::route::Routes;
use echo_shared::shards::Shard;
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;

use crate::App;
use crate::own_fault::OwnFault;

/// Whether anyone may get an operational event about this delivery.
pub(crate) fn may_be_told(app: &App, delivery: &Delivery) -> bool {
    app.operator.hears_of(&delivery.project_id) || is_for_its_project(app, delivery)
}

/// The operator's project gets the operational events of all others, and none of its own.
fn is_for_its_project(app: &App, delivery: &Delivery) -> bool {
    app.operator.project_id != Some(delivery.project_id) && may_concern_its_project(delivery)
}

/// The operational events about a delivery's end that somebody may get.
///
/// # Errors
/// Never in practice.
pub(crate) fn of_end(
    app: &App,
    kinds: &[Kind],
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
) -> Result<Vec<Notice>, StoreError> {
    if !may_be_told(app, delivery) {
        return Ok(Vec::new());
    }
    let notices = kinds.iter().map(|kind| notice(*kind, delivery, endpoint, &app.settings.stack_name));
    notices.collect::<Result<_, _>>().map_err(|error| StoreError::Broken(Failure::of(error)))
}

/// Sends operational events to each of their receivers. A repeat sends the same events.
///
/// # Errors
/// When it is not certain that all were sent: they have to be sent again.
pub(crate) async fn tell(app: &App, delivery: &Delivery, notices: &[Notice]) -> Result<(), OwnFault> {
    // The operator's bus may be out of order for days, which is no reason to leave the project in the dark.
    if is_for_its_project(app, delivery) {
        for notice in notices {
            tell_project(app, delivery, notice).await?;
        }
    }
    if app.operator.hears_of(&delivery.project_id) {
        for notice in notices {
            tell_operator(app, notice).await?;
        }
    }
    Ok(())
}

async fn tell_operator(app: &App, notice: &Notice) -> Result<(), OwnFault> {
    if let Some(project_id) = app.operator.project_id {
        let routes = app.store.routes(&project_id, Shard::FIRST).await?;
        if routes.as_ref().is_none_or(|routes| routes.endpoints.is_empty()) {
            let lacks = if routes.is_some() { "has no endpoint" } else { "names no project" };
            tracing::warn!(event = notice.kind.name(), %project_id, "OperatorProjectId {lacks}: no webhook tells the operator");
        }
        if let Some(routes) = routes {
            accept_in(app, project_id, routes, notice).await?;
        }
    }
    if let Some(bus) = &app.operator.bus {
        bus.put(notice).await?;
    }
    tracing::info!(event = notice.kind.name(), "the operator was told");
    Ok(())
}

/// A project without an endpoint for this event pays the read of its routing row. An endpoint gets no event about itself.
async fn tell_project(app: &App, delivery: &Delivery, notice: &Notice) -> Result<(), OwnFault> {
    let copy = Partition::of(&delivery.id).shard;
    let Some(routes) = app.store.routes(&delivery.project_id, copy).await? else { return Ok(()) };
    let others = routes.without(&delivery.endpoint_id);
    if others.has_subscriber(&notice.kind.event_name()) {
        accept_in(app, delivery.project_id, others, notice).await?;
        tracing::info!(event = notice.kind.name(), "the project was told");
    }
    Ok(())
}

async fn accept_in(
    app: &App,
    project_id: ProjectId,
    routes: Routes,
    notice: &Notice,
) -> Result<(), OwnFault> {
    let (id, now) = (notice.event_id, Timestamp::now());
    let name = notice.kind.event_name();
    let data = notice.raw_data().map_err(|error| StoreError::Broken(Failure::of(error)))?;
    let content = EventContent { name, customer_id: None, notification_id: None, data };
    let event = Event::accept(project_id, id, &content, &routes, now, app.settings.retention);
    // The id alone identifies the event: its details may have changed when it is sent again.
    let event = Event { content_hash: id.to_string(), ..event };
    match accept(app.sinks(), event, &routes, now).await {
        Ok(_) | Err(AcceptError::Erased) => Ok(()),
        // The id can be computed from the delivery's, so a producer can take it for an event of its own.
        Err(AcceptError::Conflict { .. }) => {
            tracing::warn!(event_id = %id, %project_id, "another event of the project has the id of an operational event");
            Ok(())
        }
        Err(error) => Err(OwnFault::NotAccepted(error)),
    }
}
