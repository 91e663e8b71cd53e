//! A lane with one project for measurements: events come in through the real API, and the bench hands out the batches.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use echo_lanes::clock::setting;
use echo_lanes::gateway::{self, HttpAnswer, HttpRequest};
use echo_lanes::lane::{Auth, INTAKE, Lane, LaneSettings};
use echo_lanes::mapping;
use echo_lanes::receiver::Behaviour;
use echo_lanes::sqs::{Outgoing, Received};
use echo_lanes::world;
use serde_json::{Value, json};

use crate::process;
use crate::sample;

/// The events in one invocation for the intake queue: the most that SQS gives in one receive.
pub(crate) const INTAKE_BATCH: usize = 10;

/// The events in one `POST …/events/batch`.
pub(crate) const POSTED_TOGETHER: usize = 10;

/// The differences between a stage and the usual one.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) endpoints: usize,
    /// Over how many shards the project is spread.
    pub(crate) shards: u8,
    /// The order of the endpoints' deliveries.
    pub(crate) ordered: Option<&'static str>,
    pub(crate) concurrency: usize,
    pub(crate) env: Vec<(&'static str, String)>,
    /// Keeps each batch that a mapping made.
    pub(crate) with_journal: bool,
    /// The folder for the functions' output.
    pub(crate) logs: Option<PathBuf>,
}

impl Setup {
    pub(crate) fn with_endpoints(endpoints: usize) -> Self {
        Self {
            endpoints,
            shards: 1,
            ordered: None,
            concurrency: 1,
            env: Vec::new(),
            with_journal: false,
            logs: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) lane: Lane,
    pub(crate) project_id: String,
    pub(crate) api_key: String,
    pub(crate) endpoints: Vec<String>,
    ordered: Option<&'static str>,
}

/// One invocation of the delivery function.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Invoked {
    pub(crate) messages: usize,
    pub(crate) kept: usize,
    pub(crate) took: Duration,
}

/// The folder of the built functions: `LANES_BINARIES`, or the release profile's folder.
pub(crate) fn binaries() -> PathBuf {
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release");
    setting("LANES_BINARIES").map_or(release, PathBuf::from)
}

pub(crate) fn settings(setup: &Setup) -> LaneSettings {
    let seconds = |text: &str| text.to_owned();
    let mut env = vec![
        ("REQUEST_TIMEOUT_SECONDS", seconds("15")),
        ("RETRY_DELAYS_SECONDS", seconds("60,300,1800")),
        ("RUST_BACKTRACE", seconds("0")),
    ];
    env.extend(setup.env.iter().cloned());
    LaneSettings {
        name: "bench".to_owned(),
        binaries: binaries(),
        env,
        queue_visibility: Duration::from_secs(60),
        api_timeout: Duration::from_secs(15),
        delivery_timeout: Duration::from_secs(30),
        concurrency: setup.concurrency,
        with_journal: setup.with_journal,
        logs: setup.logs.clone(),
        ..LaneSettings::default()
    }
}

impl Stage {
    /// Starts the functions and makes a project with its endpoints; endpoint `n` posts to the receiver's path `/n`.
    pub(crate) async fn set(setup: Setup) -> io::Result<Self> {
        let mut lane = Lane::start(settings(&setup)).await?;
        lane.stop_mappings();
        let body = world::signup(world::EMAIL);
        let account = lane.call("POST", "/auth/signup", &Auth::None, Some(&body)).await;
        let account = expect(&account, 201)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut project_id = text(&account["default_project"]["id"]);
        let mut api_key = text(&account["default_project"]["api_key"]);
        if setup.shards > 1 {
            let token = text(&account["access_token"]);
            let body = json!({ "name": "busy", "shards": setup.shards });
            let project =
                expect(&lane.call("POST", "/v1/projects", &Auth::Bearer(&token), Some(&body)).await, 201)?;
            (project_id, api_key) = (text(&project["id"]), text(&project["api_key"]));
        }
        let mut stage = Self { lane, project_id, api_key, endpoints: Vec::new(), ordered: setup.ordered };
        stage.add_endpoints(setup.endpoints).await?;
        Ok(stage)
    }

    /// Adds endpoints until there are `count`.
    pub(crate) async fn add_endpoints(&mut self, count: usize) -> io::Result<()> {
        for n in self.endpoints.len()..count {
            self.add_endpoint(&format!("/{n}"), sample::EVENT, self.ordered).await?;
        }
        Ok(())
    }

