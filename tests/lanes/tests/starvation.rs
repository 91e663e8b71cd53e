//! One project runs beside others whose endpoints hang, on the real functions. Its events and its retries stay on
//! time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use echo_lanes::lane::{Auth, INTAKE, Lane, LaneSettings};
use echo_lanes::receiver::Behaviour;
use echo_lanes::sqs::Outgoing;
use echo_lanes::wait;
use echo_lanes::world::World;
use serde_json::{Value, json};

const HANGING: usize = 50;
const FLOOD: usize = 100;
const LASTS: Duration = Duration::from_secs(25);
const EACH_SECOND: Duration = Duration::from_secs(1);
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// A request to the receiver takes three seconds to time out here, and a retry comes after two.
fn settings(name: &str) -> LaneSettings {
    LaneSettings {
        name: name.to_owned(),
        env: vec![("REQUEST_TIMEOUT_SECONDS", "3".to_owned()), ("RETRY_DELAYS_SECONDS", "2,2,2".to_owned())],
        delivery_timeout: Duration::from_secs(15),
        queue_visibility: Duration::from_secs(15),
        concurrency: 4,
        with_journal: false,
        ..LaneSettings::default()
    }
}

struct Project {
    id: String,
    key: String,
}

impl Project {
    async fn new(lane: &Lane, world: &World) -> Self {
        let body = json!({ "name": "one of many" });
        let answer = lane.call("POST", "/v1/projects", &Auth::Bearer(&world.access_token), Some(&body)).await;
        let made = answer.json();
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        Self { id: text(&made["id"]), key: text(&made["api_key"]) }
    }

    async fn call(&self, lane: &Lane, what: &str, body: &Value) -> Value {
        let target = format!("/v1/projects/{}/{what}", self.id);
        let answer = lane.call("POST", &target, &Auth::Key(&self.key), Some(body)).await;
        assert!(answer.status < 300, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    async fn endpoint(&self, lane: &Lane, path: &str) {
        let url = format!("http://{}{path}", lane.receiver.address());
        self.call(lane, "webhooks", &json!({ "url": url, "events": ["call.ended"] })).await;
    }

    /// Posts an event and returns its deliveries' ids.
    async fn post(&self, lane: &Lane) -> Vec<String> {
        let answer = self.call(lane, "events", &json!({ "event_name": "call.ended" })).await;
        let listed = answer["deliveries"].as_array().cloned().unwrap_or_default();
        listed.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
    }
}

/// Runs a quiet project beside others, for which `noise` posts events each second. Returns how long each first
/// attempt and each retry of the quiet project took to arrive.
async fn beside(lane: &Lane, quiet: &Project, noise: impl AsyncFn()) -> (Vec<Duration>, Vec<Duration>) {
    lane.receiver.set("/quiet", Behaviour::Script(vec![503, 200]));
    quiet.endpoint(lane, "/quiet").await;
    let end = Instant::now() + LASTS;
    let flood = async {
        while Instant::now() < end {
            let next = Instant::now() + EACH_SECOND;
            noise().await;
            tokio::time::sleep_until(next.into()).await;
        }
    };
    let own = async {
        let mut accepted = HashMap::new();
        while Instant::now() < end {
            let ids = quiet.post(lane).await;
            accepted.extend(ids.into_iter().map(|id| (id, Instant::now())));
            tokio::time::sleep(EACH_SECOND / 3).await;
        }
        accepted
    };
    let (accepted, ()) = tokio::join!(own, flood);
    let of_quiet = |attempt| {
        let hits = lane.receiver.hits().into_iter();
        let own = hits.filter(move |hit| hit.path == "/quiet" && hit.attempt == attempt);
        own.map(|hit| (hit.delivery_id, hit.at)).collect::<HashMap<String, Instant>>()
    };
    let all_were_retried = || of_quiet(2).len() >= accepted.len();
    let in_time = wait::until(Duration::from_secs(60), all_were_retried).await;
    assert!(in_time, "{} of {} were retried", of_quiet(2).len(), accepted.len());
    let (first, second) = (of_quiet(1), of_quiet(2));
    let waits = |from: &HashMap<String, Instant>, to: &HashMap<String, Instant>| {
        let mut waits: Vec<Duration> =
            to.iter().filter_map(|(id, at)| Some(at.duration_since(*from.get(id)?))).collect();
        waits.sort_unstable();
        waits
    };
    (waits(&accepted, &first), waits(&first, &second))
}

fn is_on_time(name: &str, waits: &[Duration], due: Duration) {
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!("{name}: p50 {median:?}, longest {longest:?}, due after {due:?}");
    // An event that waited for a hanging endpoint would wait for tens of seconds.
    assert!(median <= due + Duration::from_secs(6), "{name}: p50 {median:?}");
    assert!(longest <= due + due / 10 + Duration::from_secs(60), "{name}: longest {longest:?}");
}

async fn judge(lane: &Lane, quiet: &Project, noise: impl AsyncFn()) {
    let (first, retries) = beside(lane, quiet, noise).await;
    is_on_time("first attempts", &first, Duration::ZERO);
    is_on_time("retries", &retries, RETRY_DELAY);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_hanging_endpoints_of_one_project_hold_up_no_other() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let lane = world.lane(settings("one-project")).await.expect("a lane");
    let (quiet, noisy) = (Project::new(&lane, &world).await, Project::new(&lane, &world).await);
    for n in 0..HANGING {
        lane.receiver.set(&format!("/hangs-{n}"), Behaviour::Hang);
        noisy.endpoint(&lane, &format!("/hangs-{n}")).await;
    }
    let post = async || _ = noisy.post(&lane).await;
    judge(&lane, &quiet, post).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_projects_of_one_hanging_endpoint_hold_up_no_other() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let lane = world.lane(settings("fifty-projects")).await.expect("a lane");
    let quiet = Project::new(&lane, &world).await;
    lane.receiver.set("/hangs", Behaviour::Hang);
    let mut noisy = Vec::new();
    for _ in 0..HANGING {
        let project = Project::new(&lane, &world).await;
        project.endpoint(&lane, "/hangs").await;
        noisy.push(project);
    }
    let post = async || {
        for project in &noisy {
            project.post(&lane).await;
        }
    };
    judge(&lane, &quiet, post).await;
}

/// The flood has as many events a second as two processors can handle beside all other work. The simulator's flood
/// has a thousand.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_to_one_hanging_endpoint_holds_up_no_other() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let lane = world.lane(settings("one-flood")).await.expect("a lane");
    let (quiet, noisy) = (Project::new(&lane, &world).await, Project::new(&lane, &world).await);
    lane.receiver.set("/hangs", Behaviour::Hang);
    noisy.endpoint(&lane, "/hangs").await;
    let body = json!({ "project_id": noisy.id, "event_name": "call.ended" }).to_string();
    let flood = async || {
        for _ in 0..FLOOD {
            let outgoing =
                Outgoing { body: body.clone(), group: Some(noisy.id.clone()), delay: Duration::ZERO };
            lane.aws.sqs.send(INTAKE, outgoing).expect("a queue");
        }
    };
    judge(&lane, &quiet, flood).await;
}
