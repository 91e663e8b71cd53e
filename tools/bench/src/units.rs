//! The units that AWS would bill for a run of the functions, counted from the calls that the run made.

use std::ops::{Add, AddAssign, Mul};
use std::time::Duration;

use echo_lanes::watch::Seen;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::prices::Prices;

/// SQS bills a request once for each 64 KiB that it contains.
const SQS_CHUNK: usize = 64 * 1024;

/// The bytes that Lambda logs for each invocation: START, END and REPORT.
pub(crate) const LAMBDA_LOG_BYTES: f64 = 450.0;

/// The bytes that DynamoDB adds to each stored item.
const ITEM_OVERHEAD: usize = 100;

/// Billed units, of one event or of a whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Units {
    pub(crate) api_requests: f64,
    pub(crate) write_units: f64,
    pub(crate) read_units: f64,
    pub(crate) sqs_requests: f64,
    pub(crate) invocations: f64,
    pub(crate) gb_seconds: f64,
    pub(crate) log_bytes: f64,
    pub(crate) egress_bytes: f64,
    /// Bytes that stay in the tables until retention ends.
    pub(crate) stored_bytes: f64,
}

impl AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        self.api_requests += other.api_requests;
        self.write_units += other.write_units;
        self.read_units += other.read_units;
        self.sqs_requests += other.sqs_requests;
        self.invocations += other.invocations;
        self.gb_seconds += other.gb_seconds;
        self.log_bytes += other.log_bytes;
        self.egress_bytes += other.egress_bytes;
        self.stored_bytes += other.stored_bytes;
    }
}

impl Add for Units {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Mul<f64> for Units {
    type Output = Self;

    fn mul(self, by: f64) -> Self {
        Self {
            api_requests: self.api_requests * by,
            write_units: self.write_units * by,
            read_units: self.read_units * by,
            sqs_requests: self.sqs_requests * by,
            invocations: self.invocations * by,
            gb_seconds: self.gb_seconds * by,
            log_bytes: self.log_bytes * by,
            egress_bytes: self.egress_bytes * by,
            stored_bytes: self.stored_bytes * by,
        }
    }
}

impl Units {
    /// The units that the functions' own calls used.
    #[must_use]
    pub(crate) fn of_calls(calls: &[Seen]) -> Self {
        let mut units = Self::default();
        for call in calls {
            if call.is_sqs {
                units.sqs_requests += chunks(call.request_bytes);
            } else if matches!(
                call.operation.as_str(),
                "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems" | "BatchExecuteStatement"
            ) {
                units.write_units += consumed(call);
            } else {
                units.read_units += consumed(call);
            }
        }
        units
    }

    /// Dollars by the price table, without the costs that have lines of their own: logs, egress, storage.
    #[must_use]
    pub(crate) fn dollars(&self, prices: &Prices) -> Dollars {
        let million = |units: f64, price: f64| units * price / 1e6;
        Dollars {
            api_gateway: million(self.api_requests, prices.api_request),
            writes: million(self.write_units, prices.write_unit),
            reads: million(self.read_units, prices.read_unit),
            queues: million(self.sqs_requests, prices.sqs_request + prices.sqs_fair_queue_extra),
            invocations: million(self.invocations, prices.lambda_invocation),
            duration: million(self.gb_seconds, prices.lambda_gb_second),
            logs: self.log_bytes / 1e9 * prices.per_gb.log_ingested,
            egress: self.egress_bytes / 1e9 * prices.per_gb.egress,
            storage: self.stored_bytes / 1e9 * prices.per_gb.storage_month,
        }
    }
}

/// One bill, line by line.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Dollars {
    pub(crate) api_gateway: f64,
    pub(crate) writes: f64,
    pub(crate) reads: f64,
    pub(crate) queues: f64,
    pub(crate) invocations: f64,
    pub(crate) duration: f64,
    pub(crate) logs: f64,
    pub(crate) egress: f64,
    pub(crate) storage: f64,
}

impl Dollars {
    /// The part of a bill that has a target: everything except logs, egress and storage.
    #[must_use]
    pub(crate) fn total(&self) -> f64 {
        self.api_gateway + self.writes + self.reads + self.queues + self.invocations + self.duration
    }
}

fn chunks(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes.div_ceil(SQS_CHUNK).max(1)).unwrap_or(u32::MAX))
}

fn consumed(call: &Seen) -> f64 {
    if call.reply.status != 200 {
        // A write whose condition fails costs as many units as the existing row needs: one up to 1 KB.
        return if call.reply.body.contains("ConditionalCheckFailed") { 1.0 } else { 0.0 };
    }
    let answer: Value = serde_json::from_str(&call.reply.body).unwrap_or_default();
    match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum(),
        table => table["CapacityUnits"].as_f64().unwrap_or(0.0),
    }
}

/// The bytes that DynamoDB stores for an item in its JSON protocol: names, values and the overhead.
#[must_use]
pub(crate) fn stored_bytes(item: &Value) -> usize {
    ITEM_OVERHEAD + item_bytes(item)
}

