//! One walk along one path in one lane: the requests that the product got, and the results that it owes for them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gateway::HttpAnswer;
use crate::lane::{Auth, Lane};
use crate::world::{EMAIL, World};

/// The customer of the events. An endpoint that is ordered by customer has a stream of its own for it.
pub const CUSTOMER_ID: &str = "customer-7";

/// How a delivery has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Success,
    Failed(&'static str),
    /// Any end will do.
    Either,
}

/// An event as its producer sees it.
#[derive(Debug, Clone)]
pub struct Sent {
    pub event_id: String,
    /// Delivery and endpoint, as the 202 listed them.
    pub listed: Vec<(String, String)>,
    pub ending: Ending,
}

/// An endpoint was disabled or deleted. An attempt that reads the endpoint later must not be made.
#[derive(Debug, Clone)]
pub struct Closed {
    pub endpoint_id: String,
    pub at: Instant,
}

/// The tokens of a session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    pub access: String,
    pub refresh: String,
}

impl Session {
    /// The tokens in an answer.
    #[must_use]
    pub fn of(answer: &Value) -> Self {
        let token = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Self { access: token("access_token"), refresh: token("refresh_token") }
    }
}

#[derive(Debug, Default)]
pub struct Notes {
    pub sent: Vec<Sent>,
    pub closed: Vec<Closed>,
    pub violations: Vec<String>,
    /// Deliveries that may get another attempt after they have ended.
    pub retried: Vec<String>,
    /// Accounts signed up beside the world's own.
    pub accounts: Vec<(String, String)>,
    /// Deliveries whose project or payload is erased: a request for one of them may have no record, and no event.
    pub erased: Vec<String>,
    /// Ids beside the world's own that an erasure has to leave in no table.
    pub ids: Vec<String>,
    /// The sessions that the world's owner began on this run. The world's own may be too old by now.
    pub sessions: Vec<Session>,
}

#[derive(Debug)]
pub struct Run<'a> {
    pub lane: Lane,
    pub world: &'a World,
    notes: Mutex<Notes>,
}

/// How often a caller repeats a request without an answer, and how long it waits in between.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(300);

/// The event of a 202.
fn accepted(answer: &Value, ending: Ending) -> Sent {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = answer["deliveries"].as_array().into_iter().flatten();
    let listed = listed.map(|one| (text(&one["id"]), text(&one["webhook_endpoint_id"]))).collect();
    Sent { event_id: text(&answer["event_id"]), listed, ending }
}

impl<'a> Run<'a> {
    #[must_use]
    pub fn new(lane: Lane, world: &'a World) -> Self {
        Self { lane, world, notes: Mutex::default() }
    }

    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn violation(&self, what: String) {
        self.notes().violations.push(what);
    }

