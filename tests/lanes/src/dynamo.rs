//! DynamoDB in this process: dynoxide answers the product's calls, and a journal keeps the versions of deliveries'
//! rows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{fmt, iter};

use dynoxide::actions::batch_execute_statement::BatchExecuteStatementRequest;
use dynoxide::actions::batch_get_item::BatchGetItemRequest;
use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::query::QueryRequest;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::actions::update_item::UpdateItemRequest;
use dynoxide::types::{ConsumedCapacity, item_size};
use dynoxide::{AttributeValue, Database, DynoxideError, ImportOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::http::Reply;
use crate::partiql;

/// The product's tables: name, partition key, sort key.
const TABLES: [(&str, &str, Option<&str>); 16] = [
    ("accounts", "email_key", None),
    ("login_failures", "email_key", None),
    ("sessions", "account_id", Some("id")),
    ("projects", "account_id", Some("id")),
    ("api_keys", "project_id", Some("id")),
    ("api_key_hashes", "key_hash", None),
    ("routes", "copy", None),
    ("endpoints", "id", Some("part")),
    ("events", "partition", Some("event_id")),
    ("deliveries", "partition", Some("id")),
    ("replays", "endpoint_id", Some("id")),
    ("event_types", "account_id", Some("name")),
    ("streams", "stream", Some("part")),
    ("stats", "partition", Some("hour")),
    ("audit", "project_id", Some("id")),
    ("budgets", "budget", None),
];

/// A global secondary index of ours.
#[derive(Debug)]
pub struct Index {
    pub table: &'static str,
    pub name: &'static str,
    pub partition: &'static str,
    /// A row is in the index if and only if it has this attribute.
    pub sparse: &'static str,
}

pub const INDEXES: [Index; 2] = [
    Index { table: "deliveries", name: "by_attention", partition: "attention", sparse: "attention" },
    Index { table: "events", name: "by_listing", partition: "partition", sparse: "listed" },
];

/// The capacity units that a call consumed.
#[derive(Debug, Default)]
pub struct Measured {
    /// The consumed units by table, with its indexes.
    pub consumed: Vec<ConsumedCapacity>,
    /// The size in bytes of each row that a batch read found, by table and key.
    pub found: Vec<((String, Vec<String>), usize)>,
}

/// A delivery's row as it stood after one write.
#[derive(Debug, Clone)]
pub struct Version {
    pub at: Instant,
    pub row: Value,
}

pub struct Dynamo {
    database: Database,
    /// Every version of every delivery's row, in order of writing; `None` keeps none.
    journal: Option<Mutex<Vec<Version>>>,
}

impl fmt::Debug for Dynamo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dynamo")
    }
}

