//! Accepts the events of a batch by requests that they share, as `echo_shared::accept` accepts one event.

use std::sync::Arc;

use echo_shared::accept::{self, AcceptError, Acceptance, EventWritten, Jobs};
use echo_shared::delivery::Delivery;
use echo_shared::event::Event;
use echo_shared::id::{EventId, ProjectId};
use echo_shared::line_up::line_up;
use echo_shared::route::Routes;
use echo_shared::store::{Accepted, StoreError};
use echo_shared::time::Timestamp;

use crate::App;
use crate::coalescer::Coalescer;

/// The shared requests of a batch: for the events' rows, their deliveries' rows and their jobs.
#[derive(Debug, Clone)]
pub(crate) struct Accepting {
    events: Coalescer<Event, bool>,
    rows: Coalescer<Vec<Delivery>, Vec<bool>>,
    jobs: Coalescer<(ProjectId, EventId, Jobs), usize>,
}

impl Accepting {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        Self {
            events: Coalescer::new(app, write_events),
            rows: Coalescer::new(app, write_rows),
            jobs: Coalescer::without_deadline(app, send_all),
        }
    }

    /// Makes an event durable.
    ///
    /// # Errors
    /// Those of [`accept::accept`].
    pub(crate) async fn accept(
        &self,
        app: &App,
        event: Event,
        routes: &Routes,
        now: Timestamp,
    ) -> Result<Acceptance, AcceptError> {
        let accepted = self.write_event(app, &event, now).await?;
        let event_written = accept::after_event_written(app.sinks(), event, accepted, routes, now).await?;
        self.write_rows(app, event_written.rows()).await?;
        let EventWritten { acceptance, jobs, in_streams, .. } = event_written;
        self.send(&acceptance.event, jobs).await?;
        line_up(app.sinks(), in_streams).await?;
        Ok(acceptance)
    }

    async fn write_event(&self, app: &App, event: &Event, now: Timestamp) -> Result<Accepted, StoreError> {
        match self.events.ask(event.clone()).await {
            Some(true) => Ok(Accepted::New),
            _ => app.store.accept_event(event, now).await,
        }
    }

    async fn write_rows(&self, app: &App, rows: Vec<Delivery>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let is_written = self.rows.ask(rows.clone()).await;
        let mut is_written = is_written.unwrap_or_default().into_iter();
        let left: Vec<_> = rows.into_iter().filter(|_| is_written.next() != Some(true)).collect();
        app.store.create_deliveries(&left).await
    }

    /// Sends no job a second time: it would be one more request to the receiver.
    async fn send(&self, event: &Event, jobs: Jobs) -> Result<(), AcceptError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let count = jobs.len();
        match self.jobs.ask((event.project_id, event.event_id, jobs)).await.unwrap_or(count) {
            0 => Ok(()),
            in_doubt => Err(AcceptError::InDoubt(in_doubt)),
        }
    }
}

async fn write_events(app: Arc<App>, events: Vec<Event>) -> Vec<bool> {
    app.store.accept_events(&events).await
}

async fn write_rows(app: Arc<App>, of_events: Vec<Vec<Delivery>>) -> Vec<Vec<bool>> {
    let mut is_written = app.store.try_create_deliveries(&of_events.concat()).await.into_iter();
    of_events.iter().map(|rows| is_written.by_ref().take(rows.len()).collect()).collect()
}

/// For each event, the number of jobs that may not be in the queue.
async fn send_all(app: Arc<App>, of_events: Vec<(ProjectId, EventId, Jobs)>) -> Vec<usize> {
    let mut jobs = Jobs::default();
    let mut events = Vec::with_capacity(of_events.len());
    for (project_id, event_id, own) in of_events {
        jobs.add(own);
        events.push((project_id, event_id));
    }
    let in_doubt = accept::send(app.sinks(), jobs).await;
    let of = |event| in_doubt.iter().filter(|job| (job.project_id, job.event_id) == event).count();
    events.into_iter().map(of).collect()
}
