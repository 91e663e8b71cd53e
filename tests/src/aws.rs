//! The stack's own queues, tables and logs, for the few promises that the API cannot show.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};

use serde_json::{Value, json};

use crate::project::{Project, unique};
use crate::stack::stack;
use crate::time::now;
use crate::wait::{PATIENCE, eventually};

async fn config() -> aws_config::SdkConfig {
    let aws = &stack().aws;
    let credentials = Credentials::new(&aws.access_key_id, &aws.secret_access_key, None, None, "tests");
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(&aws.endpoint_url)
        .region(Region::new(&aws.region))
        .credentials_provider(credentials)
        .load()
        .await
}

/// One of the stack's queues.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    /// Finds a queue by its logical id in the template.
    ///
    /// # Panics
    /// When the stack has no such queue.
    pub async fn named(logical_id: &str) -> Self {
        let url = stack().aws.queues.get(logical_id);
        let url = url.unwrap_or_else(|| panic!("the stack has no queue {logical_id}")).clone();
        Self { client: aws_sdk_sqs::Client::new(&config().await), url }
    }

    /// Sends a message and gives its id.
    ///
    /// # Panics
    /// When the queue does not accept the message.
    pub async fn send(&self, body: &str) -> String {
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        sent.expect("SQS takes it").message_id().expect("a message id").to_owned()
    }

    /// Sends up to ten messages in one request and gives their ids, in order.
    ///
    /// # Panics
    /// When the queue does not accept all of them.
    pub async fn send_together(&self, bodies: &[String]) -> Vec<String> {
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (index, body) in bodies.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body);
            request = request.entries(entry.build().expect("an entry"));
        }
        let sent = request.send().await.expect("SQS takes them");
        assert_eq!(sent.successful().len(), bodies.len(), "{:?}", sent.failed());
        let id_of = |index: usize| {
            sent.successful()
                .iter()
                .find(|sent| sent.id() == index.to_string())
                .expect("an answer")
                .message_id()
        };
        (0..bodies.len()).map(|index| id_of(index).to_owned()).collect()
    }

    /// Waits for this many messages in a queue that nothing else receives from.
    pub async fn receive(&self, count: usize) -> Vec<Value> {
        let found = std::cell::RefCell::new(Vec::new());
        eventually(format!("{count} messages come"), PATIENCE, || async {
            let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let received = request.visibility_timeout(600).send().await.expect("SQS answers");
            let bodies = received.messages().iter().filter_map(|message| message.body());
            found.borrow_mut().extend(bodies.filter_map(|body| serde_json::from_str(body).ok()));
            (found.borrow().len() >= count).then_some(())
        })
        .await;
        found.into_inner()
    }

    /// Waits for a message with exactly this body in a queue that nothing else receives from, deletes it from the
    /// queue and gives its attributes.
    pub async fn take(&self, body: &str) -> BTreeMap<String, String> {
        self.take_where(|found| found == body).await
    }

    /// Does the same as [`Self::take`] for the first message whose body fulfils `wanted`.
    ///
    /// # Panics
    /// When no such message comes.
    pub async fn take_where(&self, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
        let wanted = &wanted;
        eventually("the message is in the queue", PATIENCE, || async {
            let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let request = request.message_attribute_names("All");
            let received = request.visibility_timeout(1).send().await.expect("SQS answers");
            let found = received.messages().iter().find(|message| message.body().is_some_and(wanted))?;
            let handle = found.receipt_handle().unwrap_or_default();
            self.client
                .delete_message()
                .queue_url(&self.url)
                .receipt_handle(handle)
                .send()
                .await
                .expect("SQS deletes");
            let attributes = found.message_attributes().into_iter().flatten();
            let text = |value: &MessageAttributeValue| value.string_value().unwrap_or_default().to_owned();
            Some(attributes.map(|(name, value)| (name.clone(), text(value))).collect())
        })
        .await
    }
}

/// All rows of one of the stack's tables, as text to search in.
///
/// # Panics
/// When there is no such table or the test cannot read it.
pub async fn table_dump(logical_id: &str) -> String {
    let name =
        stack().aws.tables.get(logical_id).unwrap_or_else(|| panic!("the stack has no table {logical_id}"));
    let client = aws_sdk_dynamodb::Client::new(&config().await);
    let pages = client.scan().table_name(name).into_paginator().items().send();
    let rows = pages.try_collect().await.expect("the table can be read");
    format!("{rows:?}")
}

