//! The events that the operator and a project's own endpoints get: endpoints that fail, are disabled or recover,
//! deliveries that fail.

use std::time::Duration;

use echo_tests::aws::{listen, operator_project};
use echo_tests::endpoint::Endpoint;
use echo_tests::project::Project;
use echo_tests::receiver::{Received, Receiver};
use echo_tests::shape::text;
use echo_tests::signature;
use echo_tests::stack::stack;
use echo_tests::time::timestamp;
use echo_tests::wait::{PATIENCE, eventually, throughout};
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["endpoint.failing", "endpoint.disabled", "endpoint.recovered", "delivery.failed"];

/// An endpoint that is subscribed to all operational events, and its project.
struct Listener {
    project: Project,
    endpoint: Endpoint,
    receiver: Receiver,
}

impl Listener {
    async fn in_project(project: Project, status: u16) -> Self {
        let receiver = Receiver::answering(status).await;
        let endpoint = project.endpoint_for(&receiver.url(), &NAMES).await;
        Self { project, endpoint, receiver }
    }

    /// The operator's, which are told of all other projects.
    async fn of_operator() -> Self {
        Self::in_project(operator_project().await, 200).await
    }

    /// The operational events about this endpoint. Other tests' endpoints fail too and cause further ones.
    fn told_of(&self, endpoint: &Endpoint) -> Vec<(String, Value, Received)> {
        let requests = self.receiver.requests().into_iter();
        let told = requests.map(|request| {
            let envelope = request.json();
            (text(&envelope, "event_name").to_owned(), envelope["data"].clone(), request)
        });
        told.filter(|(_, data, _)| data["endpoint_id"] == endpoint.id.as_str()).collect()
    }

    async fn is_told(&self, name: &str, endpoint: &Endpoint, times: usize) -> Vec<(Value, Received)> {
        eventually(format!("{name} comes {times} times"), PATIENCE, || async {
            let told = self.told_of(endpoint).into_iter().filter(|(told, ..)| told == name);
            let told: Vec<_> = told.map(|(_, data, request)| (data, request)).collect();
            (told.len() >= times).then_some(told)
        })
        .await
    }

    async fn is_told_nothing_of(&self, endpoint: &Endpoint) {
        throughout(Duration::from_secs(4), || async {
            let told: Vec<_> =
                self.told_of(endpoint).into_iter().map(|(name, data, _)| (name, data)).collect();
            if told.is_empty() { Ok(()) } else { Err(format!("unexpected operational events: {told:?}")) }
        })
        .await;
    }

    /// Deletes the endpoint, so that events that other tests cause do not go to a receiver that has stopped.
    async fn leave(self) {
        self.endpoint.delete().await;
    }
}

