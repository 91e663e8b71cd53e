//! Many calls at once: limits are exact, and a refusal names the limit that is reached (contract §2). Simultaneous
//! changes of an endpoint are all made. The longest list fits into a Lambda answer.

use echo_lanes::gateway::HttpAnswer;
use echo_lanes::lane::{Auth, Lane, LaneSettings};
use echo_lanes::receiver::Behaviour;
use echo_lanes::run::{Ending, Run};
use echo_lanes::world::{ONE, PASSWORD, World};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const AT_ONCE: usize = 16;

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

/// Settings with as many concurrent invocations as requests.
fn settings(name: &str, env: &[(&'static str, &str)]) -> LaneSettings {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    // Sixteen processes start at once here. The tests count the requests that succeed, and do not measure their time.
    let api_timeout = Duration::from_secs(60);
    LaneSettings { name: name.to_owned(), env, concurrency: AT_ONCE, api_timeout, ..LaneSettings::default() }
}

async fn at_once(lane: &Lane, method: &str, target: &str, auth: &Auth<'_>, body: &Value) -> Vec<HttpAnswer> {
    join_all((0..AT_ONCE).map(|_| lane.call(method, target, auth, Some(body)))).await
}

/// The number of answers with this status. Every other answer must be a 409 whose message contains `what`.
fn made(answers: &[HttpAnswer], status: u16, what: &str) -> usize {
    for answer in answers.iter().filter(|answer| answer.status != status) {
        let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 409, "{message}");
        assert!(message.contains(what), "{message}");
    }
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_has_at_most_100_active_keys() {
    let world = world().await;
    let lane = world.lane(settings("keys", &[])).await.expect("a lane");
    let bearer = Auth::Bearer(&world.access_token);
    let create = |count: usize| {
        let body = json!({ "name": "one of many" });
        let lane = &lane;
        async move {
            for _ in 0..count {
                assert_eq!(lane.call("POST", "/v1/api-keys", &bearer, Some(&body)).await.status, 201);
            }
        }
    };
    // The project's first key came with the project.
    create(92).await;
    let body = json!({ "name": "raced" });
    let raced = at_once(&lane, "POST", "/v1/api-keys", &bearer, &body).await;
    assert_eq!(made(&raced, 201, "100 active API keys"), 7);

    // A revoked key makes room for one key, even when many requests revoke it at once.
    let id = raced.iter().find_map(|answer| answer.json()["id"].as_str().map(str::to_owned));
    let target = format!("/v1/api-keys/{}/revoke", id.expect("a key"));
    let revoked = at_once(&lane, "PATCH", &target, &bearer, &json!({})).await;
    assert!(revoked.iter().all(|answer| answer.json()["status"] == "revoked"), "{revoked:?}");
    let raced = at_once(&lane, "POST", "/v1/api-keys", &bearer, &body).await;
    assert_eq!(made(&raced, 201, "100 active API keys"), 1);
    let listed = lane.call("GET", "/v1/api-keys", &bearer, None).await.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(101));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_cap_of_one_project_makes_another_in_its_place() {
    let world = world().await;
    let lane = world.lane(settings("projects", &[("MAX_PROJECTS_PER_ACCOUNT", "1")])).await.expect("a lane");
    let bearer = Auth::Bearer(&world.access_token);
    let body = json!({ "name": "the next" });
    let refused = lane.call("POST", "/v1/projects", &bearer, Some(&body)).await;
    assert_eq!(made(&[refused], 201, "1 projects"), 0);
    let first = format!("/v1/projects/{}", world.project_id);
    let password = json!({ "password": PASSWORD });
    assert_eq!(lane.call("DELETE", &first, &bearer, Some(&password)).await.status, 202);
    let raced = at_once(&lane, "POST", "/v1/projects", &bearer, &body).await;
    assert_eq!(made(&raced, 201, "1 projects"), 1);
}

/// DynamoDB deletes a revoked key's rows when they expire. The rows of a project's first key stay: they tell the
/// delivery function that the project exists.
#[tokio::test(flavor = "multi_thread")]
async fn revoked_keys_expire() {
    let world = world().await;
    let lane = world.lane(settings("expiry", &[("RETENTION_DAYS", "2")])).await.expect("a lane");
    let bearer = Auth::Bearer(&world.access_token);
    lane.call("POST", "/v1/api-keys", &bearer, Some(&json!({ "name": "second" }))).await;
    let listed = lane.call("GET", "/v1/api-keys", &bearer, None).await.json();
    for key in listed.as_array().expect("an array") {
        let target = format!("/v1/api-keys/{}/revoke", key["id"].as_str().expect("an id"));
        assert_eq!(lane.call("PATCH", &target, &bearer, None).await.status, 200);
    }
    let rows = lane.aws.dynamo.rows("api_keys");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let grants = lane.aws.dynamo.rows("api_key_hashes");
        let grant = grants.iter().find(|grant| grant["key_hash"] == row["key_hash"]).expect("a grant");
        assert_eq!(row["expires_at"], grant["expires_at"]);
        let lives =
            row["expires_at"].as_i64().map(|at| at - row["updated_at"].as_i64().expect("a time") / 1_000);
        assert_eq!(lives, Some(2 * 86_400), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_at_most_so_many_projects() {
    let world = world().await;
    for (most, made_of_16) in [("5", 4), ("1", 0)] {
        let lane =
            world.lane(settings("projects", &[("MAX_PROJECTS_PER_ACCOUNT", most)])).await.expect("a lane");
        let bearer = Auth::Bearer(&world.access_token);
        let raced = at_once(&lane, "POST", "/v1/projects", &bearer, &json!({ "name": "raced" })).await;
        assert_eq!(made(&raced, 201, &format!("{most} projects")), made_of_16);
        let listed = lane.call("GET", "/v1/projects", &bearer, None).await.json();
        assert_eq!(listed.as_array().map(Vec::len), Some(made_of_16 + 1), "{listed}");
    }
}

/// Each is made on the row as it was read, and the others have changed that meanwhile: the service tries again by itself. Only
/// a change that another call contradicts is refused, because its caller may have given up and made the other one.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_an_endpoint_at_once_are_all_made() {
    let world = world().await;
    let lane = world.lane(settings("changes", &[])).await.expect("a lane");
    let target = format!("/v1/projects/{}/webhooks/{}", world.project_id, world.endpoints[0]);
    let key = Auth::Key(&world.api_key);
    // These requests start all processes before the race.
    let _ = at_once(&lane, "GET", &target, &key, &json!({})).await;
    let others: Vec<Value> = (0..10).map(|n| json!({ "description": format!("number {n}") })).collect();
    let answers = join_all(others.iter().map(|change| lane.call("PATCH", &target, &key, Some(change)))).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 503)), "{answers:?}");
    let made: Vec<Value> =
        answers.iter().filter(|a| a.status == 200).map(|a| a.json()["description"].clone()).collect();
    let shown = lane.call("GET", &target, &key, None).await.json();
    assert!(made.contains(&shown["description"]), "{shown} is none of {made:?}");
    let fields = [
        json!({ "description": "apart" }),
        json!({ "rate_limit_per_second": 7 }),
        json!({ "events": ["call.ended"] }),
    ];
    let answers = join_all(fields.iter().map(|change| lane.call("PATCH", &target, &key, Some(change)))).await;
    let shown = lane.call("GET", &target, &key, None).await.json();
    for (answer, change) in answers.iter().zip(&fields) {
        let (name, value) = change.as_object().and_then(|fields| fields.iter().next()).expect("a field");
        assert_eq!((answer.status, &shown[name]), (200, value));
    }
    for round in 0..3 {
        let change = json!({ "description": format!("round {round}") });
        let answers = join_all((0..10).map(|_| lane.call("PATCH", &target, &key, Some(&change)))).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200; 10]);
        let shown = lane.call("GET", &target, &key, None).await.json();
        assert_eq!(shown["description"], change["description"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_has_one_running_replay() {
    let world = world().await;
    let settings = settings("replays", &[("RETRY_DELAYS_SECONDS", "1")]).patient();
    let mut run = Run::new(world.lane(settings).await.expect("a lane"), &world);
    run.lane.receiver.set("/0", Behaviour::Answer(410));
    run.post_event(ONE, &json!({}), Ending::Failed("gone")).await;
    assert!(run.lane.settle(Duration::from_secs(30)).await);
    run.lane.receiver.set("/0", Behaviour::Answer(200));
    let active = json!({ "status": "active" });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&active), &[200]).await;

    let (target, body) = (run.endpoint(0, "/replay"), json!({ "since": "2020-01-01T00:00:00Z" }));
    // In the first round the endpoint has had no replay yet, and in the second it has.
    for _ in 0..2 {
        // No replay ends while the requests for others still come.
        run.lane.stop_mappings();
        let raced = at_once(&run.lane, "POST", &target, &run.key(), &body).await;
        assert_eq!(made(&raced, 202, "replay of the webhook endpoint is running"), 1);
        run.lane.start_mappings();
        let begun = raced.iter().find(|answer| answer.status == 202).expect("one").json();
        assert!(run.lane.settle(Duration::from_secs(100)).await);
        let shown = run.endpoint(0, &format!("/replays/{}", begun["id"].as_str().expect("an id")));
        let shown = run.lane.call("GET", &shown, &run.key(), None).await.json();
        assert_eq!(shown["status"], "finished", "{shown}");
    }
    let attempts = run.lane.receiver.hits().len();
    assert_eq!(attempts, 2, "the first replay retried the delivery, and the second found none");
}