/// The row of an account.
///
/// # Panics
/// When there is no such account or the test cannot read it.
pub async fn account(email: &str) -> HashMap<String, AttributeValue> {
    let client = aws_sdk_dynamodb::Client::new(&config().await);
    let table = &stack().aws.tables["AccountsTable"];
    let key = AttributeValue::S(email.to_lowercase());
    let answer = client.get_item().table_name(table).key("email_key", key).send().await;
    answer.expect("the table can be read").item.expect("an account")
}

/// The root secret, as an operator reads it.
///
/// # Panics
/// When the secret is not a text.
pub async fn root_secret() -> String {
    let body = json!({"SecretId": stack().aws.root_secret});
    let answer = call("secretsmanager", "secretsmanager.GetSecretValue", &body).await;
    answer["SecretString"].as_str().expect("a text").to_owned()
}

/// Lets a row expire: finds the row whose `id_field` is `id` and sets its TTL attribute to a second ago.
///
/// # Panics
/// When there is no such table or row.
pub async fn expire(logical_id: &str, id_field: &str, id: &str) {
    set_number(logical_id, (id_field, id), "expires_at", now() / 1_000 - 1).await;
}

/// Sets a number of the one row that has such a number and this text.
///
/// # Panics
/// When there is no such table, and unless there is one such row.
pub async fn set_number(logical_id: &str, (field, text): (&str, &str), number: &str, to: i64) {
    let name =
        stack().aws.tables.get(logical_id).unwrap_or_else(|| panic!("the stack has no table {logical_id}"));
    let client = aws_sdk_dynamodb::Client::new(&config().await);
    let described = client.describe_table().table_name(name).send().await.expect("a table");
    let schema = described.table().expect("a table").key_schema().to_vec();
    let scan = client
        .scan()
        .table_name(name)
        .filter_expression("#field = :text AND attribute_exists(#number)")
        .expression_attribute_names("#field", field)
        .expression_attribute_names("#number", number)
        .expression_attribute_values(":text", AttributeValue::S(text.to_owned()));
    let rows = scan.into_paginator().items().send().try_collect().await.expect("the table can be read");
    let [row] = rows.as_slice() else { panic!("{} rows of {logical_id} have {field} {text}", rows.len()) };
    let mut update = client
        .update_item()
        .table_name(name)
        .update_expression("SET #number = :to")
        .expression_attribute_names("#number", number)
        .expression_attribute_values(":to", AttributeValue::N(to.to_string()));
    for key in schema {
        update = update.key(key.attribute_name(), row[key.attribute_name()].clone());
    }
    update.send().await.expect("the row can be changed");
}

/// All lines of a function's log that contain `text`. `function` is the start of the log group's logical id: `Api` or
/// `Delivery`.
///
/// # Panics
/// When the test cannot read the logs.
pub async fn logged(function: &str, text: &str) -> Vec<String> {
    let groups = logs_call("DescribeLogGroups", &json!({})).await;
    let is_ours = |name: &&str| name.ends_with(&format!("/{function}Logs"));
    let names = groups["logGroups"]
        .as_array()
        .expect("log groups")
        .iter()
        .filter_map(|each| each["logGroupName"].as_str());
    let name =
        names.into_iter().find(is_ours).unwrap_or_else(|| panic!("no log group of {function} in {groups}"));
    let (mut lines, mut token) = (Vec::new(), Value::Null);
    loop {
        let mut request = json!({"logGroupName": name, "filterPattern": format!("\"{text}\"")});
        if !token.is_null() {
            request["nextToken"] = token;
        }
        let page = logs_call("FilterLogEvents", &request).await;
        let messages =
            page["events"].as_array().expect("events").iter().filter_map(|each| each["message"].as_str());
        // The pattern only narrows the search. The text of each line decides.
        lines.extend(messages.filter(|message| message.contains(text)).map(str::to_owned));
        token = page["nextToken"].clone();
        if token.is_null() {
            return lines;
        }
    }
}

/// One call to CloudWatch Logs. The emulator may fail when new lines arrive while it answers, so the call is repeated.
async fn logs_call(action: &str, body: &Value) -> Value {
    call("logs", &format!("Logs_20140328.{action}"), body).await
}

