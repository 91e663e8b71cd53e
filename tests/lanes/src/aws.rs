//! The AWS of one lane: the server that the functions' SDK clients talk to.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::dynamo::Dynamo;
use crate::fault::{Fault, Faults};
use crate::http::Reply;
use crate::iam::Iam;
use crate::partiql;
use crate::partitions::Partitions;
use crate::sealed;
use crate::sqs::Sqs;
use crate::sqs_api;
use crate::watch::Watch;

/// The ARNs of the secrets.
pub const ROOT_SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:root";
pub const SEALING_KEYS: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:sealing-keys";

#[derive(Debug)]
pub struct Aws {
    pub dynamo: Dynamo,
    pub partitions: Partitions,
    pub sqs: Sqs,
    pub faults: Faults,
    pub iam: Iam,
    pub watch: Watch,
    pub root_secret: String,
    /// The text of the secret with the sealing keys.
    pub sealing_keys: Mutex<String>,
    pub buses: Mutex<Vec<Value>>,
    /// The bodies of messages that Lambda gave up as part of a recursive loop.
    pub ended_loops: Mutex<Vec<String>>,
}

/// One call, as `x-amz-target` and its body name it.
#[derive(Debug)]
pub struct Call<'a> {
    pub service: &'a str,
    pub operation: &'a str,
    pub body: &'a str,
    /// The trace header.
    pub trace: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// `target` is such as `DynamoDB_20120810.PutItem`.
    #[must_use]
    pub fn new(target: &'a str, body: &'a str, trace: Option<&'a str>) -> Self {
        let (service, operation) = target.split_once('.').unwrap_or(("", target));
        Self { service, operation, body, trace }
    }

    /// Operation and table, queue or secret, such as `PutItem events`.
    #[must_use]
    pub fn what(&self) -> String {
        let request: Value = serde_json::from_str(self.body).unwrap_or_default();
        let first_table = || {
            let item = request["TransactItems"].as_array()?.first()?.as_object()?.values().next()?;
            item["TableName"].as_str().map(str::to_owned)
        };
        let on = if let Some(table) = request["TableName"].as_str() {
            table.to_owned()
        } else if let Some(url) = request["QueueUrl"].as_str() {
            url.rsplit('/').next().unwrap_or_default().to_owned()
        } else if let Some(bus) = request["Entries"][0]["EventBusName"].as_str() {
            bus.to_owned()
        } else if let Some(tables) = request["RequestItems"].as_object() {
            tables.keys().cloned().collect::<Vec<_>>().join("+")
        } else if let Some(statement) = request["Statements"][0]["Statement"].as_str() {
            partiql::table(statement).to_owned()
        } else if let Some(secret) = request["SecretId"].as_str() {
            secret.rsplit(':').next().unwrap_or_default().to_owned()
        } else {
            first_table().unwrap_or_default()
        };
        format!("{} {on}", self.operation)
    }

    #[must_use]
    pub fn is_sqs(&self) -> bool {
        self.service == "AmazonSQS"
    }

    /// How long a call is held until its client has stopped waiting: longer than the timeout of one try.
    #[must_use]
    pub fn late(&self) -> Duration {
        if self.is_sqs() { Duration::from_millis(5_500) } else { Duration::from_millis(3_500) }
    }

    /// The answer that AWS gives to a call that it carries out.
    #[must_use]
    pub fn pretended(&self) -> Reply {
        let request: Value = serde_json::from_str(self.body).unwrap_or_default();
        let entries = request["Entries"].as_array().into_iter().flatten();
        let done: Vec<Value> = entries
            .map(|entry| json!({ "Id": entry["Id"], "MessageId": "0", "MD5OfMessageBody": "0" }))
            .collect();
        let answer = match self.operation {
            "SendMessageBatch" | "ChangeMessageVisibilityBatch" => {
                json!({ "Successful": done, "Failed": [] })
            }
            "SendMessage" => json!({ "MessageId": "0", "MD5OfMessageBody": "0" }),
            _ => json!({}),
        };
        Reply::ok(answer.to_string())
    }

    /// The answer that AWS gives to a call over a limit.
    #[must_use]
    pub fn throttled(&self) -> Reply {
        let kind = match (self.service, self.operation) {
            ("AmazonSQS", _) => "com.amazon.coral.availability#ThrottlingException",
            ("AWSEvents", _) | (_, "TransactWriteItems" | "BatchExecuteStatement" | "GetSecretValue") => {
                "ThrottlingException"
            }
            _ => "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        };
        Reply::error(400, kind, "Rate exceeded")
    }
}

impl Aws {
    /// Carries a call out.
    pub fn perform(&self, call: &Call<'_>, fault: Option<Fault>) -> Reply {
        let is_partial = fault == Some(Fault::Partial);
        match call.service {
            "DynamoDB_20120810" if is_partial && call.operation == "BatchGetItem" => {
                self.partial_read(call.body)
            }
            "DynamoDB_20120810" if is_partial => self.partial_statements(call.body),
            "DynamoDB_20120810" if fault == Some(Fault::Stale) => self.stale_read(call.body),
            "DynamoDB_20120810" => self.partitions.call(&self.dynamo, call.operation, call.body),
            "AmazonSQS" => {
                let failing = is_partial.then_some(0);
                sqs_api::call(&self.sqs, call.operation, call.body, call.trace, failing)
            }
            "AWSEvents" => self.put_events(call.body),
            "secretsmanager" => self.secret(call),
            other => Reply::error(400, "UnknownOperationException", other),
        }
    }

