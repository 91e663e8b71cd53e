//! What rows hold of secrets is sealed under a key that the functions read once (docs/security.md): a copied row is
//! worth nothing, and without the keys nothing is sent and nothing is lost.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use echo_lanes::dynamo::Dynamo;
use echo_lanes::fault::Fault;
use echo_lanes::lane::{LaneSettings, RETRIES};
use echo_lanes::run::{Ending, Run};
use echo_lanes::sqs::Outgoing;
use echo_lanes::world::{ONE, TEN, World};
use echo_lanes::{sealed, signed, suite, wait};
use serde_json::{Value, json};

const REST: Duration = Duration::from_secs(90);

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

/// A lane that writes its log to a folder of its own.
async fn run(world: &World) -> Run<'_> {
    let logs = suite::logs().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir_all(&logs).expect("a folder");
    let settings = LaneSettings { logs: Some(logs), ..LaneSettings::default() }.patient();
    Run::new(world.lane(settings).await.expect("a lane"), world)
}

/// Checks that the run came to rest without a violation, and removes its logs.
async fn over(run: Run<'_>) {
    assert!(run.lane.settle(REST).await, "jobs are left");
    assert_eq!(run.notes().violations, [""; 0]);
    let logs = run.lane.settings.logs.clone().expect("a folder");
    drop(run);
    std::fs::remove_dir_all(logs).expect("the folder can go");
}

fn log(run: &Run<'_>) -> String {
    let log = run.lane.delivery.settings.log.as_ref().expect("a log");
    std::fs::read_to_string(log).expect("the log")
}

async fn logs_line(run: &Run<'_>, text: &str) {
    let in_time = wait::until(Duration::from_secs(30), || log(run).contains(text)).await;
    assert!(in_time, "no log line has '{text}'");
}

/// The status that the API answers for endpoint `n`.
async fn status(run: &Run<'_>, n: usize) -> u16 {
    run.lane.call("GET", &run.endpoint(n, ""), &run.key(), None).await.status
}

async fn secret(run: &Run<'_>, n: usize) -> String {
    let answers = run.insist("GET", &run.endpoint(n, ""), &run.key(), None, &[200]).await;
    let shown = answers.last().map(|answer| answer.json()).unwrap_or_default();
    shown["signing_secret"].as_str().unwrap_or_default().to_owned()
}

/// The row of endpoint `n`'s settings.
fn settings(run: &Run<'_>, n: usize) -> Value {
    let key = json!({ "id": { "S": run.world.endpoints[n] }, "part": { "S": "settings" } });
    run.lane.aws.dynamo.item("endpoints", &key).expect("a row")
}

fn hits(run: &Run<'_>, path: &str) -> usize {
    run.lane.receiver.hits().iter().filter(|hit| hit.path == path).count()
}

/// Every hit on a path carries a signature by this secret.
fn is_signed(run: &Run<'_>, path: &str, secret: &str) -> bool {
    let hits = run.lane.receiver.hits();
    let mut hits = hits.iter().filter(|hit| hit.path == path).peekable();
    hits.peek().is_some()
        && hits.all(|hit| {
            hit.headers.get("x-echo-signature").is_some_and(|sent| *sent == signed::echo(secret, &hit.body))
        })
}