impl Dynamo {
    /// An empty database with the product's tables.
    ///
    /// # Panics
    /// When the tables cannot be made.
    #[must_use]
    pub fn new(with_journal: bool) -> Self {
        #[expect(clippy::expect_used, reason = "without a database there is no test")]
        let database = Database::memory().expect("a database in memory");
        let dynamo = Self { database, journal: with_journal.then(Mutex::default) };
        for (name, partition, sort) in TABLES {
            let reply = dynamo.call("CreateTable", &definition(name, partition, sort).to_string());
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        dynamo
    }

    /// Carries out one call of the JSON protocol.
    pub fn call(&self, operation: &str, body: &str) -> Reply {
        self.measured(operation, body).0
    }

    /// Carries out one call, and returns its answer with the units that the call consumed.
    pub fn measured(&self, operation: &str, body: &str) -> (Reply, Measured) {
        let Some(journal) = &self.journal else { return self.run(operation, body) };
        let writes = matches!(operation, "PutItem" | "UpdateItem" | "BatchExecuteStatement");
        if !writes || !body.contains("deliveries") {
            return self.run(operation, body);
        }
        // The lock covers both the write and the read after it, so that the journal misses no version.
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        let (reply, measured) = self.run(operation, body);
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        if reply.status == 200 {
            let rows = written(operation, &request).into_iter().filter_map(|row| {
                let key = json!({ "partition": row["partition"], "id": row["id"] });
                self.get("deliveries", &key)
            });
            journal.extend(rows.map(|row| Version { at: Instant::now(), row }));
        }
        (reply, measured)
    }

    fn run(&self, operation: &str, body: &str) -> (Reply, Measured) {
        let db = &self.database;
        let mut measured = Measured::default();
        // Always asks dynoxide for the consumed units, and removes them from the answer if the caller did not ask.
        macro_rules! metered {
            ($request:ty, $call:ident, $consumed:expr) => {
                run(body, |mut request: $request| {
                    let asked = request.return_consumed_capacity.replace("INDEXES".to_owned());
                    let mut answer = db.$call(request)?;
                    let consumed = if asked.is_some() {
                        answer.consumed_capacity.clone()
                    } else {
                        answer.consumed_capacity.take()
                    };
                    measured.consumed = $consumed(consumed);
                    Ok(answer)
                })
            };
        }
        let one = |consumed: Option<ConsumedCapacity>| Vec::from_iter(consumed);
        let many = Option::unwrap_or_default;
        let reply = match operation {
            "PutItem" => metered!(PutItemRequest, put_item, one),
            "GetItem" => metered!(GetItemRequest, get_item, one),
            "UpdateItem" => metered!(UpdateItemRequest, update_item, one),
            "DeleteItem" => metered!(DeleteItemRequest, delete_item, one),
            "Query" => metered!(QueryRequest, query, one),
            "Scan" => run(body, |request| db.scan(request)),
            "BatchGetItem" => run(body, |request: BatchGetItemRequest| {
                let answer = db.batch_get_item(request)?;
                let rows = answer
                    .responses
                    .iter()
                    .flat_map(|(table, rows)| rows.iter().map(move |row| (table, row)));
                measured.found =
                    rows.map(|(table, row)| ((table.clone(), texts(table, row)), item_size(row))).collect();
                Ok(answer)
            }),
            "BatchExecuteStatement" => metered!(BatchExecuteStatementRequest, batch_execute_statement, many),
            "TransactWriteItems" => metered!(TransactWriteItemsRequest, transact_write_items, many),
            "CreateTable" => run(body, |request| db.create_table(request)),
            other => Reply::error(400, "UnknownOperationException", other),
        };
        (reply, measured)
    }

    /// One row, as plain JSON.
    #[must_use]
    pub fn get(&self, table: &str, key: &Value) -> Option<Value> {
        self.item(table, key).as_ref().map(plain_item)
    }

    /// The stored row with the key of `row`, as DynamoDB writes it. `row` may have further attributes.
    #[must_use]
    pub fn item(&self, table: &str, row: &Value) -> Option<Value> {
        let key: Map<String, Value> =
            Self::key(table).map(|name| (name.to_owned(), row[name].clone())).collect();
        let request = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        let (reply, _) = self.run("GetItem", &request.to_string());
        let mut answer: Value = serde_json::from_str(&reply.body).ok()?;
        answer.get_mut("Item").map(Value::take)
    }

    /// Deletes the row with the key of `row`, as DynamoDB does once a row has expired.
    pub fn delete(&self, table: &str, row: &Value) {
        let key: Map<String, Value> =
            Self::key(table).map(|name| (name.to_owned(), row[name].clone())).collect();
        _ = self.run("DeleteItem", &json!({ "TableName": table, "Key": key }).to_string());
    }

    /// The parts of a row's key, in the order of [`Self::key`]. All our keys are texts.
    #[must_use]
    pub fn key_texts(table: &str, row: &Value) -> Vec<String> {
        let text = |name| row[name]["S"].as_str().unwrap_or_default().to_owned();
        Self::key(table).map(text).collect()
    }

    /// Every row of a table as DynamoDB writes it.
    #[must_use]
    pub fn items(&self, table: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut request = json!({ "TableName": table, "ConsistentRead": true });
        loop {
            let (reply, _) = self.run("Scan", &request.to_string());
            let mut answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
            if let Some(Value::Array(found)) = answer.get_mut("Items").map(Value::take) {
                items.extend(found);
            }
            match answer.get("LastEvaluatedKey") {
                Some(key) => request["ExclusiveStartKey"] = key.clone(),
                None => return items,
            }
        }
    }

    /// Every row of a table, as plain JSON.
    #[must_use]
    pub fn rows(&self, table: &str) -> Vec<Value> {
        self.items(table).iter().map(plain_item).collect()
    }

    /// Writes a row that has the form of [`Self::items`].
    pub fn put(&self, table: &str, item: &Value) {
        let (reply, _) = self.run("PutItem", &json!({ "TableName": table, "Item": item }).to_string());
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// Adds many copies of a row. Each element of `rows` lists the attributes in which one copy differs, with their
    /// texts.
    ///
    /// # Panics
    /// When `row` is not a row, or the database refuses the copies.
    #[expect(clippy::expect_used, reason = "without the rows there is nothing to measure")]
    pub fn copies<'a>(&self, table: &str, row: &Value, rows: impl Iterator<Item = Vec<(&'a str, String)>>) {
        const AT_ONCE: usize = 20_000;
        let row: HashMap<String, AttributeValue> = serde_json::from_value(row.clone()).expect("a row");
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let items = rows.by_ref().take(AT_ONCE).map(|texts| {
                let mut item = row.clone();
                item.extend(texts.into_iter().map(|(name, text)| (name.to_owned(), AttributeValue::S(text))));
                item
            });
            let options = ImportOptions { record_streams: false, set_cached_at: false };
            self.database.import_items(table, items.collect(), options).expect("an import");
        }
    }

    pub fn tables() -> impl Iterator<Item = &'static str> {
        TABLES.iter().map(|(name, ..)| *name)
    }

    /// The names of the attributes of a table's key.
    pub fn key(table: &str) -> impl Iterator<Item = &'static str> {
        let found = TABLES.iter().find(|(name, ..)| *name == table);
        found.into_iter().flat_map(|(_, partition, sort)| iter::once(*partition).chain(*sort))
    }

    /// The writes to deliveries' rows, in order.
    #[must_use]
    pub fn journal(&self) -> Vec<Version> {
        let journal =
            self.journal.as_ref().map(|journal| journal.lock().unwrap_or_else(PoisonError::into_inner));
        journal.map(|journal| journal.clone()).unwrap_or_default()
    }
}

