//! One job's turn, top to bottom: wake, attempt, record, next. What to do is decided by `echo_shared::decision`;
//! here it is carried out.

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
use echo_shared::decision::{Lane, Step, Wake, after_attempt, on_wake, without_probe};
use echo_shared::delivery::{Delivery, DeliveryStatus, FailureReason};
use echo_shared::endpoint::Endpoint;
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::id::AttemptId;
use echo_shared::job::{Chain, DeliveryJob};
use echo_shared::rate_limit::Need;
use echo_shared::slowness::{Hanging, SLOW_AFTER};
use echo_shared::store::{Advanced, StoreError};
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;
use tokio::time::{Instant, sleep, timeout};

use self::records::Records;
use self::retries::Retries;
use self::rows::Rows;
use self::slots::Place;
use self::slowness::Notes;
use crate::App;
use crate::message::{Disposal, EARLY, Message};
use crate::metrics::Tally;
use crate::own_fault::OwnFault;
use crate::sender::{Post, Sent, failure, headers};

/// A wait this short is slept through; a hidden message would take a whole second and a new invocation.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// Kept free at an invocation's end: to record what an attempt did, and to answer Lambda.
const RECORD_TIME: Duration = Duration::from_secs(3);
const HAND_BACK_TIME: Duration = Duration::from_secs(2);

/// An endpoint read this long before a success ends may have had a failure counted since, which the success forgets
/// (contract §7: in order of completion). Quicker successes are not worth another read each.
const STALE: Duration = Duration::from_millis(250);

/// How long what precedes an attempt may take, before others may take this job for lost.
const SLOW_STORE: Duration = Duration::from_secs(2);

/// How long a job waits that found its row changed under it, before it looks again.
pub(crate) const OVERTAKEN_WAIT: Duration = Duration::from_secs(5);

/// A job and all that its turn needs.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) app: Arc<App>,
    pub(crate) message: Arc<Message>,
    pub(crate) lane: Lane,
    pub(crate) job: DeliveryJob,
    /// Where the batch reckoned with a slot for it.
    pub(crate) place: Option<Place>,
    pub(crate) notes: Arc<Notes>,
    /// Where the batch has others.
    pub(crate) shared: Option<Shared>,
    pub(crate) tally: Arc<Tally>,
    /// When Lambda ends the invocation.
    pub(crate) deadline: Instant,
}