/// All bytes of all tables: texts and binary attributes.
fn dump(dynamo: &Dynamo) -> String {
    fn add(value: &Value, to: &mut String) {
        match value {
            Value::Object(all) => {
                for (name, value) in all {
                    to.push_str(&format!(" {name} "));
                    if let (true, Some(text)) = (name == "B", value.as_str()) {
                        to.push_str(&String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()));
                    }
                    add(value, to);
                }
            }
            Value::Array(all) => all.iter().for_each(|value| add(value, to)),
            plain => to.push_str(&plain.to_string()),
        }
    }
    let mut all = String::new();
    for item in Dynamo::tables().flat_map(|table| dynamo.items(table)) {
        add(&item, &mut all);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_holds_a_signing_secret_a_private_key_or_a_header_value() {
    let world = world().await;
    let run = run(&world).await;
    let options = json!({ "headers": { "authorization": "Bearer open-sesame" }, "ed25519": true });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&options), &[200]).await;
    let auth = json!({ "auth": {
        "type": "oauth2", "token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "close-sesame",
    } });
    run.insist("PATCH", &run.endpoint(1, ""), &run.key(), Some(&auth), &[200]).await;
    let old = secret(&run, 0).await;
    run.insist("POST", &run.endpoint(0, "/secret/rotate"), &run.key(), None, &[200]).await;
    let new = secret(&run, 0).await;
    run.post_event(ONE, &json!({}), Ending::Success).await;
    assert!(run.lane.settle(REST).await);
    assert!(is_signed(&run, "/0", &new));
    let all = dump(&run.lane.aws.dynamo);
    assert!(all.contains(&world.project_id) && all.contains("client_secret"), "the dump shows what is there");
    for hidden in
        ["whsec_", "whsk_", "open-sesame", "close-sesame", &old["whsec_".len()..], &new["whsec_".len()..]]
    {
        assert!(!all.contains(hidden), "a table holds {hidden}");
    }
    assert_eq!((sealed::values(&settings(&run, 0)).len(), sealed::values(&settings(&run, 1)).len()), (5, 2));
    over(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_copied_to_another_endpoint_does_not_open_and_nothing_is_sent() {
    let world = world().await;
    let run = run(&world).await;
    let own = settings(&run, 1);
    let secrets = (secret(&run, 0).await, secret(&run, 1).await);
    // A row that names another project belongs to no endpoint of this one.
    let mut stolen = own.clone();
    stolen["project_id"] = json!({ "S": "01a20259-3a57-7c63-9fb6-0c94e1b2e278" });
    run.lane.aws.dynamo.put("endpoints", &stolen);
    assert_eq!(status(&run, 1).await, 404);
    let mut copied = own.clone();
    copied["signing_secret"] = settings(&run, 0)["signing_secret"].clone();
    run.lane.aws.dynamo.put("endpoints", &copied);
    assert_eq!(status(&run, 1).await, 500);
    run.post_event(TEN, &json!({}), Ending::Success).await;
    logs_line(&run, "does not open").await;
    assert!(
        wait::until(REST, || hits(&run, "/0") == 1).await,
        "another endpoint's delivery waits for nothing"
    );
    assert_eq!(hits(&run, "/1"), 0);
    let log = log(&run);
    assert!(log.contains(&world.endpoints[1]), "the log names the endpoint");
    assert!(!log.contains("whsec_") && !log.contains(&secrets.0["whsec_".len()..]));
    // Once the row is as it was, the delivery arrives.
    run.lane.aws.dynamo.put("endpoints", &own);
    assert!(run.lane.settle(REST).await);
    assert!(is_signed(&run, "/1", &secrets.1));
    over(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_keys_cannot_be_had_nothing_is_sent_and_nothing_is_lost() {
    let world = world().await;
    let run = run(&world).await;
    for fault in [Fault::ServerError, Fault::Refused] {
        run.lane.restart_functions().await.expect("new processes");
        run.lane.aws.faults.outage(Some(("GetSecretValue sealing-keys", fault)));
        let before = hits(&run, "/0");
        run.post_event(ONE, &json!({}), Ending::Success).await;
        assert_eq!(status(&run, 0).await, 503);
        let body = json!({ "url": "https://example.com/", "events": [ONE] });
        let created = run.lane.call("POST", &run.project("/webhooks"), &run.key(), Some(&body)).await;
        assert_eq!(created.status, 503);
        logs_line(&run, "the sealing keys cannot be had").await;
        assert_eq!(hits(&run, "/0"), before, "nothing is sent unsigned");
        run.lane.aws.faults.outage(None);
        assert!(run.lane.settle(REST).await, "{fault:?}: jobs are left");
        assert_eq!(hits(&run, "/0"), before + 1);
    }
    let secret = secret(&run, 0).await;
    assert!(is_signed(&run, "/0", &secret));
    over(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_seals_from_then_on_and_running_functions_learn_of_it() {
    let world = world().await;
    let run = run(&world).await;
    let secret = secret(&run, 0).await;
    // The delivery function has read the secret with one key.
    run.post_event(ONE, &json!({ "n": 1 }), Ending::Success).await;
    assert!(run.lane.settle(REST).await);
    run.lane.aws.put_sealing_keys(&["k1", "k2"]);
    run.lane.api.cool_down();
    let headers = json!({ "headers": { "x-own": "value" } });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&headers), &[200]).await;
    assert_eq!(sealed::keys_of(&settings(&run, 0)), ["k1", "k2"], "the secret, then the header");
    run.post_event(ONE, &json!({ "n": 2 }), Ending::Success).await;
    assert!(run.lane.settle(REST).await);
    let hits = run.lane.receiver.hits();
    let own = hits.last().and_then(|hit| hit.headers.get("x-own")).map(String::as_str);
    assert_eq!((hits.len(), own), (2, Some("value")));
    assert!(is_signed(&run, "/0", &secret));
    over(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_removed_too_early_holds_deliveries_back_until_it_is_there_again() {
    let world = world().await;
    let run = run(&world).await;
    let secret = secret(&run, 0).await;
    run.lane.aws.put_sealing_keys(&["k2"]);
    run.lane.restart_functions().await.expect("new processes");
    run.post_event(ONE, &json!({}), Ending::Success).await;
    logs_line(&run, "is sealed under the key k1, which the secret SealingKeys does not have").await;
    assert_eq!((status(&run, 0).await, hits(&run, "/0")), (503, 0));
    run.lane.aws.put_sealing_keys(&["k1", "k2"]);
    assert!(run.lane.settle(REST).await);
    assert!(is_signed(&run, "/0", &secret));
    over(run).await;
}

/// A sweep reads the table only when no function can seal under the earlier key any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_begins_five_minutes_after_its_key_was_seen_and_only_under_the_current_key() {
    let world = world().await;
    let run = run(&world).await;
    let send = |key: &str| {
        let body = json!({ "v": 5, "key": key }).to_string();
        let sent = run.lane.aws.sqs.send(RETRIES, Outgoing { body, group: None, delay: Duration::ZERO });
        assert!(sent.is_ok());
    };
    send("k9");
    logs_line(&run, "its key is not the current one").await;
    assert!(run.lane.settle(REST).await);
    run.lane.aws.put_sealing_keys(&["k1", "k2"]);
    send("k2");
    logs_line(&run, "the sweep goes on").await;
    let waits = || run.lane.aws.sqs.bodies(RETRIES).iter().any(|body| body.contains("\"is_settled\":true"));
    assert!(wait::until(REST, waits).await);
    assert!(sealed::keys_of(&settings(&run, 0)).iter().all(|key| key == "k1"), "nothing is sealed anew yet");
    let logs = run.lane.settings.logs.clone().expect("a folder");
    drop(run);
    std::fs::remove_dir_all(logs).expect("the folder can go");
}