#[tokio::test]
async fn the_operator_is_told_once_of_failed_deliveries_a_disabled_endpoint_and_its_recovery() {
    let operator = Listener::of_operator().await;
    let receiver = Receiver::answering(500).await;
    let project = Project::new().await;
    let endpoint = project.endpoint(&receiver.url_of("/path-secret?token=query-secret")).await;
    let bus = listen(&json!({"source": ["echo-webhooks"], "detail": {"endpoint_id": [endpoint.id]}})).await;
    let needed = usize::try_from(stack().disable_after_failures()).expect("small");
    let mut ids = Vec::new();
    for _ in 0..needed {
        ids.push(project.emit_one().await);
    }

    let failed = operator.is_told("delivery.failed", &endpoint, needed).await;
    for (data, _) in &failed {
        assert_eq!(data["project_id"], project.id.as_str(), "{data}");
        assert!(!text(data, "stack").is_empty(), "{data}");
        assert_eq!((text(data, "host"), text(data, "reason")), ("127.0.0.1", "exhausted"), "{data}");
        let shown = endpoint.delivery(text(data, "delivery_id")).await;
        for field in ["event_id", "event_name", "attempt_count"] {
            assert_eq!(data[field], shown[field], "{field}: {data}");
        }
        let last = shown["attempts"].as_array().and_then(|all| all.last()).expect("attempts");
        for field in ["created_at", "http_status", "error_message"] {
            assert_eq!(data["last_attempt"][field], last[field], "{field}: {data}");
        }
    }
    let mut told: Vec<&str> = failed.iter().map(|(data, _)| text(data, "delivery_id")).collect();
    told.sort_unstable();
    ids.sort_unstable();
    assert_eq!(told, ids, "each of them once");

    // Failures that are counted in the same moment may all be in the event.
    let failing = operator.is_told("endpoint.failing", &endpoint, 1).await;
    let failures = failing[0].0["consecutive_failures"].as_u64().expect("a number");
    assert!((needed.div_ceil(2)..=needed).contains(&(failures as usize)), "{failing:?}");
    let disabled = operator.is_told("endpoint.disabled", &endpoint, 1).await;
    let (data, _) = &disabled[0];
    let shown = endpoint.show().await;
    assert_eq!(data["reason"], "consecutive_failures", "{data}");
    assert_eq!(
        (&data["disabled_at"], &data["consecutive_failures"]),
        (&shown["disabled_at"], &json!(needed))
    );
    let _ = timestamp(&data["disabled_at"]);

    receiver.set(200);
    endpoint.set_status("active").await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
    let recovered = operator.is_told("endpoint.recovered", &endpoint, 1).await;
    assert_eq!(recovered[0].0["delivery_id"], id.as_str());
    // The endpoint is healthy again, so another success causes no event.
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;

    let all = operator.told_of(&endpoint);
    assert_eq!(all.len(), needed + 3, "each of them once: {all:?}");
    // The service puts an event on the bus again if the first call is not answered in time, so the bus may have two copies.
    let is =
        |event: &Value, name: &str, data: &Value| event["detail-type"] == name && &event["detail"] == data;
    let mut on_the_bus = Vec::new();
    while !all.iter().all(|(name, data, _)| on_the_bus.iter().any(|event| is(event, name, data))) {
        on_the_bus.extend(bus.receive(1).await);
    }
    on_the_bus.extend(bus.receive(0).await);
    assert!(on_the_bus.len() < 2 * all.len(), "no event is there twice without need: {on_the_bus:?}");
    for (name, data, request) in all {
        signature::check(&operator.endpoint.secret, &request.headers, &request.body);
        assert_eq!(request.header("x-echo-event"), name);
        let body = String::from_utf8(request.body).expect("UTF-8");
        for secret in ["path-secret", "query-secret", &endpoint.secret, &project.key] {
            assert!(!body.contains(secret), "{secret} in {body}");
        }
        for event in on_the_bus.extract_if(.., |event| is(event, &name, &data)) {
            assert_eq!(event["source"], "echo-webhooks");
        }
    }
    assert!(on_the_bus.is_empty(), "{on_the_bus:?}");
    operator.leave().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_with_the_delivery_that_found_out() {
    let operator = Listener::of_operator().await;
    let receiver = Receiver::answering(410).await;
    let project = Project::new().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let (failed, _) = operator.is_told("delivery.failed", &endpoint, 1).await.remove(0);
    let (disabled, _) = operator.is_told("endpoint.disabled", &endpoint, 1).await.remove(0);
    for data in [&failed, &disabled] {
        assert_eq!((text(data, "reason"), text(data, "delivery_id")), ("gone", id.as_str()), "{data}");
    }
    // A manual attempt that fails causes no `delivery.failed`, because its caller sees the result. An endpoint that is
    // disabled once more does cause an event.
    endpoint.set_status("active").await;
    let _ = endpoint.retry(&id).await.ok(202);
    endpoint.attempted(&id, 2).await;
    operator.is_told("endpoint.disabled", &endpoint, 2).await;
    assert_eq!(operator.is_told("delivery.failed", &endpoint, 1).await.len(), 1);
    operator.leave().await;
}

#[tokio::test]
async fn acts_of_owners_and_failures_at_the_operators_own_endpoints_are_not_told() {
    let operator = Listener::of_operator().await;
    let receiver = Receiver::answering(500).await;
    let project = Project::new().await;
    let (by_hand, own) =
        (project.endpoint(&receiver.url()).await, operator.project.endpoint(&receiver.url()).await);
    let waiting = project.emit_one().await;
    by_hand.attempted(&waiting, 1).await;
    by_hand.set_status("disabled").await;
    by_hand.ended(&waiting, "failed").await;
    let exhausted = operator.project.emit("call.ended").await.remove(0);
    own.ended(&exhausted, "failed").await;
    own.when("the failure is counted", |shown| shown["consecutive_failures"] == 1).await;
    for endpoint in [&by_hand, &own] {
        operator.is_told_nothing_of(endpoint).await;
    }
    own.delete().await;
    operator.leave().await;
}

#[tokio::test]
async fn operational_events_can_be_tested_and_listed_and_nobody_can_post_them() {
    let listener = Listener::in_project(Project::new().await, 200).await;
    for name in NAMES {
        let message = listener.project.post("/events", &json!({"event_name": name})).await.refused(400);
        assert!(!message.contains(name), "the message offers a name that nobody can post: {message}");
        let _ = listener.project.get(&format!("/events?event_name={name}")).await.ok(200);
        let test = format!("/webhooks/{}/test", listener.endpoint.id);
        let sent = listener.project.post(&test, &json!({"event_name": name})).await.ok(202);
        assert_eq!(sent["event_name"], name);
    }
}

/// The names of all operational events that a project has, the newest first.
async fn noted(project: &Project) -> Vec<String> {
    let events = project.get("/events?limit=100").await.ok(200);
    let names =
        events["data"].as_array().expect("events").iter().map(|event| text(event, "event_name").to_owned());
    names.filter(|name| NAMES.contains(&name.as_str())).collect()
}

#[tokio::test]
async fn an_endpoint_that_asks_by_name_is_told_of_the_others_of_its_project() {
    let listener = Listener::in_project(Project::new().await, 200).await;
    let stranger = Listener::in_project(Project::new().await, 200).await;
    let (project, receiver) = (&listener.project, Receiver::answering(500).await);
    let all = Receiver::start().await;
    project.endpoint_for(&all.url(), &["*", "endpoint.*"]).await;
    let endpoint = project.endpoint_for(&receiver.url(), &["call.summary"]).await;
    let needed = usize::try_from(stack().disable_after_failures()).expect("small");
    for _ in 0..needed {
        let _ = project.emit("call.summary").await;
    }
    listener.is_told("delivery.failed", &endpoint, needed).await;
    listener.is_told("endpoint.failing", &endpoint, 1).await;
    let disabled = listener.is_told("endpoint.disabled", &endpoint, 1).await.remove(0);
    assert_eq!(disabled.0["project_id"], project.id.as_str());
    signature::check(&listener.endpoint.secret, &disabled.1.headers, &disabled.1.body);
    receiver.set(200);
    endpoint.set_status("active").await;
    let _ = project.emit("call.summary").await;
    listener.is_told("endpoint.recovered", &endpoint, 1).await;
    assert_eq!(listener.told_of(&endpoint).len(), needed + 3, "each of them once");
    assert_eq!(noted(project).await.len(), needed + 3);
    let by_wildcard = all.requests();
    assert!(
        by_wildcard.iter().all(|request| request.header("x-echo-event") == "call.summary"),
        "{by_wildcard:?}"
    );
    assert!(stranger.receiver.requests().is_empty());
}

#[tokio::test]
async fn an_endpoint_is_not_told_of_itself() {
    let (project, receiver) = (Project::new().await, Receiver::answering(410).await);
    let events = [&NAMES[..], &["call.ended"]].concat();
    let endpoint = project.endpoint_for(&receiver.url(), &events).await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "failed").await;
    endpoint.when("it is disabled", |shown| shown["status"] == "disabled").await;
    throughout(Duration::from_secs(2), || async {
        match noted(&project).await {
            none if none.is_empty() => Ok(()),
            some => Err(format!("events that nobody asked for: {some:?}")),
        }
    })
    .await;
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn two_listeners_that_fail_cause_no_events_about_each_other() {
    let operator = Listener::of_operator().await;
    let one = Listener::in_project(Project::new().await, 500).await;
    let other = Listener::in_project(one.project.clone(), 500).await;
    let receiver = Receiver::answering(500).await;
    let endpoint = one.project.endpoint(&receiver.url()).await;
    let id = one.project.emit_one().await;
    endpoint.ended(&id, "failed").await;
    for listener in [&one, &other] {
        listener.endpoint.when("the failure is counted", |shown| shown["consecutive_failures"] == 1).await;
        // The operator's project is another one, so no event comes back from there.
        operator.is_told("delivery.failed", &listener.endpoint, 1).await;
    }
    throughout(Duration::from_secs(3), || async {
        let names = noted(&one.project).await;
        if names == ["delivery.failed"] { Ok(()) } else { Err(format!("too many events: {names:?}")) }
    })
    .await;
    operator.leave().await;
}
