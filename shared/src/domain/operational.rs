//! Operational events tell the operator, and a project's other endpoints, about endpoints, so that a dead one does not
//! go unnoticed for weeks.
//!
//! The operator's own endpoints cause none, and the delivery of an operational event causes none in its own project: two dead
//! endpoints would cause events about each other for ever. Nor does an owner cause one that
//! disables or deletes an endpoint, and a manual attempt that fails causes no `delivery.failed`.

use serde::Serialize;

use crate::attempt::{Attempt, Trigger};
use crate::delivery::{Delivery, FailureReason};
use crate::endpoint::{DisabledReason, Endpoint};
use crate::event_name::{EventName, EventNames};
use crate::id::{DeliveryId, EndpointId, EventId, ProjectId};
use crate::notice::{Kind, Notice};

impl Kind {
    /// The event's id. A report that is repeated after a crash has the same id. A report about another attempt of the delivery
    /// has another id.
    #[must_use]
    pub fn event_id(self, delivery: &Delivery) -> EventId {
        EventId::derived(&format!("{}/{}/{}", self.name(), delivery.id, delivery.attempt_count))
    }
}

/// The names that endpoints may subscribe to: the deployment's own names and the operational ones.
#[must_use]
pub fn with_operational(names: &EventNames) -> EventNames {
    names.and(Kind::ALL.map(Kind::event_name))
}

/// Whether endpoints of its own project may get an operational event about this delivery.
#[must_use]
pub fn may_concern_its_project(delivery: &Delivery) -> bool {
    !delivery.event_name.is_operational()
}

/// Whether a delivery's failure becomes an operational event. A failed manual attempt does not, because the person who
/// asked for it sees its end. Neither does a failure that the owner caused, by disabling or deleting the endpoint or by
/// erasing the payload.
#[must_use]
pub fn is_told(reason: FailureReason, trigger: Trigger) -> bool {
    let is_news = match reason {
        FailureReason::Exhausted | FailureReason::Gone | FailureReason::Internal => true,
        FailureReason::EndpointDisabled | FailureReason::EndpointDeleted | FailureReason::Erased => false,
    };
    is_news && trigger == Trigger::Auto
}

/// The data of an operational event. It names only the host of a URL, because paths can be secrets too. It says nothing about
/// the content of requests and answers.
#[derive(Debug, Serialize)]
struct Data<'a> {
    /// The deployment: several can put events on one bus.
    stack: &'a str,
    project_id: ProjectId,
    endpoint_id: EndpointId,
    host: Option<String>,
    reason: Option<Reason>,
    consecutive_failures: Option<u32>,
    disabled_at: Option<String>,
    delivery_id: DeliveryId,
    event_id: EventId,
    event_name: &'a EventName,
    attempt_count: u32,
    last_attempt: Option<LastAttempt<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Reason {
    Disabled(DisabledReason),
    Failed(FailureReason),
}

#[derive(Debug, Serialize)]
struct LastAttempt<'a> {
    created_at: String,
    http_status: Option<u16>,
    error_message: Option<&'a str>,
}

impl<'a> From<&'a Attempt> for LastAttempt<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            created_at: attempt.id.created_at().to_string(),
            http_status: attempt.http_status,
            error_message: attempt.error_message.as_deref(),
        }
    }
}

/// Reports a delivery that ended, and its endpoint if that still exists.
///
/// # Errors
/// Never in practice: these fields always have a form in JSON.
pub fn notice(
    kind: Kind,
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
    stack: &str,
) -> serde_json::Result<Notice> {
    let data = data(kind, delivery, endpoint, stack)?;
    Ok(Notice { kind, event_id: kind.event_id(delivery), data })
}

