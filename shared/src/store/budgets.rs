//! Leases of the projects' budgets. One row for each project and minute counts the leased permits, and expires.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use serde::Deserialize;
use tokio::time::timeout;

use super::deletions::delete_all;
use super::{StoreError, key, number, row_in_the_way, text};
use crate::budget::{Budgeted, Lease, Limits, Minute, PermitAnswer};
use crate::id::ProjectId;
use crate::time::Timestamp;

/// The longest that an event waits for a lease.
const LEASE_TIME: Duration = Duration::from_secs(2);

/// The most leases that a process remembers. Beyond that it forgets all of them, which costs one more write for each.
const CAPACITY: usize = 10_000;

/// How often a lease is tried. Each further try asks for no more than the other processes have left.
const ROUNDS: usize = 3;

/// Rows are kept for an hour, so that an operator can look into a loop.
const KEPT_SECONDS: i64 = 3_600;

/// The permits that this process has leased from the budgets of all projects.
#[derive(Debug)]
pub struct Budgets {
    client: Client,
    table: String,
    limits: Limits,
    leases: Mutex<HashMap<(ProjectId, Budgeted), Arc<SharedLease>>>,
}

/// Held while more is leased, so that events side by side share one block.
type SharedLease = tokio::sync::Mutex<Lease>;

/// A project's budget is spent until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    pub until: Timestamp,
    /// The permits that were taken before.
    pub taken: usize,
}

#[derive(Debug, Default, Deserialize)]
struct Row {
    leased: u32,
}

impl Budgets {
    #[must_use]
    pub fn new(client: Client, table: String, limits: Limits) -> Self {
        Self { client, table, limits, leases: Mutex::default() }
    }

    /// Takes a permit for one event.
    ///
    /// # Errors
    /// When the project's budget for this minute is spent.
    pub async fn take(&self, of: Budgeted, project_id: &ProjectId, now: Timestamp) -> Result<(), Spent> {
        self.take_many(of, project_id, 1, now).await
    }

    /// Takes a permit for each of `events` events.
    ///
    /// # Errors
    /// When the project's budget for this minute does not suffice. The error says for how many it did.
    pub async fn take_many(
        &self,
        of: Budgeted,
        project_id: &ProjectId,
        events: usize,
        now: Timestamp,
    ) -> Result<(), Spent> {
        let Some(per_minute) = self.limits.per_minute(of) else { return Ok(()) };
        let lease = self.lease_of(of, project_id);
        let mut lease = lease.lock().await;
        let mut taken = 0;
        while taken < events {
            let wanted = u32::try_from(events - taken).unwrap_or(u32::MAX);
            match lease.take(per_minute, wanted, now) {
                PermitAnswer::Taken => taken += 1,
                PermitAnswer::RefusedUntil(until) => return Err(Spent { until, taken }),
                PermitAnswer::LeaseMore(block, minute) => {
                    let row = row_name(of, project_id, minute.number());
                    let leased = timeout(LEASE_TIME, self.lease(&row, block, per_minute, minute)).await;
                    lease.add(match leased {
                        Ok(Ok(permits)) => permits,
                        Ok(Err(error)) => {
                            tracing::warn!(%project_id, %error, "events pass although their budget could not be leased");
                            block
                        }
                        Err(_) => {
                            tracing::warn!(%project_id, "events pass although the lease of their budget took too long");
                            block
                        }
                    });
                }
            }
        }
        Ok(())
    }

    fn lease_of(&self, of: Budgeted, project_id: &ProjectId) -> Arc<SharedLease> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.len() >= CAPACITY {
            leases.clear();
        }
        Arc::clone(leases.entry((*project_id, of)).or_default())
    }

    /// Deletes the counts of a project whose rows have not expired. DynamoDB deletes the older ones.
    pub async fn erase(&self, project_id: &ProjectId, now: Timestamp) -> Result<(), StoreError> {
        let oldest = now.minus(Duration::from_secs(KEPT_SECONDS.unsigned_abs() + 120));
        // The clock of another instance may be ahead.
        let newest = now.plus(Duration::from_secs(60));
        let minutes = Minute::of(oldest).number()..=Minute::of(newest).number();
        let names = minutes.flat_map(|minute| {
            [Budgeted::Events, Budgeted::TestEvents].map(|of| row_name(of, project_id, minute))
        });
        delete_all(&self.client, &self.table, names.map(|name| key([("budget", text(name))])).collect()).await
    }

    /// Leases `block` permits, or as many as are left. `ADD` creates an absent row, and counts an absent number from 0
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html>).
    async fn lease(&self, row: &str, block: u32, per_minute: u32, minute: Minute) -> Result<u32, StoreError> {
        let mut wanted = block;
        for _ in 0..ROUNDS {
            let leased = self
                .client
                .update_item()
                .table_name(&self.table)
                .key("budget", text(row))
                .update_expression("SET expires_at = :expires ADD leased :wanted")
                .condition_expression("attribute_not_exists(budget) OR leased <= :most")
                .expression_attribute_values(":expires", number(minute.end().as_seconds() + KEPT_SECONDS))
                .expression_attribute_values(":wanted", number(wanted))
                .expression_attribute_values(":most", number(per_minute.saturating_sub(wanted)))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            let Err(error) = leased else { return Ok(wanted) };
            let others: Option<Row> = row_in_the_way(error)?;
            wanted = wanted.min(per_minute.saturating_sub(others.unwrap_or_default().leased));
            if wanted == 0 {
                break;
            }
        }
        Ok(0)
    }
}

fn row_name(of: Budgeted, project_id: &ProjectId, minute: i64) -> String {
    let what = match of {
        Budgeted::Events => "events",
        Budgeted::TestEvents => "test_events",
    };
    format!("{project_id}|{what}|{minute}")
}
