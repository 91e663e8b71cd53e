//! The list of pending deliveries: complete, at a price that does not depend on how many deliveries are stored.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use echo_lanes::clock::now_millis;
use echo_lanes::dynamo::Dynamo;
use echo_lanes::lane::{Auth, FIRST_ATTEMPTS, Lane, LaneSettings};
use echo_lanes::sealed;
use echo_lanes::sqs::Outgoing;
use echo_lanes::world::{ONE, World};
use serde_json::{Value, json};

const REST: Duration = Duration::from_secs(60);
const STORED: usize = 3_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Those of the stored deliveries that are pending, although nothing has marked them.
const FORGOTTEN: [usize; 3] = [1, 700, 2_999];

fn ago(seconds: u64) -> u64 {
    now_millis() - seconds * 1_000
}

/// A UUIDv7 of a time, which ends in these digits.
fn id(millis: u64, end: &str) -> String {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-{:04x}-7000-8000-{n:06x}{end}", millis >> 16, millis & 0xffff)
}

/// One of 128 deliveries settles its endpoint: one whose third byte from the end is 0 or 128.
const LANDMARK: &str = "80";
const NO_LANDMARK: &str = "7f";

fn texts<'a>(rows: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    rows.into_iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
}

/// A lane with an endpoint that is an hour old and has had one delivery.
struct Stage {
    lane: Lane,
    key: String,
    log: String,
    endpoint: String,
    event: Value,
    delivery: Value,
}

impl Stage {
    async fn set(world: &World) -> Self {
        let lane = world.lane(LaneSettings::default()).await.expect("a lane");
        let endpoint = id(ago(3_600), "000000");
        for table in Dynamo::tables() {
            for item in lane.aws.dynamo.items(table) {
                let aged = item.to_string().replace(&world.endpoints[0], &endpoint);
                let mut aged: Value = serde_json::from_str(&aged).expect("JSON");
                if item["signing_secret"].is_object() && aged != item {
                    // Sealed for its endpoint, the secret opens nowhere else.
                    let keys = sealed::keys(&["k1"]);
                    aged["signing_secret"] = sealed::secret_for(&item, &keys, &world.project_id, &endpoint);
                }
                lane.aws.dynamo.put(table, &aged);
            }
        }
        let project = format!("/v1/projects/{}", world.project_id);
        let event = json!({ "event_name": ONE });
        let key = world.api_key.clone();
        let state_key = json!({ "id": { "S": endpoint }, "part": { "S": "state" } });
        let state = lane.aws.dynamo.item("endpoints", &state_key).expect("a row");
        let posted = lane.call("POST", &format!("{project}/events"), &Auth::Key(&key), Some(&event)).await;
        assert_eq!(posted.status, 202, "{}", posted.json());
        assert!(lane.settle(REST).await);
        // One delivery in 128 is a landmark, and such a first one has settled the endpoint.
        lane.aws.dynamo.put("endpoints", &state);
        let (event, delivery) =
            (lane.aws.dynamo.items("events").remove(0), lane.aws.dynamo.items("deliveries").remove(0));
        assert_eq!(delivery["status"]["S"], "success");
        let log = format!("{project}/webhooks/{endpoint}/deliveries");
        Self { lane, key, log, endpoint, event, delivery }
    }

    /// The id of a delivery in the partition of the first one.
    fn delivery_id(&self, millis: u64, landmark: &str) -> String {
        let first = self.delivery["id"]["S"].as_str().expect("an id");
        id(millis, &format!("{landmark}{}", &first[32..]))
    }

    /// Stores deliveries of the last hour, up to two minutes ago. Returns the ids of those that are pending.
    fn store(&self) -> BTreeSet<String> {
        let at = |n: usize| ago(3_500 - (n as u64) * 3_380 / STORED as u64);
        let ids: Vec<String> = (0..STORED).map(|n| self.delivery_id(at(n), NO_LANDMARK)).collect();
        let status = |n| if FORGOTTEN.contains(&n) { "pending" } else { "success" };
        let rows = (0..STORED).map(|n| vec![("id", ids[n].clone()), ("status", status(n).to_owned())]);
        self.lane.aws.dynamo.copies("deliveries", &self.delivery, rows);
        FORGOTTEN.map(|n| ids[n].clone()).into()
    }

