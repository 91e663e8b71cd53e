//! A partition key accepts 1,000 write units and 3,000 read units a second. Beyond that the API tells callers to
//! wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use echo_lanes::dynamo::Dynamo;
use echo_lanes::http::Reply;
use echo_lanes::invariants::judge;
use echo_lanes::lane::LaneSettings;
use echo_lanes::partitions::Partitions;
use echo_lanes::run::{Ending, Run, Sent};
use echo_lanes::suite;
use echo_lanes::world::{ONE, World};
use serde_json::{Value, json};

const AUTOMATIC: usize = 4;

/// The tables with a clock that only the test moves.
struct Tables {
    dynamo: Dynamo,
    partitions: Partitions,
    now: Instant,
}

impl Tables {
    fn new() -> Self {
        Self { dynamo: Dynamo::new(false), partitions: Partitions::default(), now: Instant::now() }
    }

    fn call(&self, operation: &str, request: &Value) -> Reply {
        self.partitions.call_at(self.now, &self.dynamo, operation, &request.to_string())
    }

    fn done(&self, operation: &str, request: &Value) -> Value {
        let reply = self.call(operation, request);
        assert_eq!(reply.status, 200, "{operation}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap_or_default()
    }

    fn is_throttled(&self, operation: &str, request: &Value, reason: &str) {
        let reply = self.call(operation, request);
        assert_eq!(reply.status, 400, "{operation}");
        let is_told = reply.body.contains("#ThrottlingException\"") && reply.body.contains(reason);
        assert!(is_told, "{}", reply.body);
    }
}

/// A row of slightly more than `kibibytes` KiB.
fn row(partition: &str, id: &str, kibibytes: usize) -> Value {
    json!({ "partition": { "S": partition }, "id": { "S": id }, "filler": { "S": "x".repeat(kibibytes * 1_024) } })
}

fn put(partition: &str, kibibytes: usize) -> Value {
    json!({ "TableName": "deliveries", "Item": row(partition, "d", kibibytes) })
}

fn get(partition: &str, is_consistent: bool) -> Value {
    let key = json!({ "partition": { "S": partition }, "id": { "S": "d" } });
    json!({ "TableName": "deliveries", "Key": key, "ConsistentRead": is_consistent })
}

fn insert(partition: &str, id: &str) -> Value {
    json!({ "Statement": "INSERT INTO \"deliveries\" VALUE {'partition': ?, 'id': ?}",
        "Parameters": [{ "S": partition }, { "S": id }] })
}

#[test]
fn writes_to_one_key_stop_at_a_thousand_units_and_go_on_a_second_later() {
    let mut tables = Tables::new();
    let full = "TableWriteKeyRangeThroughputExceeded";
    tables.done("PutItem", &put("a", 398));
    // To replace the large row by a small one costs as much as the large row, 399 units. The next write costs 202
    // units, so that all three reach the limit.
    tables.done("PutItem", &put("a", 0));
    tables.done("PutItem", &put("a", 201));
    tables.done("PutItem", &put("b", 0));
    tables.is_throttled("PutItem", &put("a", 0), full);
    tables.is_throttled(
        "DeleteItem",
        &json!({ "TableName": "deliveries", "Key": get("a", true)["Key"] }),
        full,
    );
    // Another key accepts the write.
    tables.done("PutItem", &put("b", 0));
    tables.now += Duration::from_millis(999);
    tables.is_throttled("PutItem", &put("a", 0), full);
    tables.now += Duration::from_millis(1);
    tables.done("PutItem", &put("a", 0));
    assert_eq!(tables.partitions.throttled(), BTreeMap::from([(format!("deliveries {full}"), 3)]));
}

#[test]
fn below_a_thousand_units_the_next_write_is_let_through() {
    let tables = Tables::new();
    // The rows cost 400, 400 and 199 units.
    for (id, kibibytes) in [("1", 399), ("2", 399), ("3", 198)] {
        let item = row("a", id, kibibytes);
        tables.done("PutItem", &json!({ "TableName": "deliveries", "Item": item }));
    }
    tables.done("PutItem", &put("a", 0));
    assert_eq!(tables.call("PutItem", &put("a", 0)).status, 400);
}

#[test]
fn a_refused_condition_is_charged_by_the_row_that_is_there() {
    let tables = Tables::new();
    tables.done("PutItem", &put("a", 399));
    let mut again = put("a", 399);
    again["ConditionExpression"] = "attribute_not_exists(id)".into();
    for _ in 0..2 {
        assert!(tables.call("PutItem", &again).body.contains("ConditionalCheckFailed"));
    }
    tables.is_throttled("PutItem", &again, "Write");
}

#[test]
fn reads_stop_at_three_thousand_units_and_cost_half_when_eventually_consistent() {
    let reason = "TableReadKeyRangeThroughputExceeded";
    let tables = Tables::new();
    for partition in ["a", "b"] {
        tables.done("PutItem", &put(partition, 399));
    }
    // A consistent read costs 100 units, an eventually consistent read 50.
    (0..30).for_each(|_| _ = tables.done("GetItem", &get("a", true)));
    tables.is_throttled("GetItem", &get("a", true), reason);
    (0..60).for_each(|_| _ = tables.done("GetItem", &get("b", false)));
    tables.is_throttled("GetItem", &get("b", true), reason);
    // A query uses the units of the same partition.
    let query = |partition: &str| {
        json!({ "TableName": "deliveries", "KeyConditionExpression": "#p = :p AND id BETWEEN :a AND :z",
        "ExpressionAttributeNames": { "#p": "partition" },
        "ExpressionAttributeValues": { ":p": { "S": partition }, ":a": { "S": "a" }, ":z": { "S": "z" } } })
    };
    tables.done("Query", &query("c"));
    tables.is_throttled("Query", &query("a"), reason);
}

#[test]
fn a_batch_read_leaves_the_keys_of_a_full_partition_unprocessed() {
    let tables = Tables::new();
    for partition in ["a", "b"] {
        tables.done("PutItem", &put(partition, 399));
    }
    let keys = |partitions: &[&str]| {
        let keys: Vec<Value> =
            partitions.iter().map(|partition| get(partition, true)["Key"].clone()).collect();
        json!({ "RequestItems": { "deliveries": { "Keys": keys, "ConsistentRead": true } } })
    };
    (0..30).for_each(|_| _ = tables.done("BatchGetItem", &keys(&["a"])));
    let answer = tables.done("BatchGetItem", &keys(&["a", "b"]));
    assert_eq!(answer["Responses"]["deliveries"][0]["partition"]["S"], "b");
    assert_eq!(answer["UnprocessedKeys"], keys(&["a"])["RequestItems"]);
    tables.is_throttled("BatchGetItem", &keys(&["a"]), "TableReadKeyRangeThroughputExceeded");
}

#[test]
fn a_statement_fails_alone_and_a_transaction_as_a_whole() {
    let tables = Tables::new();
    // A transaction doubles the units of a row: two rows of 300 units cost 1,200.
    let whole = json!({ "TransactItems": [{ "Put": put("a", 299) }] });
    (0..2).for_each(|_| _ = tables.done("TransactWriteItems", &whole));
    let batch = json!({ "Statements": [insert("b", "1"), insert("a", "1"), insert("b", "2")] });
    let answer = tables.done("BatchExecuteStatement", &batch);
    let codes: Vec<&Value> =
        answer["Responses"].as_array().into_iter().flatten().map(|one| &one["Error"]["Code"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("ThrottlingError"), &Value::Null]);

    let item = |partition: &str| json!({ "Put": put(partition, 0) });
    let reply = tables.call("TransactWriteItems", &json!({ "TransactItems": [item("c"), item("a")] }));
    let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let codes: Vec<&Value> =
        answer["CancellationReasons"].as_array().into_iter().flatten().map(|one| &one["Code"]).collect();
    assert_eq!((reply.status, codes), (400, vec![&json!("None"), &json!("ThrottlingError")]));
    let written = tables.done("GetItem", &get("c", true));
    assert_eq!(written.get("Item"), None, "the transaction wrote nothing");
}

#[test]
fn a_full_partition_of_an_index_holds_up_its_table() {
    let tables = Tables::new();
    let entering = |partition: &str, attention: &str| {
        let mut item = put(partition, 0);
        item["Item"]["attention"] = json!({ "S": attention });
        item
    };
    // Rows of many partitions of the table enter one partition of the index. In a transaction each entry costs two
    // units.
    for round in 0..5 {
        let items = (0..100).map(|n| json!({ "Put": entering(&format!("{round}-{n}"), "e#failed") }));
        tables.done("TransactWriteItems", &json!({ "TransactItems": items.collect::<Vec<_>>() }));
    }
    let full = "IndexWriteKeyRangeThroughputExceeded";
    tables.is_throttled("PutItem", &entering("new", "e#failed"), full);
    // A row in the full partition cannot leave it either. Rows of other partitions, and rows that are in no index,
    // can be written.
    let leaves = json!({ "TableName": "deliveries",
        "Key": { "partition": { "S": "0-0" }, "id": { "S": "d" } }, "UpdateExpression": "REMOVE attention" });
    tables.is_throttled("UpdateItem", &leaves, full);
    tables.done("PutItem", &entering("new", "e#retrying"));
    tables.done("PutItem", &put("newer", 0));
}

async fn run(world: &World) -> Run<'_> {
    let settings = LaneSettings { concurrency: 12, ..LaneSettings::default() };
    Run::new(world.lane(settings).await.expect("a lane"), world)
}