/// The deliveries' rows that a call may have written, or their keys.
fn written(operation: &str, request: &Value) -> Vec<Value> {
    match operation {
        "BatchExecuteStatement" => {
            request["Statements"].as_array().into_iter().flatten().map(partiql::attributes).collect()
        }
        _ if request["TableName"] != "deliveries" => Vec::new(),
        "PutItem" => vec![request["Item"].clone()],
        _ => vec![request["Key"].clone()],
    }
}

fn texts(table: &str, row: &HashMap<String, AttributeValue>) -> Vec<String> {
    let text = |name| match row.get(name) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    Dynamo::key(table).map(text).collect()
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &str,
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Reply {
    let request = match serde_json::from_str(body) {
        Ok(request) => request,
        Err(error) => return Reply::error(400, "SerializationException", &error.to_string()),
    };
    match call(request) {
        Ok(answer) => Reply::ok(serde_json::to_string(&answer).unwrap_or_default()),
        Err(error) => Reply { status: error.status_code(), body: error.to_json() },
    }
}

fn definition(name: &str, partition: &str, sort: Option<&str>) -> Value {
    let mut attributes = vec![json!({ "AttributeName": partition, "AttributeType": "S" })];
    let mut keys = vec![json!({ "AttributeName": partition, "KeyType": "HASH" })];
    if let Some(sort) = sort {
        let type_of = if matches!((name, sort), ("streams", "part") | ("stats", "hour")) { "N" } else { "S" };
        attributes.push(json!({ "AttributeName": sort, "AttributeType": type_of }));
        keys.push(json!({ "AttributeName": sort, "KeyType": "RANGE" }));
    }
    let mut table = json!({ "TableName": name, "KeySchema": keys, "BillingMode": "PAY_PER_REQUEST" });
    if name == "deliveries" {
        attributes.push(json!({ "AttributeName": "attention", "AttributeType": "S" }));
        table["GlobalSecondaryIndexes"] = json!([{
            "IndexName": "by_attention",
            "KeySchema": [
                { "AttributeName": "attention", "KeyType": "HASH" },
                { "AttributeName": "id", "KeyType": "RANGE" },
            ],
            "Projection": { "ProjectionType": "KEYS_ONLY" },
        }]);
    }
    if name == "events" {
        attributes.push(json!({ "AttributeName": "listed", "AttributeType": "S" }));
        table["GlobalSecondaryIndexes"] = json!([{
            "IndexName": "by_listing",
            "KeySchema": [
                { "AttributeName": partition, "KeyType": "HASH" },
                { "AttributeName": "listed", "KeyType": "RANGE" },
            ],
            "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["event_name", "expires_at"] },
        }]);
    }
    table["AttributeDefinitions"] = Value::from(attributes);
    table
}

/// Turns `{"a": {"S": "x"}}` into `{"a": "x"}`.
#[must_use]
pub fn plain_item(item: &Value) -> Value {
    let fields = item.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), plain(value)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), inner) {
        ("N", Value::String(number)) => serde_json::from_str(number).unwrap_or(Value::Null),
        ("L", Value::Array(list)) => list.iter().map(plain).collect(),
        ("M", map) => plain_item(map),
        ("NULL", _) => Value::Null,
        _ => inner.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_and_the_journal_keeps_each_version() {
        let dynamo = Dynamo::new(true);
        let item = json!({ "partition": { "S": "e#01" }, "id": { "S": "d" }, "attempt_count": { "N": "0" } });
        let put = json!({ "TableName": "deliveries", "Item": item,
            "ConditionExpression": "attribute_not_exists(id)" })
        .to_string();
        assert_eq!(dynamo.call("PutItem", &put).status, 200);
        let again = dynamo.call("PutItem", &put);
        assert_eq!(again.status, 400);
        assert!(again.body.contains("ConditionalCheckFailedException"), "{}", again.body);
        let update = json!({ "TableName": "deliveries",
            "Key": { "partition": { "S": "e#01" }, "id": { "S": "d" } },
            "UpdateExpression": "SET attempt_count = :n", "ConditionExpression": "attempt_count = :old",
            "ExpressionAttributeValues": { ":n": { "N": "1" }, ":old": { "N": "0" } } });
        assert_eq!(dynamo.call("UpdateItem", &update.to_string()).status, 200);
        let counts: Vec<_> =
            dynamo.journal().iter().map(|version| version.row["attempt_count"].clone()).collect();
        assert_eq!(counts, [0, 1]);
    }
}