    /// The ids of all pages of this size, and the read units of the longest page.
    async fn pending(&self, limit: usize) -> (BTreeSet<String>, f64) {
        let (mut ids, mut most, mut cursor) = (BTreeSet::new(), 0.0_f64, String::new());
        loop {
            self.lane.aws.watch.start();
            let target = format!("{}?status=pending&limit={limit}{cursor}", self.log);
            let page = self.lane.call("GET", &target, &Auth::Key(&self.key), None).await;
            assert_eq!(page.status, 200, "{}", page.json());
            let units = self.lane.aws.watch.stop().into_iter().filter(|call| call.operation == "Query");
            let units = units.map(|call| {
                let answer: Value = serde_json::from_str(&call.reply.body).unwrap_or_default();
                answer["ConsumedCapacity"]["CapacityUnits"].as_f64().expect("the units of a query")
            });
            most = most.max(units.sum());
            let page = page.json();
            ids.extend(texts(page["data"].as_array().into_iter().flatten()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (ids, most),
            }
        }
    }

    fn settled_to(&self) -> Option<u64> {
        let key = json!({ "id": { "S": self.endpoint }, "part": { "S": "state" } });
        self.lane.aws.dynamo.get("endpoints", &key)?["settled_to"].as_u64()
    }

    /// Delivers an event whose delivery is a landmark.
    async fn landmark(&self) {
        let delivery_id = self.delivery_id(now_millis(), LANDMARK);
        let text = |value: &Value| value["S"].as_str().expect("text").to_owned();
        let (old, event_id) = (text(&self.event["event_id"]), id(now_millis(), "000000"));
        let event = self.event.to_string().replace(&text(&self.delivery["id"]), &delivery_id);
        let event = event.replace(&old, &event_id);
        self.lane.aws.dynamo.put("events", &serde_json::from_str(&event).expect("JSON"));
        let job = json!({ "v": 1, "project_id": text(&self.delivery["project_id"]), "event_id": event_id,
            "endpoint_id": self.endpoint, "delivery_id": delivery_id });
        let outgoing = Outgoing { body: job.to_string(), group: None, delay: Duration::ZERO };
        self.lane.aws.sqs.send(FIRST_ATTEMPTS, outgoing).expect("a send");
        assert!(self.lane.settle(REST).await);
    }
}

#[tokio::test]
async fn pending_deliveries_are_all_listed_and_settled_ones_are_not_read_again() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut stage = Stage::set(&world).await;
    let forgotten = stage.store();
    let (listed, unsettled_units) = stage.pending(100).await;
    assert_eq!(listed, forgotten);
    assert!(unsettled_units > 300.0, "{unsettled_units} units");

    // Each landmark reads 400 rows, and each of the forgotten ones stops it once.
    for landmarks in 1.. {
        stage.landmark().await;
        assert_eq!(stage.pending(100).await.0, forgotten, "after {landmarks} landmarks");
        if stage.settled_to().is_some_and(|at| at > ago(130)) {
            break;
        }
        assert!(landmarks < 15, "settled to {:?}", stage.settled_to());
    }
    for limit in [1, 2, 100] {
        let (listed, units) = stage.pending(limit).await;
        assert_eq!(listed, forgotten, "pages of {limit}");
        assert!(units < 20.0, "{units} units for pages of {limit}");
    }

    // A delivery that is settled and becomes pending again is listed too.
    let row = stage.lane.aws.dynamo.items("deliveries").into_iter().find(|row| {
        let id = row["id"]["S"].as_str().expect("an id");
        row["status"]["S"] == "success" && id < forgotten.last().map_or("", String::as_str)
    });
    let again = row.expect("a settled delivery")["id"]["S"].as_str().expect("an id").to_owned();
    stage.lane.stop_mappings();
    let retry = format!("{}/{again}/retry", stage.log);
    assert_eq!(stage.lane.call("POST", &retry, &Auth::Key(&stage.key), None).await.status, 202);
    let with_it: BTreeSet<String> = forgotten.iter().cloned().chain([again.clone()]).collect();
    assert_eq!(stage.pending(2).await.0, with_it);
}

/// An outage leaves many deliveries pending at once. They are no rare exceptions, so none of them pays for the index.
#[tokio::test]
async fn a_backlog_is_listed_without_the_index() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let stage = Stage::set(&world).await;
    let begin = ago(3_000);
    let at = |n: u64| stage.delivery_id(begin + n * 1_000, NO_LANDMARK);
    let backlog: Vec<String> = (0..60).map(at).collect();
    let rows = backlog.iter().map(|id| vec![("id", id.clone()), ("status", "pending".to_owned())]);
    stage.lane.aws.dynamo.copies("deliveries", &stage.delivery, rows);
    stage.landmark().await;
    let rows = stage.lane.aws.dynamo.items("deliveries");
    assert!(rows.iter().all(|row| row.get("attention").is_none()));
    assert_eq!(stage.settled_to(), Some(begin), "it stops before the first");
    assert_eq!(stage.pending(25).await.0, backlog.into_iter().collect());
}
