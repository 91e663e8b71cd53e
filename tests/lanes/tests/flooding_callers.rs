//! Floods of requests from strangers without a valid credential: the tests check their cost, and that producers
//! hardly notice them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use echo_lanes::gateway::{Gateway, HttpAnswer, HttpRequest};
use echo_lanes::lane::{Auth, Lane, LaneSettings};
use echo_lanes::throttle::Throttles;
use echo_lanes::world::{ONE, World};
use echo_template::Template;
use futures_util::future::join_all;
use serde_json::json;
use tokio::task::JoinSet;

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

fn login(n: usize) -> HttpRequest {
    // Each login has another account and another address, so no budget of failed logins stops the flood.
    let body = json!({ "email": format!("stranger-{n}@example.com"), "password": "a password" });
    HttpRequest {
        method: "POST".to_owned(),
        target: "/auth/login".to_owned(),
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: Some(body.to_string().into()),
        source_ip: Some(format!("203.0.{}.{}", n / 250 % 250, n % 250)),
    }
}

/// Makes requests at a fixed rate without waiting for answers. Returns each answer with the time that it took.
async fn at_rate<F>(
    per_second: u32,
    count: usize,
    request: impl Fn(usize) -> F,
) -> Vec<(Duration, HttpAnswer)>
where
    F: Future<Output = HttpAnswer> + Send + 'static,
{
    let start = Instant::now();
    let mut under_way = JoinSet::new();
    for n in 0..count {
        tokio::time::sleep_until(
            (start + Duration::from_secs(1) * u32::try_from(n).unwrap_or(0) / per_second).into(),
        )
        .await;
        let (began, answer) = (Instant::now(), request(n));
        under_way.spawn(async move {
            let answer = answer.await;
            (began.elapsed(), answer)
        });
    }
    under_way.join_all().await
}