    /// Adds an endpoint that posts to a path of the receiver.
    pub(crate) async fn add_endpoint(
        &mut self,
        path: &str,
        name: &str,
        ordered: Option<&str>,
    ) -> io::Result<()> {
        let target = format!("/v1/projects/{}/webhooks", self.project_id);
        let url = format!("http://{}{path}", self.lane.receiver.address());
        let body = json!({ "url": url, "events": [name], "ordered": ordered });
        let answer = self.lane.call("POST", &target, &Auth::Key(&self.api_key), Some(&body)).await;
        self.endpoints.push(expect(&answer, 201)?["id"].as_str().unwrap_or_default().to_owned());
        Ok(())
    }

    /// Lets an endpoint get only events of this name.
    pub(crate) async fn subscribe(&self, endpoint: &str, name: &str) -> io::Result<()> {
        self.change(endpoint, &json!({ "events": [name] })).await
    }

    pub(crate) async fn change(&self, endpoint: &str, body: &Value) -> io::Result<()> {
        let target = format!("/v1/projects/{}/webhooks/{endpoint}", self.project_id);
        expect(&self.lane.call("PATCH", &target, &Auth::Key(&self.api_key), Some(body)).await, 200)?;
        Ok(())
    }

    pub(crate) async fn get(&self, rest: &str) -> HttpAnswer {
        let target = format!("/v1/projects/{}/{rest}", self.project_id);
        self.lane.call("GET", &target, &Auth::Key(&self.api_key), None).await
    }

    /// Posts the `n`th sample event and gives the time that the request took.
    pub(crate) async fn post(&self, n: usize) -> io::Result<Duration> {
        let body = sample::event(n);
        let started = Instant::now();
        self.post_body(&body).await?;
        Ok(started.elapsed())
    }

    /// Posts the sample events from the `n`th on in one request, and gives the time that it took.
    pub(crate) async fn post_together(&self, n: usize) -> io::Result<Duration> {
        let target = format!("/v1/projects/{}/events/batch", self.project_id);
        let body = together(n);
        let started = Instant::now();
        let answer = self.lane.call("POST", &target, &Auth::Key(&self.api_key), Some(&body)).await;
        let took = started.elapsed();
        let answer = expect(&answer, 200)?;
        let results = answer["results"].as_array().into_iter().flatten();
        match results.filter(|result| result["status"] == 202).count() {
            POSTED_TOGETHER => Ok(took),
            _ => Err(io::Error::other(format!("not every event was accepted: {answer}"))),
        }
    }

    /// Puts an event into the intake queue, as its producer would. The producer pays for that send.
    pub(crate) fn send_in(&self, mut event: Value) -> io::Result<()> {
        event["project_id"] = self.project_id.as_str().into();
        let outgoing = Outgoing { body: event.to_string(), group: None, delay: Duration::ZERO };
        self.lane
            .aws
            .sqs
            .send(INTAKE, outgoing)
            .map_err(|refused| io::Error::other(format!("{refused:?}")))?;
        Ok(())
    }

    /// Puts so many sample events into the intake queue, and gives the invocations that a mapping makes of them.
    pub(crate) fn intake_events(&self, events: usize) -> io::Result<Vec<String>> {
        let mut invocations = Vec::new();
        for n in 0..events {
            self.send_in(sample::named_event(n))?;
            if (n + 1) % INTAKE_BATCH > 0 && n + 1 < events {
                continue;
            }
            let received = self.lane.aws.sqs.receive(INTAKE, INTAKE_BATCH);
            invocations.push(String::from_utf8_lossy(&mapping::event(INTAKE, &received)).into_owned());
            for message in received {
                self.lane.aws.sqs.delete(INTAKE, &message.handle);
            }
        }
        Ok(invocations)
    }

    /// Posts the `n`th sample event and lists its deliveries.
    pub(crate) async fn post_listed(&self, n: usize) -> io::Result<Vec<String>> {
        let answer = self.post_body(&sample::event(n)).await?;
        let listed = answer["deliveries"].as_array().into_iter().flatten();
        Ok(listed.filter_map(|delivery| delivery["id"].as_str().map(str::to_owned)).collect())
    }

