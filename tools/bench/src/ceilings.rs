//! The most that one project and one endpoint can have, by the limits of DynamoDB's partitions.
//!
//! A partition key accepts a number of units a second. A run tells how many units an event needs of the partition that it
//! needs most, and the quotient is the ceiling. No clock takes part, so the figures hold on any machine.

use std::io;

use echo_lanes::lane::FIRST_ATTEMPTS;
use echo_lanes::partitions::Used;
use serde::Serialize;

use crate::progress::Progress;
use crate::stage::{Setup, Stage, expect};
use crate::units::Units;

const EVENTS: usize = 4_000;

/// Enough for all ceilings that have targets.
const SHARDS: u8 = 16;

/// With 50 endpoints an event's row lists 49 skipped ones, so it needs more shards.
const SHARDS_OF_50: u8 = 32;

/// The jobs of one invocation, under load.
const BATCH: usize = 10;

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Ceilings {
    /// Of a project with one endpoint and 16 shards.
    pub(crate) project_events_per_s: f64,
    /// Of a project with 50 endpoints, one of which matches, and 32 shards.
    pub(crate) project_events_per_s_50_endpoints: f64,
    /// First-try deliveries of one endpoint in a project of 16 shards.
    pub(crate) endpoint_deliveries_per_s: f64,
    /// Of a project with one endpoint and one shard.
    pub(crate) project_events_per_s_1_shard: f64,
    /// The read units of a page of 50 with 16 shards, in pages with one shard: the dearer of deliveries and events.
    pub(crate) page_units_16_shards: f64,
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<Ceilings> {
    progress.part("Ceilings: units of the busiest partitions");
    let one_shard = run(1, 1).await?;
    progress.step(1, 3);
    let sharded = run(1, SHARDS).await?;
    progress.step(2, 3);
    let fifty = run(50, SHARDS_OF_50).await?;
    progress.step(3, 3);
    Ok(Ceilings {
        project_events_per_s: sharded.events_per_s(|_| true),
        project_events_per_s_50_endpoints: fifty.events_per_s(|_| true),
        endpoint_deliveries_per_s: sharded
            .events_per_s(|used| matches!(used.table.as_str(), "deliveries" | "endpoints")),
        project_events_per_s_1_shard: one_shard.events_per_s(|_| true),
        page_units_16_shards: (sharded.page_of_deliveries / one_shard.page_of_deliveries)
            .max(sharded.page_of_events / one_shard.page_of_events),
    })
}

/// The units that `EVENTS` events used.
struct Run {
    used: Vec<Used>,
    page_of_deliveries: f64,
    page_of_events: f64,
}

impl Run {
    /// How many events a second use up the busiest of these partitions.
    fn events_per_s(&self, counts: impl Fn(&Used) -> bool) -> f64 {
        let used = self.used.iter().filter(|used| counts(used));
        used.map(|used| used.most_per_s * EVENTS as f64 / used.units).fold(f64::INFINITY, f64::min).floor()
    }
}

async fn run(endpoints: usize, shards: u8) -> io::Result<Run> {
    let stage = Stage::set(Setup { shards, ..Setup::with_endpoints(endpoints) }).await?;
    // Only the first one matches.
    for other in stage.endpoints.iter().skip(1) {
        stage.subscribe(other, "call.started").await?;
    }
    stage.post(0).await?;
    stage.deliver(FIRST_ATTEMPTS, BATCH).await?;
    let before = stage.lane.aws.partitions.used();
    for n in 0..EVENTS {
        stage.post(1 + n).await?;
        if (n + 1) % BATCH == 0 {
            stage.deliver(FIRST_ATTEMPTS, BATCH).await?;
        }
    }
    let used = stage.lane.aws.partitions.used_since(&before);
    let deliveries = format!("webhooks/{}/deliveries?limit=50", stage.endpoints[0]);
    Ok(Run {
        used,
        page_of_deliveries: read_units(&stage, &deliveries).await?,
        page_of_events: read_units(&stage, "events?limit=50").await?,
    })
}

async fn read_units(stage: &Stage, page: &str) -> io::Result<f64> {
    stage.lane.aws.watch.start();
    expect(&stage.get(page).await, 200)?;
    Ok(Units::of_calls(&stage.lane.aws.watch.stop()).read_units)
}
