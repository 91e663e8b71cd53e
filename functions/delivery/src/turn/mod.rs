//! One job's turn, top to bottom: wake, attempt, record, next. `echo_shared::decision` decides each step; this module
//! carries it out.
//!
//! If the function dies at any point, the message comes back after its queue's visibility timeout, and the row says how
//! far the turn came: ARCHITECTURE.md, "A delivery fails and is retried".

pub(crate) mod health;
pub(crate) mod onward;
pub(crate) mod records;
pub(crate) mod retries;
pub(crate) mod rows;
pub(crate) mod slots;
pub(crate) mod slowness;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use echo_shared::attempt::{Attempt, Outcome};
use echo_shared::decision::{
    Lane, SHORT_WAIT, Wake, WithoutEvent, Woken, after_attempt, is_short, is_slept_through, on_wake,
    without_event, without_payload, without_probe,
};
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::event::Event;
use echo_shared::id::AttemptId;
use echo_shared::job::{Chain, DeliveryJob};
use echo_shared::rate_limit::Need;
use echo_shared::receiver_auth::ReceiverAuth;
use echo_shared::sealing::SealingError;
use echo_shared::slowness::{Hanging, SLOW_AFTER};
use echo_shared::store::{Advanced, StoreError};
use echo_shared::time::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use self::records::Records;
use self::retries::Retries;
use self::rows::Rows;
use self::slots::Reservation;
use self::slowness::SpeedMarks;
use crate::App;
use crate::message::{Disposal, Message};
use crate::metrics::Tally;
use crate::own_fault::OwnFault;
use crate::sender::headers::{self, Request};
use crate::sender::{Post, Sent, failure};

/// Time that is kept free at an invocation's end: the first to record an attempt, the second to answer Lambda.
const RECORD_TIME: Duration = Duration::from_secs(3);
const HAND_BACK_TIME: Duration = Duration::from_secs(2);

/// After a success that took this long the endpoint is read again. Another delivery's failure may have been counted
/// meanwhile, and the success must wipe it out, because outcomes count in order of completion (contract §7). A quicker
/// success is not worth another read.
const REREAD_AFTER: Duration = Duration::from_millis(250);

/// How long the calls before an attempt may take. After that another job may take this one for lost.
pub(crate) const SLOW_STORE: Duration = Duration::from_secs(2);

/// A job and everything that its turn needs.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) app: Arc<App>,
    pub(crate) message: Arc<Message>,
    pub(crate) lane: Lane,
    pub(crate) job: DeliveryJob,
    /// The job's part of the slots that its batch takes together, if the batch expected it to need one.
    pub(crate) reservation: Option<Reservation>,
    pub(crate) marks: Arc<SpeedMarks>,
    /// Absent when the batch has no other job.
    pub(crate) shared: Option<Shared>,
    pub(crate) tally: Arc<Tally>,
    /// When Lambda ends the invocation.
    pub(crate) deadline: Instant,
    /// Whether the message is a stream's.
    pub(crate) by_stream: bool,
    /// Set on the turn that a stream's runner makes on a delivery that it has just taken.
    pub(crate) by_runner: Option<TakenByRunner>,
}

/// Whether an attempt that starts after `wait` can end and be recorded by the invocation's deadline.
pub(crate) fn has_time_after(wait: Duration, app: &App, deadline: Instant) -> bool {
    Instant::now() + wait + app.settings.request_timeout + RECORD_TIME <= deadline
}

/// A delivery that its stream's runner has taken, so that no other job may make its first attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TakenByRunner {
    /// Its number; none if it is about to end without an attempt.
    pub(crate) number: Option<u64>,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// The delivery has ended, now or before. `is_counted` says whether its endpoint's row was changed by that (contract §7).
    Ended { is_counted: bool },
    /// The delivery goes on later: its message stays, or another job has taken its place.
    GoesOn(Disposal),
}

/// Requests that the turns of one batch make together instead of one each.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    records: Records,
    pub(crate) retries: Retries,
}

impl Shared {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        Self { records: Records::begin(app), retries: Retries::begin(app) }
    }
}

impl Turn {
    /// Takes the turn on the rows that the batch read, or reads its own rows if the batch could not be read as a whole.
    pub(crate) async fn take(&self, rows: Option<Rows>) -> Disposal {
        let taken = match rows {
            Some(rows) => self.act(rows).await,
            None => match self.load().await {
                Ok(rows) => self.act(rows).await,
                Err(error) => Err(error.into()),
            },
        };
        let taken = match taken {
            Ok(TurnEnd::Ended { .. }) => self.wake_stream().await,
            Ok(TurnEnd::GoesOn(disposal)) => return disposal,
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => Disposal::Delete,
            Err(error) => {
                tracing::error!(%error, "an internal fault holds a delivery up");
                self.message.back_off().await
            }
        }
    }

    /// Lets the stream go on that waits for this job's delivery, if one does.
    async fn wake_stream(&self) -> Result<(), OwnFault> {
        let Some(job) = self.job.wakes() else { return Ok(()) };
        // A lane that does not fit the endpoint's speed passes the job on.
        let lane = if self.lane == Lane::Slow { Lane::Slow } else { Lane::FirstAttempts };
        Ok(self.app.queues.of(lane).wake(&job).await?)
    }