    #[must_use]
    pub fn key(&self) -> Auth<'a> {
        Auth::Key(&self.world.api_key)
    }

    /// `/v1/projects/{id}` and the rest of the path.
    #[must_use]
    pub fn project(&self, rest: &str) -> String {
        format!("/v1/projects/{}{rest}", self.world.project_id)
    }

    /// A path under endpoint `n`.
    #[must_use]
    pub fn endpoint(&self, n: usize, rest: &str) -> String {
        self.project(&format!("/webhooks/{}{rest}", self.world.endpoints[n]))
    }

    /// Calls until the answer is not a 5xx, and returns every answer. Each answer that is neither one of `fine` nor
    /// a 5xx is a violation.
    pub async fn insist(
        &self,
        method: &str,
        target: &str,
        auth: &Auth<'_>,
        body: Option<&Value>,
        fine: &[u16],
    ) -> Vec<HttpAnswer> {
        let mut answers: Vec<HttpAnswer> = Vec::new();
        for _ in 0..TRIES {
            let answer = self.lane.call(method, target, auth, body).await;
            let status = answer.status;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            answers.push(answer);
            if status < 500 {
                if !fine.contains(&status) {
                    self.violation(format!("{method} {target}: {status} {text}"));
                }
                return answers;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.violation(format!("{method} {target}: no answer but 5xx, {TRIES} times"));
        answers
    }

    /// Logs the world's owner in, and notes the session.
    pub async fn log_in(&self, password: &str) -> Session {
        let body = json!({ "email": EMAIL, "password": password });
        let answers = self.insist("POST", "/auth/login", &Auth::None, Some(&body), &[200]).await;
        let session = answers.last().map(|answer| Session::of(&answer.json())).unwrap_or_default();
        self.notes().sessions.push(session.clone());
        session
    }

    /// The session that was begun as number `n` on this run.
    #[must_use]
    pub fn session(&self, n: usize) -> Session {
        self.notes().sessions.get(n).cloned().unwrap_or_default()
    }

    /// Posts an event until it is accepted, and notes the deliveries that the answer lists.
    pub async fn post_event(&self, name: &str, data: &Value, ending: Ending) -> Option<Sent> {
        let event_id = uuid::Uuid::new_v4().to_string();
        let sent = self.post_event_as(&event_id, name, data, ending).await?;
        self.notes().sent.push(sent.clone());
        Some(sent)
    }

    /// Posts an event without an id until one is accepted. Each try is an event of its own.
    pub async fn post_new_event(&self, name: &str, data: &Value, ending: Ending) {
        let body = json!({ "event_name": name, "data": data });
        if let Some(sent) = self.post_body(&body, ending).await {
            self.notes().sent.push(sent);
        }
    }

    async fn post_event_as(&self, event_id: &str, name: &str, data: &Value, ending: Ending) -> Option<Sent> {
        let body =
            json!({ "event_id": event_id, "event_name": name, "customer_id": CUSTOMER_ID, "data": data });
        self.post_body(&body, ending).await
    }

    async fn post_body(&self, body: &Value, ending: Ending) -> Option<Sent> {
        let answers = self.insist("POST", &self.project("/events"), &self.key(), Some(body), &[202]).await;
        let answer = answers.last().filter(|answer| answer.status == 202)?.json();
        Some(accepted(&answer, ending))
    }

    /// Posts events in one request, and again those without an answer or with a 5xx, until none is left. Notes each event
    /// that is accepted. Each other one must be refused with its `status`.
    pub async fn post_batch(&self, events: &[(Value, u16)], ending: Ending) {
        let mut left: Vec<&(Value, u16)> = events.iter().collect();
        for _ in 0..TRIES {
            let batch: Vec<&Value> = left.iter().map(|(event, _)| event).collect();
            let body = json!({ "events": batch });
            let target = self.project("/events/batch");
            let answers = self.insist("POST", &target, &self.key(), Some(&body), &[200]).await;
            let Some(answer) = answers.last().filter(|answer| answer.status == 200) else { return };
            let results = answer.json()["results"].as_array().cloned().unwrap_or_default();
            if results.len() != left.len() {
                self.violation(format!("{} results of {} events", results.len(), left.len()));
            }
            let mut again = Vec::new();
            for (event, result) in left.into_iter().zip(&results) {
                match result["status"].as_u64() {
                    Some(202) if event.1 == 202 => self.note_accepted(accepted(result, ending)),
                    Some(500..) => again.push(event),
                    Some(status) if status == u64::from(event.1) => {}
                    _ => self.violation(format!("{result} instead of {}: {}", event.1, event.0)),
                }
            }
            if again.is_empty() {
                return;
            }
            left = again;
            tokio::time::sleep(PAUSE).await;
        }
        self.violation(format!("{} events of a batch got no answer but 5xx, {TRIES} times", left.len()));
    }

    /// Notes an event, which may have been accepted before.
    fn note_accepted(&self, sent: Sent) {
        let mut notes = self.notes();
        match notes.sent.iter().find(|noted| noted.event_id == sent.event_id).cloned() {
            None => notes.sent.push(sent),
            Some(first) if first.listed == sent.listed => {}
            Some(first) => notes
                .violations
                .push(format!("a repeat listed {:?} instead of {:?}", sent.listed, first.listed)),
        }
    }

    /// Posts an accepted event again. It must get the same answer and start nothing.
    pub async fn repeat_event(&self, sent: &Sent, name: &str, data: &Value) {
        if let Some(again) = self.post_event_as(&sent.event_id, name, data, sent.ending).await
            && again.listed != sent.listed
        {
            self.violation(format!("a repeat listed {:?} instead of {:?}", again.listed, sent.listed));
        }
    }

    /// Notes that endpoint `n` was disabled or deleted just now.
    pub fn close(&self, n: usize) {
        let endpoint_id = self.world.endpoints[n].clone();
        self.notes().closed.push(Closed { endpoint_id, at: Instant::now() });
    }
}