/// Each endpoint takes as many bytes of the function's answer as an endpoint can. The answer holds JSON in a JSON
/// string, so a quote takes four bytes.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_list_of_the_largest_endpoints_is_answered() {
    let world = world().await;
    let lane = world.lane(settings("lists", &[("MAX_ENDPOINTS_PER_PROJECT", "100")])).await.expect("a lane");
    let bearer = Auth::Bearer(&world.access_token);
    let project = lane.call("POST", "/v1/projects", &bearer, Some(&json!({ "name": "large" }))).await.json();
    let key = Auth::Key(project["api_key"].as_str().expect("a key"));
    let target = format!("/v1/projects/{}/webhooks", project["id"].as_str().expect("an id"));
    // The names are short and the values are quotes. Together they have nearly the 8 KiB that headers may have, and
    // nearly every byte of them grows to four in the answer.
    let value = |n: usize| "\"".repeat(8 * 1_024 / 20 - if n < 12 { 2 } else { 3 });
    let headers: serde_json::Map<String, Value> =
        (0..20).map(|n| (format!("x{n}"), value(n).into())).collect();
    let url = format!("https://example.com/{}", "a".repeat(2_028));
    let body = json!({
        "url": url,
        "events": ["call.started", "call.ended", "call.summary"],
        "description": "\u{1}".repeat(512),
        "headers": headers,
    });
    // A busy machine may be too slow for the store's timeouts; then the API answers 503. An answer that is too large
    // becomes a 500.
    let end = Instant::now() + Duration::from_secs(100);
    let call = async |method, body| loop {
        let answer = lane.call(method, &target, &key, body).await;
        if answer.status != 503 || Instant::now() > end {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for _ in 0..100 {
        let answer = call("POST", Some(&body)).await;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(call("POST", Some(&body)).await.status, 409);
    let listed = call("GET", None).await;
    println!("{} bytes as they reach the caller", listed.body.len());
    assert_eq!(listed.json().as_array().map(Vec::len), Some(100), "status {}", listed.status);
    let names = |headers: &Value| headers.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
    assert_eq!(names(&listed.json()[99]["headers"]), names(&body["headers"]));
}
