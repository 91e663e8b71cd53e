//! The actions and resources that a call to AWS needs permission for. The source is
//! docs.aws.amazon.com/service-authorization/latest/reference/, the pages list_amazondynamodb, list_amazonsqs,
//! list_amazoneventbridge and list_awssecretsmanager.

use serde_json::Value;

use crate::aws::Call;
use crate::partiql;

/// The resource of an action, by the name that the call uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum On {
    Table(String),
    Index(String, String),
    Queue(String),
    Bus(String),
    Secret(String),
    /// The resource of a call that this module does not know.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) action: String,
    pub(super) on: On,
}

/// All permissions that a call needs. A batch of statements needs one for each statement, in their order.
pub(super) fn needs(call: &Call<'_>) -> Vec<Need> {
    let request: Value = serde_json::from_str(call.body).unwrap_or_default();
    match call.service {
        "DynamoDB_20120810" => of_dynamodb(call.operation, &request),
        // A batch has no action of its own: the permission to send one message is also the permission to send ten
        // (docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html).
        "AmazonSQS" => {
            let action = call.operation.strip_suffix("Batch").unwrap_or(call.operation);
            vec![need("sqs", action, On::Queue(text(&request["QueueUrl"])))]
        }
        "AWSEvents" if call.operation == "PutEvents" => {
            let entries = request["Entries"].as_array().into_iter().flatten();
            let bus = |entry: &Value| entry["EventBusName"].as_str().unwrap_or("default").to_owned();
            entries.map(|entry| need("events", "PutEvents", On::Bus(bus(entry)))).collect()
        }
        "secretsmanager" => {
            vec![need("secretsmanager", call.operation, On::Secret(text(&request["SecretId"])))]
        }
        service => vec![need(service, call.operation, On::Unknown)],
    }
}

fn of_dynamodb(operation: &str, request: &Value) -> Vec<Need> {
    let table = || On::Table(text(&request["TableName"]));
    let entries = |field: &str| request[field].as_array().into_iter().flatten();
    match operation {
        "PutItem" | "GetItem" | "UpdateItem" | "DeleteItem" => vec![need("dynamodb", operation, table())],
        "Query" | "Scan" => {
            let index = request["IndexName"].as_str();
            let on = index.map(|index| On::Index(text(&request["TableName"]), index.to_owned()));
            vec![need("dynamodb", operation, on.unwrap_or_else(table))]
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = request["RequestItems"].as_object().into_iter().flatten();
            tables.map(|(table, _)| need("dynamodb", operation, On::Table(table.clone()))).collect()
        }
        // docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
        "TransactWriteItems" | "TransactGetItems" => {
            let actions = entries("TransactItems").filter_map(|item| item.as_object()?.iter().next());
            actions
                .map(|(action, body)| {
                    need("dynamodb", &format!("{action}Item"), On::Table(text(&body["TableName"])))
                })
                .collect()
        }
        // docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html
        "ExecuteStatement" => vec![of_statement(request)],
        "BatchExecuteStatement" => entries("Statements").map(of_statement).collect(),
        "ExecuteTransaction" => entries("TransactStatements").map(of_statement).collect(),
        _ => vec![need("dynamodb", operation, On::Unknown)],
    }
}

fn of_statement(statement: &Value) -> Need {
    let statement = statement["Statement"].as_str().unwrap_or_default();
    let verb = statement.split_whitespace().next().unwrap_or_default().to_lowercase();
    let verb: String =
        verb.chars().take(1).flat_map(char::to_uppercase).chain(verb.chars().skip(1)).collect();
    let table = partiql::table(statement).to_owned();
    let on = partiql::index(statement).map(|index| On::Index(table.clone(), index.to_owned()));
    need("dynamodb", &format!("PartiQL{verb}"), on.unwrap_or(On::Table(table)))
}

fn need(service: &str, action: &str, on: On) -> Need {
    Need { action: format!("{service}:{action}"), on }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each need as its action and its resource.
    fn of(target: &str, body: &Value) -> Vec<String> {
        let body = body.to_string();
        let on = |on: On| match on {
            On::Table(name) | On::Queue(name) | On::Bus(name) | On::Secret(name) => name,
            On::Index(table, index) => format!("{table}/{index}"),
            On::Unknown => "?".to_owned(),
        };
        needs(&Call::new(target, &body, None))
            .into_iter()
            .map(|need| format!("{} {}", need.action, on(need.on)))
            .collect()
    }

    #[test]
    fn a_call_needs_what_the_reference_says() {
        let dynamodb = |operation: &str, body: Value| of(&format!("DynamoDB_20120810.{operation}"), &body);
        let query = serde_json::json!({ "TableName": "events", "IndexName": "by_listing" });
        assert_eq!(dynamodb("Query", query), ["dynamodb:Query events/by_listing"]);
        let batch = serde_json::json!({ "RequestItems": { "a": {}, "b": {} } });
        assert_eq!(dynamodb("BatchGetItem", batch), ["dynamodb:BatchGetItem a", "dynamodb:BatchGetItem b"]);
        let transaction = serde_json::json!({ "TransactItems": [
            { "Put": { "TableName": "a" } }, { "ConditionCheck": { "TableName": "b" } }] });
        let both = ["dynamodb:PutItem a", "dynamodb:ConditionCheckItem b"];
        assert_eq!(dynamodb("TransactWriteItems", transaction), both);
        let statements = serde_json::json!({ "Statements": [
            { "Statement": "INSERT INTO \"a\" VALUE {'x': ?}" }, { "Statement": "update \"b\" SET \"x\" = ?" },
            { "Statement": "SELECT * FROM \"c\".\"i\" WHERE x = ?" }] });
        let each = ["dynamodb:PartiQLInsert a", "dynamodb:PartiQLUpdate b", "dynamodb:PartiQLSelect c/i"];
        assert_eq!(dynamodb("BatchExecuteStatement", statements), each);
        assert_eq!(dynamodb("DropEverything", serde_json::json!({})), ["dynamodb:DropEverything ?"]);
        let send = serde_json::json!({ "QueueUrl": "url" });
        assert_eq!(of("AmazonSQS.SendMessageBatch", &send), ["sqs:SendMessage url"]);
        let put = serde_json::json!({ "Entries": [{ "EventBusName": "b" }, {}] });
        assert_eq!(of("AWSEvents.PutEvents", &put), ["events:PutEvents b", "events:PutEvents default"]);
    }
}