    /// Posts events in batches, each again until it is accepted: on a busy machine a batch may take longer than it has.
    /// Calls back with the number of events so far.
    pub(crate) async fn post_all(
        &self,
        events: impl Iterator<Item = Value>,
        posted: impl Fn(usize),
    ) -> io::Result<()> {
        const TRIES: usize = 20;
        let target = format!("/v1/projects/{}/events/batch", self.project_id);
        let (mut events, mut done) = (events.peekable(), 0);
        while events.peek().is_some() {
            let mut left: Vec<Value> = events.by_ref().take(100).collect();
            done += left.len();
            for _ in 0..TRIES {
                let body = json!({ "events": left });
                let answer = self.lane.call("POST", &target, &Auth::Key(&self.api_key), Some(&body)).await;
                let answer = expect(&answer, 200)?;
                let results = answer["results"].as_array().into_iter().flatten();
                let refused = left.into_iter().zip(results).filter(|(_, result)| result["status"] != 202);
                left = refused.map(|(event, _)| event).collect();
                if left.is_empty() {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(io::Error::other(format!("{} events were not accepted", left.len())));
            }
            posted(done);
        }
        Ok(())
    }

    pub(crate) async fn post_body(&self, body: &Value) -> io::Result<Value> {
        let target = format!("/v1/projects/{}/events", self.project_id);
        expect(&self.lane.call("POST", &target, &Auth::Key(&self.api_key), Some(body)).await, 202)
    }

    pub(crate) fn answer_after(&self, wait: Duration, status: u16) {
        for n in 0..self.endpoints.len() {
            self.lane.receiver.set(&format!("/{n}"), Behaviour::After(wait, status));
        }
    }

    /// The invocation for a GET below the project, with a valid key.
    pub(crate) fn get_event(&self, rest: &str) -> String {
        self.event("GET", rest, None)
    }

    /// The invocation for posting the `n`th sample event.
    pub(crate) fn post_event(&self, n: usize) -> String {
        self.event("POST", "events", Some(sample::event(n).to_string().into()))
    }

    /// The invocation for posting the sample events from the `n`th on in one request.
    pub(crate) fn post_events(&self, n: usize) -> String {
        self.event("POST", "events/batch", Some(together(n).to_string().into()))
    }

    fn event(&self, method: &str, rest: &str, body: Option<Bytes>) -> String {
        let target = format!("/v1/projects/{}/{rest}", self.project_id);
        let mut headers = BTreeMap::from([("x-api-key".to_owned(), self.api_key.clone())]);
        if body.is_some() {
            headers.insert("content-type".to_owned(), "application/json".to_owned());
        }
        let event = gateway::event(&HttpRequest {
            method: method.to_owned(),
            target,
            headers,
            body,
            source_ip: None,
        });
        String::from_utf8_lossy(&event).into_owned()
    }

    /// Receives and deletes all messages of a queue.
    pub(crate) fn clear(&self, queue: &str) {
        let sqs = &self.lane.aws.sqs;
        loop {
            let received = sqs.receive(queue, 10);
            if received.is_empty() {
                return;
            }
            for message in received {
                sqs.delete(queue, &message.handle);
            }
        }
    }

    /// Receives up to `size` messages from a queue, invokes the delivery function with them as Lambda would, and
    /// deletes the messages that succeeded; `None` when the queue is empty.
    pub(crate) async fn deliver(&self, queue: &str, size: usize) -> io::Result<Option<Invoked>> {
        let received = self.lane.aws.sqs.receive(queue, size);
        if received.is_empty() {
            return Ok(None);
        }
        let event = mapping::event(queue, &received);
        let delivery = &self.lane.delivery;
        let started = Instant::now();
        let chain = mapping::chain(delivery, &received);
        let answer = delivery.invoke(delivery.next_id(), event, &chain).await;
        let took = started.elapsed();
        let answer = answer.map_err(|failed| io::Error::other(format!("delivery: {failed:?}")))?;
        let kept = mapping::failures(&answer, &received.iter().map(Received::message_id).collect());
        for message in received.iter().filter(|message| !kept.contains(&message.message_id())) {
            self.lane.aws.sqs.delete(queue, &message.handle);
        }
        Ok(Some(Invoked { messages: received.len(), kept: kept.len(), took }))
    }

    /// The CPU time that both functions have used so far: api, delivery.
    pub(crate) fn cpu(&self) -> (Duration, Duration) {
        let of = |sandboxes: Vec<std::sync::Arc<echo_lanes::sandbox::Sandbox>>| {
            sandboxes.iter().map(|sandbox| process::cpu(sandbox.pid)).sum()
        };
        (of(self.lane.api.sandboxes()), of(self.lane.delivery.sandboxes()))
    }

    /// The number of deliveries by status.
    pub(crate) fn statuses(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for row in self.lane.aws.dynamo.rows("deliveries") {
            *counts.entry(row["status"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        counts
    }
}

fn together(n: usize) -> Value {
    json!({ "events": (n..n + POSTED_TOGETHER).map(sample::event).collect::<Vec<_>>() })
}

pub(crate) fn expect(answer: &HttpAnswer, status: u16) -> io::Result<Value> {
    if answer.status == status {
        return Ok(answer.json());
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(io::Error::other(format!("{} instead of {status}: {body}", answer.status)))
}