fn p99(answers: &[(Duration, HttpAnswer)], status: u16) -> Duration {
    assert!(answers.iter().all(|(_, answer)| answer.status == status), "not all were answered {status}");
    let mut times: Vec<Duration> = answers.iter().map(|(took, _)| *took).collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Posts 50 events a second for five seconds, and returns the p99 of the time that an event takes.
async fn events(lane: &'static Lane, world: &'static World) -> Duration {
    let answers = at_rate(50, 250, |_| async {
        let body = json!({ "event_name": ONE });
        let target = format!("/v1/projects/{}/events", world.project_id);
        lane.call("POST", &target, &Auth::Key(&world.api_key), Some(&body)).await
    });
    p99(&answers.await, 202)
}

/// The time that a busy machine takes for one event now and then, even without a flood.
const FLOOR: Duration = Duration::from_millis(250);

/// On Lambda each login has a processor of its own. Here all logins share one machine's processors, so these
/// throttles let through a fifth of the logins that the template lets through.
fn scaled_down() -> Throttles {
    let (full, fifth) = (
        "ThrottlingRateLimit: 20, ThrottlingBurstLimit: 20",
        "ThrottlingRateLimit: 4, ThrottlingBurstLimit: 4",
    );
    let text = echo_template::text();
    assert_eq!(text.matches(full).count(), 2, "the template throttles the two routes of logins");
    Throttles::of(&Template::parse(&text.replace(full, fifth), &[]).expect("the template"))
}

/// Seven seconds of them.
const LOGINS: usize = 200 * 7;

#[tokio::test(flavor = "multi_thread")]
async fn logins_of_strangers_at_most_double_the_time_of_events() {
    let world: &'static World = Box::leak(Box::new(world().await));
    let settings = LaneSettings {
        name: "logins".to_owned(),
        concurrency: 16,
        with_journal: false,
        ..LaneSettings::default()
    };
    let mut lane = world.lane(settings).await.expect("a lane");
    // The test measures only the api.
    lane.stop_mappings();
    lane.gateway = Gateway::new(Arc::clone(&lane.api), scaled_down());
    let lane: &'static Lane = Box::leak(Box::new(lane));
    // The first round starts the processes.
    events(lane, world).await;
    // Other processes use the machine too, with a load that varies. What they slow down in one round they seldom slow down
    // in three.
    let mut rounds = Vec::new();
    for round in 0..3 {
        let before = events(lane, world).await;
        let strangers = move |n| lane.gateway.call(login(round * LOGINS + n));
        let flood = tokio::spawn(at_rate(200, LOGINS, strangers));
        // A flood begins with a burst. The test measures the time after the burst.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let beside = events(lane, world).await;
        let logins = flood.await.expect("the flood");
        let alone = before.max(events(lane, world).await);
        let through = logins.iter().filter(|(_, answer)| answer.status == 401).count();
        let refused = logins.iter().filter(|(_, answer)| answer.status == 429).count();
        println!("p99 of events: {alone:?} alone, {beside:?} beside {through} logins of {}", logins.len());
        assert_eq!(through + refused, logins.len());
        assert!(through >= 4 && refused >= 1_000, "{through} logins came through, {refused} did not");
        if beside <= (alone * 2).max(FLOOR) {
            return;
        }
        rounds.push((alone, beside));
    }
    panic!("p99 of events, alone and beside logins: {rounds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_spelling_of_auth_has_a_throttle_and_the_rest_has_another() {
    let world = world().await;
    let lane = world.lane(LaneSettings::default()).await.expect("a lane");
    for target in ["/auth/login", "/api/auth/refresh"] {
        let body = json!({});
        let call = |_| lane.call("POST", target, &Auth::None, Some(&body));
        let answers = join_all((0..60).map(call)).await;
        let throttled: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
        // While the requests run, the throttle gains 20 tokens a second.
        assert!((20..=40).contains(&throttled.len()), "{} of 60 were throttled", throttled.len());
        for answer in throttled {
            assert_eq!(answer.json(), json!({ "message": "Too Many Requests" }), "the gateway answers");
        }
        assert_eq!(lane.call("GET", "/v1/projects", &Auth::Key(&world.api_key), None).await.status, 200);
    }
}

/// The status of one request, and the names of the AWS calls that the function makes for it.
async fn calls(lane: &Lane, world: &World, key: &str) -> (u16, Vec<String>) {
    lane.aws.watch.start();
    let target = format!("/v1/projects/{}/events", world.project_id);
    let status = lane
        .call("POST", &target, &Auth::Key(key), Some(&json!({ "event_name": "call.ended" })))
        .await
        .status;
    let mut calls: Vec<String> = lane.aws.watch.stop().into_iter().map(|seen| seen.what).collect();
    calls.sort_unstable();
    calls.dedup();
    (status, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_has_costs_one_read_and_later_none() {
    let world = world().await;
    let mut lane =
        world.lane(LaneSettings { concurrency: 1, ..LaneSettings::default() }).await.expect("a lane");
    lane.stop_mappings();
    let made_up = format!("echo_{}", "0".repeat(64));
    assert_eq!(calls(&lane, &world, &made_up).await, (401, vec!["GetItem api_key_hashes".to_owned()]));
    assert_eq!(calls(&lane, &world, &made_up).await, (401, Vec::new()));
    // For a producer's first event the api reads the key. For later events it does not, while the key is fresh.
    let (status, first) = calls(&lane, &world, &world.api_key).await;
    assert_eq!(status, 202);
    assert!(first.contains(&"GetItem api_key_hashes".to_owned()), "{first:?}");
    let (status, next) = calls(&lane, &world, &world.api_key).await;
    assert_eq!((status, next.contains(&"GetItem routes".to_owned())), (202, true), "{next:?}");
    assert!(!next.contains(&"GetItem api_key_hashes".to_owned()), "{next:?}");
    // A key of another project does not start reads of this project either.
    let bearer = Auth::Bearer(&world.access_token);
    let other = lane.call("POST", "/v1/projects", &bearer, Some(&json!({ "name": "other" }))).await.json();
    let other_key = other["api_key"].as_str().expect("a key");
    for expected in [vec!["GetItem api_key_hashes".to_owned()], Vec::new()] {
        assert_eq!(calls(&lane, &world, other_key).await, (403, expected));
    }
}
