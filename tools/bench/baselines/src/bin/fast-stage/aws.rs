//! The part of DynamoDB and SQS that successful runs call, without any checks: the lanes' AWS has those.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Failure;

/// A table: the key fields of its rows, and the rows.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Table {
    key: Vec<String>,
    items: Vec<Value>,
    #[serde(skip)]
    by_key: HashMap<String, usize>,
}

impl Table {
    fn key_of(&self, attributes: &Value) -> String {
        self.key.iter().map(|name| attributes[name]["S"].as_str().unwrap_or_default()).collect()
    }

    fn put(&mut self, item: Value) {
        self.by_key.insert(self.key_of(&item), self.items.len());
        self.items.push(item);
    }

    fn find(&self, key: &Value) -> Option<Value> {
        self.by_key.get(&self.key_of(key)).map(|&n| self.items[n].clone())
    }
}

#[derive(Debug)]
pub(crate) struct Aws {
    root_secret: String,
    sealing_keys: String,
    tables: Mutex<HashMap<String, Table>>,
    jobs: Mutex<Vec<String>>,
}

impl Aws {
    pub(crate) fn new(mut tables: HashMap<String, Table>, root_secret: String, sealing_keys: String) -> Self {
        for table in tables.values_mut() {
            for item in std::mem::take(&mut table.items) {
                table.put(item);
            }
        }
        Self { root_secret, sealing_keys, tables: Mutex::new(tables), jobs: Mutex::default() }
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<String, Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queued jobs, which this removes from the queue.
    pub(crate) fn take_jobs(&self) -> Vec<String> {
        std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn call(&self, target: &str, body: &Bytes) -> Result<String, Failure> {
        let mut request: Value = serde_json::from_slice(body)?;
        let table = request["TableName"].as_str().unwrap_or_default().to_owned();
        let answer = match target.split_once('.').map_or(target, |(_, operation)| operation) {
            "PutItem" => {
                if let Some(table) = self.tables().get_mut(&table) {
                    table.put(request["Item"].take());
                }
                json!({})
            }
            "BatchExecuteStatement" => self.execute(&mut request),
            "UpdateItem" => json!({}),
            "GetItem" => self.find(&table, &request["Key"]).map_or(json!({}), |item| json!({ "Item": item })),
            "Query" => {
                let items = self.partition(&table, &request);
                json!({ "Count": items.len(), "ScannedCount": items.len(), "Items": items })
            }
            "BatchGetItem" => self.batch(&request),
            "SendMessageBatch" => self.send(&mut request),
            "GetSecretValue" => {
                let is_root = request["SecretId"].as_str().is_some_and(|arn| arn.ends_with(":root"));
                let text = if is_root { &self.root_secret } else { &self.sealing_keys };
                json!({ "ARN": request["SecretId"], "Name": "secret", "SecretString": text,
                "VersionId": "00000000-0000-0000-0000-000000000001" })
            }
            other => return Err(format!("{other} is not on the happy path").into()),
        };
        Ok(answer.to_string())
    }

    /// Executes statements such as `INSERT INTO "table" VALUE {'name': ?, …}`. It answers updates with success and
    /// does nothing else.
    fn execute(&self, request: &mut Value) -> Value {
        let mut tables = self.tables();
        let mut done = Vec::new();
        for statement in request["Statements"].as_array_mut().into_iter().flatten() {
            let text = statement["Statement"].as_str().unwrap_or_default().to_owned();
            let names = text.split('\'').skip(1).step_by(2).map(str::to_owned);
            let values = statement["Parameters"].as_array_mut().into_iter().flatten().map(Value::take);
            let name = text.split('"').nth(1).unwrap_or_default();
            if text.starts_with("INSERT")
                && let Some(table) = tables.get_mut(name)
            {
                table.put(names.zip(values).collect::<Map<_, _>>().into());
            }
            done.push(json!({ "TableName": name }));
        }
        json!({ "Responses": done })
    }

    fn find(&self, table: &str, key: &Value) -> Option<Value> {
        self.tables().get(table)?.find(key)
    }

    fn partition(&self, table: &str, request: &Value) -> Vec<Value> {
        let name = request["ExpressionAttributeNames"]["#key"].as_str().unwrap_or_default();
        let is_in = |item: &&Value| item[name] == request["ExpressionAttributeValues"][":key"];
        self.tables().get(table).into_iter().flat_map(|table| &table.items).filter(is_in).cloned().collect()
    }

    fn batch(&self, request: &Value) -> Value {
        let mut responses = Map::new();
        for (table, wanted) in request["RequestItems"].as_object().into_iter().flatten() {
            let keys = wanted["Keys"].as_array().into_iter().flatten();
            responses.insert(table.clone(), keys.filter_map(|key| self.find(table, key)).collect());
        }
        json!({ "Responses": responses, "UnprocessedKeys": {} })
    }

    fn send(&self, request: &mut Value) -> Value {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sent = Vec::new();
        for entry in request["Entries"].as_array_mut().into_iter().flatten() {
            jobs.push(entry["MessageBody"].as_str().unwrap_or_default().to_owned());
            sent.push(json!({ "Id": entry["Id"], "MessageId": "8f1c7a52-3c11-4a3e-9a66-0d5b6a6f2c10",
                "MD5OfMessageBody": "d41d8cd98f00b204e9800998ecf8427e" }));
        }
        json!({ "Successful": sent, "Failed": [] })
    }
}