/// An item's size by DynamoDB's rules.
#[must_use]
pub(crate) fn item_bytes(item: &Value) -> usize {
    item.as_object().into_iter().flatten().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    let Some((kind, inner)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    match (kind.as_str(), inner) {
        ("S", Value::String(text)) => text.len(),
        ("N", Value::String(number)) => number.trim_start_matches('-').len().div_ceil(2) + 1,
        // In base64.
        ("B", Value::String(bytes)) => bytes.trim_end_matches('=').len() * 3 / 4,
        ("BOOL" | "NULL", _) => 1,
        ("L", Value::Array(list)) => 3 + list.iter().map(|value| 1 + value_bytes(value)).sum::<usize>(),
        ("M", Value::Object(map)) => {
            3 + map.iter().map(|(name, value)| 1 + name.len() + value_bytes(value)).sum::<usize>()
        }
        ("SS", Value::Array(set)) => set.iter().filter_map(Value::as_str).map(str::len).sum(),
        _ => 0,
    }
}

/// GB-seconds of invocations that took `wall` here in all, and used a whole processor for `cpu` of it. On Lambda the
/// working part gets only the share of a processor that comes with the memory.
#[must_use]
pub(crate) fn gb_seconds(prices: &Prices, wall: Duration, cpu: Duration) -> f64 {
    let slower = (prices.lambda_mb_per_core / prices.lambda_memory_mb).max(1.0);
    let waiting = wall.saturating_sub(cpu).as_secs_f64();
    (waiting + cpu.as_secs_f64() * slower) * prices.lambda_memory_mb / 1_024.0
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use echo_lanes::dynamo::Dynamo;
    use echo_lanes::function::Kind;
    use serde_json::json;

    use super::*;

    fn seen(dynamo: &Dynamo, operation: &str, mut request: Value) -> Seen {
        request["ReturnConsumedCapacity"] = "INDEXES".into();
        let body = request.to_string();
        let now = Instant::now();
        Seen {
            kind: Kind::Api,
            invocation: 1,
            is_sqs: false,
            operation: operation.to_owned(),
            what: String::new(),
            request_bytes: body.len(),
            reply: dynamo.call(operation, &body),
            started: now,
            ended: now,
        }
    }

    fn row(filler: usize) -> Value {
        json!({ "partition": { "S": "e#01" }, "id": { "S": "d" }, "filler": { "S": "x".repeat(filler) } })
    }

    /// `partition` + `e#01` + `id` + `d` + `filler`.
    const NAMES: usize = 9 + 4 + 2 + 1 + 6;

    #[test]
    fn the_meter_follows_dynamodbs_rules() {
        let dynamo = Dynamo::new(false);
        let put = |filler| json!({ "TableName": "deliveries", "Item": row(filler) });
        let writes =
            |operation: &str, request| Units::of_calls(&[seen(&dynamo, operation, request)]).write_units;
        let reads =
            |operation: &str, request| Units::of_calls(&[seen(&dynamo, operation, request)]).read_units;
        // A write counts the larger of the old and the new size, rounded up to 1 KiB.
        assert_eq!(writes("PutItem", put(1_024 - NAMES)), 1.0);
        assert_eq!(writes("PutItem", put(1_025 - NAMES)), 2.0);
        assert_eq!(writes("PutItem", put(10)), 2.0);
        // A write whose condition fails costs units too.
        let mut again = put(10);
        again["ConditionExpression"] = "attribute_not_exists(id)".into();
        assert_eq!(writes("PutItem", again), 1.0);
        // Rows that one request inserts cost one write each.
        let insert = |id: &str| {
            json!({ "Statement": "INSERT INTO \"deliveries\" VALUE {'partition': ?, 'id': ?}",
                "Parameters": [{ "S": "e#02" }, { "S": id }] })
        };
        let batch = json!({ "Statements": [insert("a"), insert("b")] });
        assert_eq!(writes("BatchExecuteStatement", batch), 2.0);
        // Entering a sparse index costs one write more, moving within it two, leaving it one.
        let key = json!({ "partition": { "S": "e#01" }, "id": { "S": "d" } });
        let set = |to: &str| {
            json!({ "TableName": "deliveries", "Key": key, "UpdateExpression": "SET attention = :a",
                "ExpressionAttributeValues": { ":a": { "S": to } } })
        };
        assert_eq!(writes("UpdateItem", set("retrying")), 2.0);
        assert_eq!(writes("UpdateItem", set("retrying")), 1.0);
        assert_eq!(writes("UpdateItem", set("failed")), 3.0);
        let leave = json!({ "TableName": "deliveries", "Key": key, "UpdateExpression": "REMOVE attention" });
        assert_eq!(writes("UpdateItem", leave), 2.0);
        // A strongly consistent read costs each row's size, rounded up to 4 KiB. It also costs units when there is no
        // row.
        let get = |id: &str| {
            json!({ "TableName": "deliveries", "ConsistentRead": true,
            "Key": { "partition": { "S": "e#01" }, "id": { "S": id } } })
        };
        assert_eq!(reads("GetItem", get("d")), 1.0);
        assert_eq!(reads("GetItem", get("none")), 1.0);
        let batch = json!({ "RequestItems": { "deliveries": { "ConsistentRead": true, "Keys": [
            { "partition": { "S": "e#01" }, "id": { "S": "d" } },
            { "partition": { "S": "e#01" }, "id": { "S": "none" } }] } } });
        assert_eq!(reads("BatchGetItem", batch), 2.0);
    }

    #[test]
    fn sizes_are_dynamodbs() {
        assert_eq!(item_bytes(&row(10)), NAMES + 10);
        let item =
            json!({ "n": { "N": "1776009119499" }, "b": { "B": "AAEC" }, "l": { "L": [{ "M": {} }] } });
        assert_eq!(item_bytes(&item), (1 + 8) + (1 + 3) + (1 + 3 + 1 + 3));
    }

    #[test]
    fn a_request_is_billed_for_each_64_kib() {
        assert_eq!((chunks(10), chunks(65_536), chunks(65_537)), (1.0, 1.0, 2.0));
    }
}
