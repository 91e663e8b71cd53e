//! Adds a batch's attempts and ends to the hourly counts of its endpoints (contract §6). The counts are for people: a
//! count that cannot be written is lost, and it keeps no message in its queue.

use echo_shared::stats::HourlyCounts;
use tokio::time::{Instant, timeout_at};

use crate::App;
use crate::metrics::Tally;

/// Writes an invocation's counts, by `last_moment` at the latest. It is called once all records of the batch are written.
pub(crate) async fn write(app: &App, counted: HourlyCounts, tally: &Tally, last_moment: Instant) {
    let Some(writer) = &app.stats else { return };
    let rows: Vec<_> = counted.into_rows().collect();
    let all = rows.len();
    let reason = match timeout_at(last_moment, writer.add(rows, rand::random())).await {
        Ok(Ok(())) => return,
        Ok(Err((rows, error))) => (rows, error.to_string()),
        Err(_) => (all, "the invocation's time is over".to_owned()),
    };
    let (rows, reason) = reason;
    tracing::warn!(rows, reason, "hourly counts were perhaps not written");
    tally.add(|counts| counts.stats_lost += rows as u64);
}