/// Random text, which compression cannot shrink.
fn noise(bytes: usize) -> String {
    let random = (0..bytes.div_ceil(16)).flat_map(|_| *uuid::Uuid::new_v4().as_bytes()).collect::<Vec<u8>>();
    STANDARD.encode(random)
}

/// Posts an event until the API accepts it, waits between the tries as `retry-after` says, and notes the promised
/// delivery. Returns the number of refusals.
async fn post(run: &Run<'_>, bytes: usize, any_refused: &AtomicBool) -> usize {
    let event_id = uuid::Uuid::new_v4().to_string();
    let body = json!({ "event_id": event_id, "event_name": ONE, "data": { "noise": noise(bytes) } });
    for refused in 0..50 {
        let answer = run.lane.call("POST", &run.project("/events"), &run.key(), Some(&body)).await;
        if answer.status == 202 {
            let id = answer.json()["deliveries"][0]["id"].as_str().unwrap_or_default().to_owned();
            let listed = vec![(id, run.world.endpoints[0].clone())];
            run.notes().sent.push(Sent { event_id, listed, ending: Ending::Success });
            return refused;
        }
        any_refused.store(true, Ordering::Relaxed);
        assert_eq!(answer.status, 503, "{}", answer.json());
        let wait = answer.headers.get("retry-after").and_then(|wait| wait.parse().ok());
        tokio::time::sleep(Duration::from_secs(wait.expect("a 503 says when to send again"))).await;
    }
    panic!("{event_id} was never accepted")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_past_a_partitions_limit_is_told_to_wait_and_loses_nothing() {
    const AT_ONCE: usize = 12;
    std::fs::create_dir_all(suite::logs()).expect("a folder for logs");
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = run(&world).await;
    // Other writers fill the project's partition until the first caller is refused. A slow machine's flood alone
    // would not fill it.
    let any_refused = Arc::new(AtomicBool::new(false));
    let (aws, partition) = (Arc::clone(&run.lane.aws), format!("{}#0", world.project_id));
    let stop = Arc::clone(&any_refused);
    let others = tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            aws.partitions.written_by_others("events", &partition, 1_000.0);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let posts = (0..AT_ONCE).map(|_| post(&run, 180 * 1_024, &any_refused));
    let refused: usize = futures_util::future::join_all(posts).await.into_iter().sum();
    others.abort();
    let throttled = run.lane.aws.partitions.throttled();
    assert!(refused > 0, "nothing was refused: {throttled:?}");
    assert!(throttled.contains_key("events TableWriteKeyRangeThroughputExceeded"), "{throttled:?}");
    let verdict = judge(&run, run.lane.settle(Duration::from_secs(90)).await, AUTOMATIC).await;
    assert_eq!((verdict.losses, verdict.violations), (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_limit_nothing_is_throttled() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = run(&world).await;
    for _ in 0..20 {
        assert_eq!(post(&run, 1_024, &AtomicBool::new(false)).await, 0);
    }
    let verdict = judge(&run, run.lane.settle(Duration::from_secs(60)).await, AUTOMATIC).await;
    assert_eq!((verdict.losses, verdict.violations), (Vec::new(), Vec::new()));
    assert_eq!(run.lane.aws.partitions.throttled(), BTreeMap::new());
}
