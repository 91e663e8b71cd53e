//! Reads of one row, of a range and of many rows.

use std::collections::HashMap;

use dynoxide::types::read_capacity_units_with_consistency;
use serde_json::{Value, json};

use super::{Direction, Place, State, partition_of, throttled};
use crate::dynamo::Dynamo;
use crate::http::Reply;

/// Carries out a `GetItem` or `Query`.
pub(super) fn one(state: &mut State, dynamo: &Dynamo, operation: &str, request: &Value) -> Reply {
    let table = request["TableName"].as_str().unwrap_or_default();
    let key = match operation {
        "GetItem" => partition_of(table, &request["Key"]),
        _ => queried(request),
    };
    let index = request["IndexName"].as_str().map(str::to_owned);
    let place = Place { table: table.to_owned(), index, key, direction: Direction::Read };
    if state.is_full(&place) {
        state.refuse(&place);
        return throttled(&place);
    }
    let (reply, measured) = dynamo.measured(operation, &request.to_string());
    state.charge(place, measured.consumed.iter().map(|one| one.capacity_units).sum());
    reply
}

/// A query's partition key: the value of its first condition, which is always an equality.
fn queried(request: &Value) -> String {
    let condition = request["KeyConditionExpression"].as_str().unwrap_or_default();
    let first = condition.split(" AND ").next().unwrap_or_default();
    let value = first.split_once('=').map(|(_, value)| value.trim()).unwrap_or_default();
    request["ExpressionAttributeValues"][value]["S"].as_str().unwrap_or_default().to_owned()
}

/// `BatchGetItem`: keys of full partitions are left unprocessed. If all keys are such keys, the call is throttled
/// (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
pub(super) fn batch(state: &mut State, dynamo: &Dynamo, mut request: Value) -> Reply {
    let mut unprocessed = json!({});
    let mut full = None;
    let mut asked: Vec<(Place, Vec<String>, bool)> = Vec::new();
    for (table, wanted) in request["RequestItems"].as_object_mut().into_iter().flatten() {
        let is_consistent = wanted["ConsistentRead"] == true;
        let keys = wanted["Keys"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let (mut left, mut kept) = (Vec::new(), Vec::new());
        for key in keys {
            let place = Place {
                table: table.clone(),
                index: None,
                key: partition_of(table, &key),
                direction: Direction::Read,
            };
            if state.is_full(&place) {
                state.refuse(&place);
                full = Some(place);
                left.push(key);
            } else {
                asked.push((place, Dynamo::key_texts(table, &key), is_consistent));
                kept.push(key);
            }
        }
        if !left.is_empty() {
            unprocessed[table.as_str()] = wanted.clone();
            unprocessed[table.as_str()]["Keys"] = left.into();
        }
        wanted["Keys"] = kept.into();
    }
    if let Some(tables) = request["RequestItems"].as_object_mut() {
        tables.retain(|_, wanted| wanted["Keys"].as_array().is_some_and(|keys| !keys.is_empty()));
    }
    if let (Some(place), true) = (&full, asked.is_empty()) {
        return throttled(place);
    }
    let (reply, measured) = dynamo.measured("BatchGetItem", &request.to_string());
    // Each row is rounded up by itself. A row that does not exist costs one unit.
    let sizes: HashMap<(String, Vec<String>), usize> = measured.found.into_iter().collect();
    for (place, key, is_consistent) in asked {
        let size = sizes.get(&(place.table.clone(), key)).copied().unwrap_or(0);
        state.charge(place, read_capacity_units_with_consistency(size, is_consistent));
    }
    if full.is_none() || reply.status != 200 {
        return reply;
    }
    let mut answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    answer["UnprocessedKeys"] = unprocessed;
    Reply::ok(answer.to_string())
}