    /// The value of a secret
    /// (docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html).
    fn secret(&self, call: &Call<'_>) -> Reply {
        let request: Value = serde_json::from_str(call.body).unwrap_or_default();
        let (name, text) = match (call.operation, request["SecretId"].as_str()) {
            ("GetSecretValue", Some(ROOT_SECRET)) => ("root", self.root_secret.clone()),
            ("GetSecretValue", Some(SEALING_KEYS)) => ("sealing-keys", self.sealing_keys().clone()),
            ("GetSecretValue", _) => {
                let message = "Secrets Manager can't find the specified secret.";
                return Reply::error(400, "ResourceNotFoundException", message);
            }
            (other, _) => return Reply::error(400, "UnknownOperationException", other),
        };
        let version = "00000000-0000-4000-8000-000000000001";
        let answer = json!({ "ARN": request["SecretId"], "Name": name, "VersionId": version,
            "SecretString": text, "VersionStages": ["AWSCURRENT"], "CreatedDate": 1_776_009_119.5 });
        Reply::ok(answer.to_string())
    }

    fn sealing_keys(&self) -> MutexGuard<'_, String> {
        self.sealing_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the secret keys of these ids, the last of which seals.
    pub fn put_sealing_keys(&self, ids: &[&str]) {
        *self.sealing_keys() = sealed::keys(ids);
    }

    /// A batch read that finds only rows that it reads strongly consistently.
    fn stale_read(&self, body: &str) -> Reply {
        let mut request: Value = serde_json::from_str(body).unwrap_or_default();
        if let Some(tables) = request["RequestItems"].as_object_mut() {
            tables.retain(|_, wanted| wanted["ConsistentRead"] == true);
            if tables.is_empty() {
                return Reply::ok(json!({ "Responses": {}, "UnprocessedKeys": {} }).to_string());
            }
        }
        self.partitions.call(&self.dynamo, "BatchGetItem", &request.to_string())
    }

    fn put_events(&self, body: &str) -> Reply {
        let mut request: Value = serde_json::from_str(body).unwrap_or_default();
        let entries = request["Entries"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let ids: Vec<Value> =
            entries.iter().map(|_| json!({ "EventId": "00000000-0000-4000-8000-000000000001" })).collect();
        self.buses.lock().unwrap_or_else(PoisonError::into_inner).extend(entries);
        Reply::ok(json!({ "FailedEntryCount": 0, "Entries": ids }).to_string())
    }

    /// The events that were put on event buses.
    pub fn bus(&self) -> Vec<Value> {
        self.buses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A batch of statements of which the last and each third before it are not carried out. So two failures fall into one
    /// batch, with others between them.
    fn partial_statements(&self, body: &str) -> Reply {
        let mut request: Value = serde_json::from_str(body).unwrap_or_default();
        let statements = request["Statements"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let count = statements.len();
        let fails = |n: usize| (count - 1 - n).is_multiple_of(3);
        let done = statements.into_iter().enumerate().filter(|(n, _)| !fails(*n));
        request["Statements"] = done.map(|(_, statement)| statement).collect();
        let reply = self.partitions.call(&self.dynamo, "BatchExecuteStatement", &request.to_string());
        let mut answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        match answer["Responses"].as_array_mut() {
            Some(responses) if reply.status == 200 => {
                for n in (0..count).filter(|n| fails(*n)) {
                    let error = json!({ "Error": { "Code": "ThrottlingError", "Message": "Rate exceeded" } });
                    responses.insert(n, error);
                }
                Reply::ok(answer.to_string())
            }
            _ => reply,
        }
    }

    /// A batch read that leaves its last key unprocessed.
    fn partial_read(&self, body: &str) -> Reply {
        let mut request: Value = serde_json::from_str(body).unwrap_or_default();
        let mut left = json!({});
        if let Some((table, wanted)) =
            request["RequestItems"].as_object_mut().and_then(|all| all.iter_mut().last())
            && let Some(key) = wanted["Keys"].as_array_mut().and_then(Vec::pop)
        {
            left[table.as_str()] = wanted.clone();
            left[table.as_str()]["Keys"] = json!([key]);
        }
        if let Some(tables) = request["RequestItems"].as_object_mut() {
            tables.retain(|_, wanted| wanted["Keys"].as_array().is_some_and(|keys| !keys.is_empty()));
        }
        let mut answer = json!({ "Responses": {} });
        if request["RequestItems"].as_object().is_some_and(|tables| !tables.is_empty()) {
            let reply = self.partitions.call(&self.dynamo, "BatchGetItem", &request.to_string());
            if reply.status != 200 {
                return reply;
            }
            answer = serde_json::from_str(&reply.body).unwrap_or_default();
        }
        // A full partition may have left other keys unprocessed already.
        for (table, wanted) in answer["UnprocessedKeys"].as_object().into_iter().flatten() {
            let keys = wanted["Keys"].as_array().into_iter().flatten().cloned();
            match left[table.as_str()]["Keys"].as_array_mut() {
                Some(more) => more.extend(keys),
                None => left[table.as_str()] = wanted.clone(),
            }
        }
        answer["UnprocessedKeys"] = left;
        Reply::ok(answer.to_string())
    }
}