fn data(
    kind: Kind,
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
    stack: &str,
) -> serde_json::Result<String> {
    let host = |endpoint: &Endpoint| url::Url::parse(&endpoint.url).ok()?.host_str().map(str::to_owned);
    serde_json::to_string(&Data {
        stack,
        project_id: delivery.project_id,
        endpoint_id: delivery.endpoint_id,
        host: endpoint.and_then(host),
        reason: match kind {
            Kind::EndpointDisabled => {
                endpoint.and_then(|endpoint| endpoint.disabled_reason).map(Reason::Disabled)
            }
            Kind::DeliveryFailed => delivery.failure_reason.map(Reason::Failed),
            Kind::EndpointRecovered | Kind::EndpointFailing => None,
        },
        consecutive_failures: endpoint.map(|endpoint| endpoint.state.consecutive_failures),
        disabled_at: endpoint.and_then(|endpoint| endpoint.disabled_at).map(|at| at.to_string()),
        delivery_id: delivery.id,
        event_id: delivery.event_id,
        event_name: &delivery.event_name,
        attempt_count: delivery.attempt_count,
        last_attempt: delivery.attempts.last().map(LastAttempt::from),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::attempt::Outcome;
    use crate::delivery::DeliveryStatus;
    use crate::event::{Event, EventContent};
    use crate::id::AttemptId;
    use crate::route::Routes;
    use crate::shards::Shards;
    use crate::time::Timestamp;

    const SECRETS: [&str; 4] = ["path-secret", "query-secret", "payload-secret", "answer-secret"];

    fn endpoint_and_delivery() -> (Endpoint, Delivery) {
        let now = Timestamp::from_millis(1_776_009_119_499);
        let name = EventName::from_stored("call.ended");
        let url = "https://Hooks.example.com:8443/path-secret?token=query-secret".to_owned();
        let (project, id, names) = (ProjectId::new(now), EndpointId::new(now), vec![name.clone().into()]);
        let mut endpoint = Endpoint::new(project, id, Shards::ONE, url, names, vec![1].into(), now);
        endpoint.state.consecutive_failures = 10;
        endpoint.disabled_reason = Some(DisabledReason::ConsecutiveFailures);
        endpoint.disabled_at = Some(now);
        let data = serde_json::from_str(r#"{"a":"payload-secret"}"#).expect("JSON");
        let content = EventContent { name, customer_id: None, notification_id: None, data };
        let event = Event::accept(
            endpoint.project_id,
            EventId::new(now),
            &content,
            &Routes::to(&endpoint),
            now,
            Duration::from_secs(60),
        );
        let mut delivery = Delivery::pending(&event, &event.deliveries[0]);
        let outcome = Outcome::Answered {
            status: 500,
            body: "answer-secret".to_owned(),
            truncated: false,
            location: None,
            retry_after: None,
            broken_off: None,
        };
        let attempt =
            Attempt::new(AttemptId::new(now), Trigger::Auto, &endpoint.url, &outcome, Duration::ZERO);
        delivery.attempts = vec![attempt];
        delivery.attempt_count = 1;
        delivery.status = DeliveryStatus::Failed;
        delivery.failure_reason = Some(FailureReason::Exhausted);
        (endpoint, delivery)
    }

    fn told(kind: Kind, delivery: &Delivery, endpoint: Option<&Endpoint>) -> Value {
        serde_json::from_str(&data(kind, delivery, endpoint, "calls").expect("JSON")).expect("JSON")
    }

    #[test]
    fn an_operational_event_identifies_its_subject_and_holds_no_secret() {
        let (endpoint, delivery) = endpoint_and_delivery();
        let expected = json!({
            "stack": "calls",
            "project_id": delivery.project_id,
            "endpoint_id": delivery.endpoint_id,
            "host": "hooks.example.com",
            "reason": "exhausted",
            "consecutive_failures": 10,
            "disabled_at": "2026-04-12T15:51:59.499Z",
            "delivery_id": delivery.id,
            "event_id": delivery.event_id,
            "event_name": "call.ended",
            "attempt_count": 1,
            "last_attempt":
                { "created_at": "2026-04-12T15:51:59.499Z", "http_status": 500, "error_message": null },
        });
        assert_eq!(told(Kind::DeliveryFailed, &delivery, Some(&endpoint)), expected);
        let reason = |kind| told(kind, &delivery, Some(&endpoint))["reason"].clone();
        assert_eq!(reason(Kind::EndpointDisabled), "consecutive_failures");
        assert_eq!(reason(Kind::EndpointRecovered), Value::Null);
        assert_eq!(told(Kind::DeliveryFailed, &delivery, None)["host"], Value::Null);
        for kind in Kind::ALL {
            let text = told(kind, &delivery, Some(&endpoint)).to_string();
            for secret in SECRETS {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }

    #[test]
    fn the_same_event_has_the_same_id_and_any_other_another() {
        let (_, delivery) = endpoint_and_delivery();
        let mut seen = Vec::new();
        for attempt_count in 1..=2 {
            let delivery = Delivery { attempt_count, ..delivery.clone() };
            for kind in Kind::ALL {
                let id = kind.event_id(&delivery);
                assert_eq!(id, kind.event_id(&delivery));
                assert_eq!(EventId::parse(&id.to_string()), Ok(id));
                assert_eq!(id.as_uuid().get_version_num(), 8);
                assert!(!seen.contains(&id), "{}", kind.name());
                seen.push(id);
            }
        }
    }

    #[test]
    fn acts_of_people_are_not_told() {
        use FailureReason::{EndpointDeleted, EndpointDisabled, Exhausted, Gone, Internal};
        let told = [Exhausted, Gone, Internal, EndpointDisabled, EndpointDeleted]
            .map(|reason| (is_told(reason, Trigger::Auto), is_told(reason, Trigger::Manual)));
        assert_eq!(told, [(true, false), (true, false), (true, false), (false, false), (false, false)]);
    }
}