    async fn load(&self) -> Result<Rows, StoreError> {
        let loaded = rows::load(&self.app.store, &[&self.job]).await?;
        Ok(Rows::of(&self.job, &loaded))
    }

    pub(crate) async fn act(&self, mut rows: Rows) -> Result<TurnEnd, OwnFault> {
        loop {
            let now = Timestamp::now();
            let mut delivery = match rows.delivery {
                Some(delivery) => Some(delivery),
                None => rows::create_missing(&self.app.store, &self.job, rows.event.as_deref()).await?,
            };
            if let (Some(delivery), Some(by_runner)) = (&mut delivery, self.by_runner) {
                delivery.sequence = delivery.sequence.or(by_runner.number);
            }
            let (endpoint, event) = (rows.endpoint.as_ref(), rows.event.as_deref());
            let needs_event = delivery.as_ref().is_none_or(|delivery| !delivery.status.is_final());
            let without_event = (needs_event && event.is_none())
                .then(|| without_event(&self.job, delivery.as_ref(), now, self.app.settings.api_timeout));
            if let Some(WithoutEvent::LookAgain { at }) = without_event {
                let wait = at.since(now);
                if !is_short(wait) || !self.has_time_after(wait) {
                    return Ok(TurnEnd::GoesOn(self.message.hide(wait).await));
                }
                sleep(wait).await;
                rows = self.load().await?;
                continue;
            }
            let Some(delivery) = delivery.filter(|delivery| !delivery.is_expired(now)) else {
                tracing::warn!("a job was dropped: its delivery has expired or never was");
                return Ok(TurnEnd::Ended { is_counted: false });
            };
            let request_timeout = self.app.settings.request_timeout;
            let mut wake = match without_event {
                Some(WithoutEvent::Lost) => {
                    let lost = format!("delivery {} has lost its event's row", delivery.id);
                    return Err(StoreError::Broken(lost.into()).into());
                }
                Some(_) => {
                    tracing::warn!("a delivery ends: its event was never accepted");
                    Wake::EndUnaccepted
                }
                None if needs_event && event.is_some_and(Event::is_erased) => without_payload(),
                None => {
                    // The clock of the function that accepted the event may be ahead, and the runner has taken the delivery.
                    let due = self.by_runner.map_or(now, |_| now.max(delivery.id.created_at()));
                    let wake = on_wake(&delivery, endpoint, &self.job, self.lane, due, request_timeout);
                    if self.by_runner.is_some() { wake.claimed() } else { wake }
                }
            };
            if let (Wake::Attempt { probe: Some(hanging), claim, .. }, Some(endpoint)) = (wake, endpoint)
                && !self.takes_probe(endpoint, hanging).await?
            {
                wake = without_probe(&delivery, &self.job, hanging, claim, now);
            }
            let short_wait = wake
                .waits_until()
                .map(|until| until.since(now))
                .filter(|wait| is_slept_through(&delivery, *wait) && self.has_time_after(*wait));
            if let Some(wait) = short_wait {
                sleep(wait).await;
                rows = self.load().await?;
                continue;
            }
            if let Some(decided) = self.woken().without_attempt(&delivery, wake, now) {
                return self.carry_out(delivery, endpoint, decided, now).await;
            }
            return match (wake, endpoint, event) {
                (Wake::Attempt { number, claim, need, .. }, Some(endpoint), Some(event)) => {
                    self.attempt(delivery, endpoint, event, number, claim, need).await
                }
                // Without an endpoint or an event no attempt is decided.
                _ => Ok(TurnEnd::GoesOn(self.message.back_off().await)),
            };
        }
    }