/// What the turns of one batch share: requests for what each would else ask for by itself.
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
    /// Takes the turn on the batch's rows, or on its own where the batch could not be read as a whole.
    pub(crate) async fn take(&self, rows: Option<Rows>) -> Disposal {
        let taken = match rows {
            Some(rows) => self.act(rows).await,
            None => match self.load().await {
                Ok(rows) => self.act(rows).await,
                Err(error) => Err(error.into()),
            },
        };
        match taken {
            Ok(disposal) => disposal,
            Err(error) => {
                tracing::error!(%error, "a fault of our own holds a delivery up");
                self.message.back_off().await
            }
        }
    }

    async fn load(&self) -> Result<Rows, StoreError> {
        let loaded = rows::load(&self.app.store, &[&self.job]).await?;
        Ok(Rows::of(&self.job, &loaded))
    }

    async fn act(&self, mut rows: Rows) -> Result<Disposal, OwnFault> {
        loop {
            let now = Timestamp::now();
            let delivery = match rows.delivery {
                Some(delivery) => Some(delivery),
                None => rows::create_missing(&self.app.store, &self.job, now).await?,
            };
            let Some(delivery) = delivery.filter(|delivery| !delivery.is_expired(now)) else {
                tracing::warn!("a job was dropped: its delivery has expired or never was");
                return Ok(Disposal::Delete);
            };
            let endpoint = rows.endpoint.as_ref();
            let request_timeout = self.app.settings.request_timeout;
            let mut wake = on_wake(&delivery, endpoint, &self.job, self.lane, now, request_timeout);
            if let (Wake::Attempt { probe: Some(hanging), claim, .. }, Some(endpoint)) = (wake, endpoint)
                && !self.takes_probe(endpoint, hanging).await?
            {
                wake = without_probe(&delivery, &self.job, hanging, claim, now);
            }
            match (wake, endpoint) {
                (Wake::NotYet { until }, _) => {
                    let wait = until.since(now);
                    let short_wait = if delivery.slot.is_some() { SHORT_WAIT + EARLY } else { SHORT_WAIT };
                    if wait > short_wait || !self.has_time_after(wait) {
                        return self.wait(&delivery, until).await;
                    }
                    sleep(wait).await;
                    rows = self.load().await?;
                }
                (Wake::CountFailure, _) => {
                    health::tell(&self.app, &delivery, endpoint, now).await?;
                    return Ok(Disposal::Delete);
                }
                (Wake::End { reason }, _) => return self.end(&delivery, reason, now).await,
                (Wake::MoveToSlowLane { claim }, _) => {
                    return self.pass_on(&delivery, Lane::Slow, now, claim).await;
                }
                (Wake::WaitForProbe { until, claim }, _) => {
                    let wait = until.since(now);
                    if wait > SHORT_WAIT || !self.has_time_after(wait) {
                        return self.wait_for_probe(&delivery, until, claim).await;
                    }
                    sleep(wait).await;
                    rows = self.load().await?;
                }
                (Wake::Attempt { number, claim, need, .. }, Some(endpoint)) => {
                    return self.attempt(delivery, endpoint, number, claim, need).await;
                }
                (Wake::Finished | Wake::Attempt { .. }, _) => return Ok(Disposal::Delete),
            }
        }
    }

    /// Whether an attempt that starts after `wait` can end and be recorded within this invocation.
    fn has_time_after(&self, wait: Duration) -> bool {
        Instant::now() + wait + self.app.settings.request_timeout + RECORD_TIME <= self.deadline
    }

    /// Whether this job gets the probe of an endpoint that hangs.
    async fn takes_probe(&self, endpoint: &Endpoint, hanging: Hanging) -> Result<bool, StoreError> {
        let store = &self.app.store;
        // Jobs of people are few, and each of them looks again until it gets one.
        let asks = self.job.by_hand || self.notes.may_probe(endpoint);
        Ok(asks && store.take_probe(endpoint, hanging, Timestamp::now()).await?)
    }

    /// Ends a delivery without an attempt.
    async fn end(
        &self,
        delivery: &Delivery,
        reason: FailureReason,
        now: Timestamp,
    ) -> Result<Disposal, OwnFault> {
        let failed = Transition {
            status: DeliveryStatus::Failed,
            failure_reason: Some(reason),
            next_retry_at: None,
            slot: None,
            ..Transition::unchanged(delivery, now)
        };
        tracing::info!(?reason, "a delivery ended without an attempt");
        match self.app.store.advance(delivery, &failed).await? {
            Advanced::Done => {
                self.tally.add(|counts| counts.failed += 1);
                Ok(Disposal::Delete)
            }
            Advanced::Overtaken => Ok(self.overtaken().await),
        }
    }

    async fn attempt(
        &self,
        mut delivery: Delivery,
        endpoint: &Endpoint,
        number: u32,
        claim: bool,
        need: Need,
    ) -> Result<Disposal, OwnFault> {
        let decided = Instant::now();
        let envelopes = self.app.store.envelopes(std::slice::from_ref(&delivery)).await?;
        let envelope = envelopes.into_iter().next().unwrap_or_default();
        if claim {
            let now = Timestamp::now();
            if self.app.store.claim(&delivery, self.job.chain, now).await? == Advanced::Overtaken {
                return Ok(self.overtaken().await);
            }
            delivery.chain = self.job.chain;
            delivery.updated_at = now;
        }
        if let Some(slot) = slots::take(&self.app.store, endpoint, need, self.place.as_ref()).await? {
            let wait = slot.at.since(Timestamp::now());
            if wait > SHORT_WAIT || !self.has_time_after(wait) {
                if decided.elapsed() > SLOW_STORE {
                    return Ok(self.message.back_off().await);
                }
                return Ok(self.put_off(&delivery, endpoint, slot).await?);
            }
            sleep(wait).await;
        }
        // The decision gives an attempt its time, counted from when it was made; a slow store may have used that up.
        if decided.elapsed() > SLOW_STORE || !self.has_time_after(Duration::ZERO) {
            tracing::warn!("too little time is left for an attempt and its record");
            return Ok(self.message.back_off().await);
        }

        let (began_at, began) = (Timestamp::now(), Instant::now());
        let Sent { outcome, again } = self.send(&delivery, endpoint, number, envelope, began_at).await;
        self.tally.add(|counts| counts.sent_again += u64::from(again));
        let took = began.elapsed();
        let attempt = Attempt::new(AttemptId::new(began_at), delivery.triggered_by, &outcome, took);
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
        let is_stale = outcome.is_success() && took >= STALE;
        let endpoint = if is_stale { &self.reread(endpoint).await } else { endpoint };
        self.conclude(delivery, endpoint, attempt, step, now).await
    }

    /// Makes the request. Meanwhile and after, what it says of the endpoint is noted.
    async fn send(
        &self,
        delivery: &Delivery,
        endpoint: &Endpoint,
        number: u32,
        envelope: Vec<u8>,
        now: Timestamp,
    ) -> Sent {
        let mut request = pin!(async {
            let settings = &self.app.settings;
            match EndpointUrl::parse(&endpoint.url, &settings.addresses) {
                Ok(url) => {
                    let headers =
                        headers::signed(delivery, endpoint, &settings.origin, number, &envelope, now);
                    self.app.sender.send(Post { endpoint: endpoint.id, url, headers, body: envelope }).await
                }
                // It was allowed when it was registered; the operator's settings or the API's address have changed since.
                Err(refused) => {
                    let outcome = Outcome::Failed { cause: failure::of_url(refused) };
                    Sent { outcome, again: false }
                }
            }
        });
        let sent = match timeout(SLOW_AFTER, &mut request).await {
            Ok(sent) => sent,
            Err(_) => {
                self.notes.slow(&self.app, endpoint, Timestamp::now());
                request.await
            }
        };
        let ended_at = Timestamp::now();
        let is_slow = ended_at.since(now) >= SLOW_AFTER.min(self.app.settings.request_timeout);
        match sent.outcome {
            Outcome::Failed { .. } if is_slow => {
                self.notes.slow(&self.app, endpoint, ended_at);
                self.notes.unanswered(&self.app, endpoint, now, ended_at);
            }
            _ => self.notes.answered(&self.app, endpoint, ended_at),
        }
        sent
    }

    /// Records an attempt and sees to what follows it.
    async fn conclude(
        &self,
        mut delivery: Delivery,
        endpoint: &Endpoint,
        attempt: Attempt,
        step: Step,
        now: Timestamp,
    ) -> Result<Disposal, OwnFault> {
        let (status, next_retry_at, failure_reason) = match step {
            Step::Succeeded => (DeliveryStatus::Success, None, None),
            Step::RetryAt(at) => (DeliveryStatus::Retrying, Some(at), None),
            Step::Failed(reason) => (DeliveryStatus::Failed, None, Some(reason)),
        };
        // A first retry leaves the lane of first attempts; a later one hides where it is, unless too many do.
        let is_slow = endpoint.is_slow(now) || Duration::from_millis(attempt.duration_ms) >= SLOW_AFTER;
        let leaves_for = next_retry_at.and_then(|_| self.leaves_for(is_slow));
        let successor = leaves_for.map(|lane| (lane, Chain::new()));
        let mut recorded = Transition {
            status,
            next_retry_at,
            failure_reason,
            chain: successor.map(|(_, chain)| chain).or(self.job.chain),
            slot: None,
            attempt: Some(attempt),
            ..Transition::unchanged(&delivery, now)
        };
        recorded.uncounted = health::is_news(&recorded, endpoint);
        let give_up = self.deadline - HAND_BACK_TIME;
        let others = self.shared.as_ref().map(|shared| &shared.records);
        let written = records::record(&self.app.store, others, &delivery, &recorded, give_up).await?;
        if written == Advanced::Overtaken {
            return Ok(self.overtaken().await);
        }
        self.count(&delivery, &recorded);

        match (next_retry_at, successor) {
            (Some(at), Some((lane, chain))) => return Ok(self.send_on(chain, lane, at, None).await),
            (Some(at), None) => return Ok(self.hide_until(at, None).await),
            (None, _) => {}
        }
        if recorded.uncounted {
            delivery.status = status;
            delivery.failure_reason = failure_reason;
            delivery.updated_at = now;
            delivery.attempt_count += 1;
            delivery.attempts.extend(recorded.attempt);
            health::tell(&self.app, &delivery, Some(endpoint), now).await?;
        }
        Ok(Disposal::Delete)
    }

    /// Counts an attempt that is recorded, and what became of its delivery.
    fn count(&self, before: &Delivery, recorded: &Transition) {
        let Some(attempt) = &recorded.attempt else { return };
        self.tally.add(|counts| {
            match recorded.status {
                DeliveryStatus::Success => counts.delivered += 1,
                DeliveryStatus::Failed => counts.failed += 1,
                DeliveryStatus::Retrying | DeliveryStatus::Pending => counts.retried += 1,
            }
            counts.attempt_duration.push(Duration::from_millis(attempt.duration_ms));
            if before.attempt_count == 0 {
                counts.first_attempt_latency.push(attempt.id.created_at().since(before.id.created_at()));
            }
        });
    }

    /// The endpoint as it is after a slow success: a failure may have been counted while it ran.
    async fn reread(&self, endpoint: &Endpoint) -> Endpoint {
        let read = timeout(SHORT_WAIT, self.load()).await;
        read.ok().and_then(Result::ok).and_then(|rows| rows.endpoint).unwrap_or_else(|| endpoint.clone())
    }
}