/// Puts an event on the bus that the stack listens to and gives EventBridge's id of the event.
///
/// # Panics
/// When the bus does not accept the event.
pub async fn put_event(detail_type: &str, detail: &str) -> String {
    let bus = &stack().parameters["EventBusName"];
    let entry = json!({
        "Source": "com.example.tests", "DetailType": detail_type, "Detail": detail, "EventBusName": bus,
    });
    let answer = call("events", "AWSEvents.PutEvents", &json!({"Entries": [entry]})).await;
    answer["Entries"][0]["EventId"]
        .as_str()
        .unwrap_or_else(|| panic!("EventBridge gave no id: {answer}"))
        .to_owned()
}

/// Makes a queue for the events that the stack puts on the bus and that `pattern` matches.
///
/// # Panics
/// When the queue cannot be made.
pub async fn listen(pattern: &Value) -> Queue {
    let name = format!("listener-{}", unique());
    let bus = stack().parameter("OperationalEventBusName");
    let client = aws_sdk_sqs::Client::new(&config().await);
    let created = client.create_queue().queue_name(&name).send().await.expect("SQS makes a queue");
    let arn = format!("arn:aws:sqs:{}:000000000000:{name}", stack().aws.region);
    let rule = json!({"Name": name, "EventBusName": bus, "EventPattern": pattern.to_string()});
    call("events", "AWSEvents.PutRule", &rule).await;
    let target = json!({"Rule": name, "EventBusName": bus, "Targets": [{"Id": "queue", "Arn": arn}]});
    let answer = call("events", "AWSEvents.PutTargets", &target).await;
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    Queue { client, url: created.queue_url().expect("a URL").to_owned() }
}

/// The operator's project, with a new key. The deployment fixed the project's id, so this moves a fresh account's
/// project to that id.
///
/// # Panics
/// When the test cannot change the rows.
pub async fn operator_project() -> Project {
    let project = Project::new().await;
    let client = aws_sdk_dynamodb::Client::new(&config().await);
    let operator = AttributeValue::S(stack().operator_project().to_owned());
    for (table, field) in
        [("ProjectsTable", "id"), ("ApiKeysTable", "project_id"), ("ApiKeyHashesTable", "project_id")]
    {
        let name = &stack().aws.tables[table];
        let scan = client
            .scan()
            .table_name(name)
            .filter_expression("#field = :project")
            .expression_attribute_names("#field", field)
            .expression_attribute_values(":project", AttributeValue::S(project.id.clone()));
        let rows = scan.into_paginator().items().send().try_collect().await.expect("the table can be read");
        let [row] = rows.as_slice() else { panic!("{} rows of {table} are the project's", rows.len()) };
        let mut row = row.clone();
        row.insert(field.to_owned(), operator.clone());
        client.put_item().table_name(name).set_item(Some(row)).send().await.expect("the row can be written");
    }
    // Another test may have given the operator's project endpoints already.
    let routes = client
        .put_item()
        .table_name(&stack().aws.tables["RoutesTable"])
        .item("copy", AttributeValue::S(format!("{}#0", stack().operator_project())))
        .item("shards", AttributeValue::N("1".to_owned()))
        .item("endpoints", AttributeValue::M(HashMap::new()))
        .condition_expression("attribute_not_exists(#copy)")
        .expression_attribute_names("#copy", "copy");
    if let Err(error) = routes.send().await {
        let error = error.into_service_error();
        assert!(error.is_conditional_check_failed_exception(), "{error}");
    }
    Project::known(stack().operator_project(), &project.key)
}

/// One call to a service for which the tests carry no SDK. The emulator does not check the signature.
async fn call(service: &str, target: &str, body: &Value) -> Value {
    let aws = &stack().aws;
    let scope = format!("{}/20260101/{}/{service}/aws4_request", aws.access_key_id, aws.region);
    let authorization = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let client = reqwest::Client::new();
    eventually(format!("{target} is answered"), PATIENCE, || async {
        let request = client
            .post(&aws.endpoint_url)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", &authorization)
            .body(body.to_string());
        let answer = request.send().await.ok().filter(|answer| answer.status().is_success())?;
        answer.json().await.ok()
    })
    .await
}