    /// This turn's job, for the decisions about it.
    fn woken(&self) -> Woken<'_> {
        Woken {
            job: &self.job,
            lane: self.lane,
            is_crowded: self.app.crowding.is_crowded(self.lane),
            by_stream: self.by_stream,
            receives: self.message.receives,
            request_timeout: self.app.settings.request_timeout,
            next_chain: Chain::new(),
        }
    }

    /// Whether an attempt that starts after `wait` can end and be recorded within this invocation.
    fn has_time_after(&self, wait: Duration) -> bool {
        has_time_after(wait, &self.app, self.deadline)
    }

    /// Whether this job gets the probe of an endpoint that hangs.
    async fn takes_probe(&self, endpoint: &Endpoint, hanging: Hanging) -> Result<bool, StoreError> {
        let store = &self.app.store;
        // Jobs that a person waits for are few, and each looks again until it gets a probe.
        let asks = self.job.by_hand || self.marks.may_probe(endpoint);
        Ok(asks && store.take_probe(endpoint, hanging, Timestamp::now()).await?)
    }

    async fn attempt(
        &self,
        mut delivery: Delivery,
        endpoint: &Endpoint,
        event: &Event,
        number: u32,
        claim: bool,
        need: Need,
    ) -> Result<TurnEnd, OwnFault> {
        let decided_at = Instant::now();
        // Without a payload no attempt is decided.
        let Some(payload) = &event.payload else {
            return Ok(TurnEnd::GoesOn(self.message.back_off().await));
        };
        let envelope = payload.unpack().map_err(StoreError::from)?;
        let secrets = self.app.keys.open(|keys| keys.secrets_of(endpoint, Timestamp::now())).await?;
        if claim {
            let claimed = self.woken().claim(&delivery, Timestamp::now());
            if self.write(&delivery, &claimed).await? == Advanced::Overtaken {
                return Ok(TurnEnd::GoesOn(self.overtaken().await));
            }
            claimed.transition.apply(&mut delivery);
        }
        if let Some(slot) = slots::take(&self.app.store, endpoint, need, self.reservation.as_ref()).await? {
            let wait = slot.at.since(Timestamp::now());
            if !is_short(wait) || !self.has_time_after(wait) {
                if decided_at.elapsed() > SLOW_STORE {
                    return Ok(TurnEnd::GoesOn(self.message.back_off().await));
                }
                let now = Timestamp::now();
                let decided = self.woken().put_off(&delivery, endpoint, slot, now);
                return self.carry_out(delivery, Some(endpoint), decided, now).await;
            }
            sleep(wait).await;
        }
        // The decision allows the attempt a time that began with the decision; a slow store may have used it up.
        if decided_at.elapsed() > SLOW_STORE || !self.has_time_after(Duration::ZERO) {
            tracing::warn!("too little time is left for an attempt and its record");
            return Ok(TurnEnd::GoesOn(self.message.back_off().await));
        }

        let (began_at, began) = (Timestamp::now(), Instant::now());
        let headers = headers::signed(
            &Request { delivery: &delivery, secrets: &secrets, event, number },
            &self.app.settings.origin,
            &envelope,
            began_at,
        )
        .map_err(SealingError::from)?;
        let Sent { outcome, again } = self.send(endpoint, secrets.auth, headers, envelope, began_at).await;
        self.tally.add(|counts| counts.sent_again += u64::from(again));
        let took = began.elapsed();
        let attempt =
            Attempt::new(AttemptId::new(began_at), delivery.triggered_by, &endpoint.url, &outcome, took);
        tracing::info!(
            attempt = number,
            http_status = attempt.http_status,
            duration_ms = attempt.duration_ms,
            outcome = failure::name_of(&outcome),
            sent_again = again,
            "attempted",
        );

        let schedule = &self.app.settings.schedule;
        let now = Timestamp::now();
        let step = after_attempt(number, delivery.triggered_by, &outcome, schedule, now, rand::random());
        let is_stale = outcome.is_success() && took >= REREAD_AFTER;
        let endpoint = if is_stale { &self.reread(endpoint).await } else { endpoint };
        let decided = self.woken().conclude(&delivery, endpoint, attempt, step, now);
        self.carry_out(delivery, Some(endpoint), decided, now).await
    }

    /// Makes the request, and marks on the endpoint's row whether it was slow to answer.
    async fn send(
        &self,
        endpoint: &Endpoint,
        auth: Option<ReceiverAuth>,
        headers: Vec<(String, String)>,
        envelope: Vec<u8>,
        now: Timestamp,
    ) -> Sent {
        let mut request = pin!(async {
            let settings = &self.app.settings;
            match EndpointUrl::parse(&endpoint.url, &settings.addresses) {
                Ok(url) => {
                    let (project, endpoint) = (endpoint.project_id, endpoint.id);
                    let post = Post { project, endpoint, url, headers, body: envelope, auth };
                    self.app.sender.send(post).await
                }
                // The URL was allowed when it was registered; the settings or the API's address have changed since.
                Err(refused) => {
                    let outcome = Outcome::Failed { cause: failure::of_url(refused) };
                    Sent { outcome, again: false }
                }
            }
        });
        let sent = match timeout(SLOW_AFTER, &mut request).await {
            Ok(sent) => sent,
            Err(_) => {
                self.marks.slow(&self.app, endpoint, Timestamp::now());
                request.await
            }
        };
        let ended_at = Timestamp::now();
        let is_slow = ended_at.since(now) >= SLOW_AFTER.min(self.app.settings.request_timeout);
        match sent.outcome {
            Outcome::Failed { .. } | Outcome::NoToken { .. } if is_slow => {
                self.marks.slow(&self.app, endpoint, ended_at);
                self.marks.unanswered(&self.app, endpoint, now, ended_at);
            }
            _ => self.marks.answered(&self.app, endpoint, ended_at),
        }
        sent
    }

    /// Reads the endpoint again after a slow success: a failure may have been counted while the attempt ran.
    async fn reread(&self, endpoint: &Endpoint) -> Endpoint {
        let time = self.deadline.saturating_duration_since(Instant::now() + RECORD_TIME);
        let read = timeout(SHORT_WAIT.min(time), self.load()).await;
        read.ok().and_then(Result::ok).and_then(|rows| rows.endpoint).unwrap_or_else(|| endpoint.clone())
    }
}
