//! The gain and the cost of a project's shards, on the stand-in: more writes a second before a partition key is
//! full, and pages that read several partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use echo_lanes::dynamo::Dynamo;
use echo_lanes::gateway::HttpAnswer;
use echo_lanes::lane::{Auth, Lane, LaneSettings};
use echo_lanes::partitions::Partitions;
use echo_lanes::world::{ONE, World};
use serde_json::{Value, json};

/// A project of so many shards, with one endpoint.
struct Project {
    key: String,
    path: String,
    endpoint: String,
}

impl Project {
    async fn make(lane: &Lane, world: &World, shards: u8) -> Self {
        let body = json!({ "name": "spread", "shards": shards });
        let made = lane.call("POST", "/v1/projects", &Auth::Bearer(&world.access_token), Some(&body)).await;
        let made = body_of(&made, 201);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (key, path) = (text(&made["api_key"]), format!("/v1/projects/{}", text(&made["id"])));
        let url = format!("http://{}/spread", lane.receiver.address());
        let webhook = json!({ "url": url, "events": [ONE] });
        let made = lane.call("POST", &format!("{path}/webhooks"), &Auth::Key(&key), Some(&webhook)).await;
        Self { key, path, endpoint: text(&body_of(&made, 201)["id"]) }
    }

    async fn post(&self, lane: &Lane, name: &str) {
        let target = format!("{}/events", self.path);
        let event = json!({ "event_name": name });
        body_of(&lane.call("POST", &target, &Auth::Key(&self.key), Some(&event)).await, 202);
    }

    /// A page of 50, and the read units of its queries.
    async fn page(&self, lane: &Lane, target: &str) -> (Value, f64) {
        lane.aws.watch.start();
        let target = format!("{}{target}", self.path);
        let page = lane.call("GET", &target, &Auth::Key(&self.key), None).await;
        let seen = lane.aws.watch.stop();
        let units = seen.iter().filter(|call| call.operation == "Query").map(|call| {
            let answer: Value = serde_json::from_str(&call.reply.body).unwrap_or_default();
            answer["ConsumedCapacity"]["CapacityUnits"].as_f64().expect("the units of a query")
        });
        (body_of(&page, 200), units.sum())
    }

    /// The project's rows of a table.
    fn rows(&self, lane: &Lane, table: &str) -> Vec<Value> {
        let id = self.path.rsplit('/').next().unwrap_or_default();
        lane.aws.dynamo.items(table).into_iter().filter(|row| row["project_id"]["S"] == id).collect()
    }
}

fn body_of(answer: &HttpAnswer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.json());
    answer.json()
}

/// How many of such rows a table accepts within one second until it throttles one.
fn accepted_at_once(table: &str, sort_key: &str, rows: &[Value]) -> usize {
    let (dynamo, partitions, now) = (Dynamo::new(false), Partitions::default(), Instant::now());
    let mut accepted = 0;
    loop {
        let mut row = rows[accepted % rows.len()].clone();
        row[sort_key] = json!({ "S": format!("{accepted:012}") });
        let put = json!({ "TableName": table, "Item": row }).to_string();
        if partitions.call_at(now, &dynamo, "PutItem", &put).status != 200 {
            return accepted;
        }
        accepted += 1;
    }
}

#[tokio::test]
async fn sixteen_shards_take_several_times_the_events_of_one() {
    // So many that each shard gets some.
    const EVENTS: usize = 240;
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let lane = world.lane(LaneSettings::default()).await.expect("a lane");
    let mut accepted: BTreeMap<(&str, u8), usize> = BTreeMap::new();
    for shards in [1, 16] {
        let project = Project::make(&lane, &world, shards).await;
        for _ in 0..EVENTS {
            project.post(&lane, ONE).await;
        }
        for (table, sort_key) in [("events", "event_id"), ("deliveries", "id")] {
            let rows = project.rows(&lane, table);
            assert_eq!(rows.len(), EVENTS);
            let keys: BTreeSet<String> = rows.iter().map(|row| row["partition"]["S"].to_string()).collect();
            assert_eq!(keys.len(), usize::from(shards), "{keys:?}");
            accepted.insert((table, shards), accepted_at_once(table, sort_key, &rows));
        }
    }
    for table in ["events", "deliveries"] {
        let (one, many) = (accepted[&(table, 1)], accepted[&(table, 16)]);
        assert!((500..=1_001).contains(&one), "{accepted:?}");
        assert!(many >= 4 * one, "{accepted:?}");
    }
}

/// Copies a row over the shards of its project, and sorts the copies by time: `rows` of about `bytes` each.
fn spread(dynamo: &Dynamo, table: &str, row: &Value, shards: u8, rows: usize, bytes: usize) {
    let sort_key = if table == "events" { "event_id" } else { "id" };
    let id = row[sort_key]["S"].as_str().expect("an id").to_owned();
    let partition = row["partition"]["S"].as_str().expect("a partition");
    let (partition, _) = partition.rsplit_once('#').expect("a shard");
    let filler = "x".repeat(bytes.saturating_sub(row.to_string().len() - 130));
    let copies = (0..rows).map(|n| {
        // As random as a hash, and the same in each run.
        let hash = (n as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let shard = (hash >> 40) % u64::from(shards);
        // The first digits are the time. A delivery's last two bytes are its shard and its bucket.
        let end = if table == "events" { &id[32..34] } else { &format!("{shard:02x}") };
        let id = format!("{}{:04x}-{}-{}{end}{}", &id[..4], n, &id[9..18], &id[19..32], &id[34..]);
        vec![(sort_key, id), ("partition", format!("{partition}#{shard}")), ("filler", filler.clone())]
    });
    dynamo.copies(table, row, copies);
}

/// A query is charged for 4 KB at least, half a unit when it is eventually consistent. Each shard of a project's events has
/// two queries, one for the table and one for the index, so with small rows 16 shards cost a little more.
#[tokio::test]
async fn a_page_over_sixteen_shards_costs_at_most_twice_a_page_of_one() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    for bytes in [550, 1_000] {
        let lane = world.lane(LaneSettings::default()).await.expect("a lane");
        let mut units: BTreeMap<(&str, u8), f64> = BTreeMap::new();
        for shards in [1, 16] {
            let project = Project::make(&lane, &world, shards).await;
            project.post(&lane, ONE).await;
            for (table, target) in [
                ("events", "/events?limit=50".to_owned()),
                ("deliveries", format!("/webhooks/{}/deliveries?limit=50", project.endpoint)),
            ] {
                let mut row = project.rows(&lane, table).remove(0);
                if table == "events" {
                    // No two events have a delivery in common.
                    row["deliveries"] = json!({ "L": [] });
                }
                spread(&lane.aws.dynamo, table, &row, shards, 600, bytes);
                let (page, read) = project.page(&lane, &target).await;
                let shown = page["data"].as_array().expect("rows");
                assert_eq!(shown.len(), 50);
                units.insert((table, shards), read);
            }
        }
        println!("{bytes} bytes: {units:?}");
        let ratio = |table| units[&(table, 16)] / units[&(table, 1)];
        assert!(ratio("deliveries") <= 2.0, "{bytes} bytes: {units:?}");
        assert!(ratio("events") <= if bytes < 1_000 { 2.5 } else { 2.0 }, "{bytes} bytes: {units:?}");
    }
}
