//! The stack's own queues and tables, for the few promises that cannot be seen through the API.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;

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
    /// By its logical id in the template.
    ///
    /// # Panics
    /// When there is none of that name.
    pub async fn named(logical_id: &str) -> Self {
        let url = stack().aws.queues.get(logical_id);
        let url = url.unwrap_or_else(|| panic!("the stack has no queue {logical_id}")).clone();
        Self { client: aws_sdk_sqs::Client::new(&config().await), url }
    }

    /// # Panics
    /// When the queue does not take it.
    pub async fn send(&self, body: &str) {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .expect("SQS takes it");
    }

    /// How many messages there are: to be had and hidden.
    ///
    /// # Panics
    /// When the queue does not say.
    pub async fn depth(&self) -> (u64, u64) {
        let (visible, hidden) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(visible.clone())
            .attribute_names(hidden.clone())
            .send()
            .await
            .expect("SQS answers");
        let count = |name| {
            let value = answer.attributes().and_then(|all| all.get(&name)).expect("the attribute asked for");
            value.parse().expect("a number")
        };
        (count(visible), count(hidden))
    }

    /// Waits for a message with exactly this body in a queue that nothing consumes, and takes it out.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn take(&self, body: &str) {
        eventually("the message is in the queue", PATIENCE, || async {
            let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let received = request.visibility_timeout(1).send().await.expect("SQS answers");
            let found = received.messages().iter().find(|message| message.body() == Some(body))?;
            let handle = found.receipt_handle().unwrap_or_default();
            self.client
                .delete_message()
                .queue_url(&self.url)
                .receipt_handle(handle)
                .send()
                .await
                .expect("SQS deletes");
            Some(())
        })
        .await;
    }
}

/// Everything that one of the stack's tables holds, as text to search in.
///
/// # Panics
/// When there is no such table or it cannot be read.
pub async fn table_dump(logical_id: &str) -> String {
    let name =
        stack().aws.tables.get(logical_id).unwrap_or_else(|| panic!("the stack has no table {logical_id}"));
    let client = aws_sdk_dynamodb::Client::new(&config().await);
    let pages = client.scan().table_name(name).into_paginator().items().send();
    let rows = pages.try_collect().await.expect("the table can be read");
    format!("{rows:?}")
}

/// Lets a row expire: finds the one whose `id_field` is `id` and sets its TTL attribute to a second ago.
///
/// # Panics
/// When there is no such table or row.
pub async fn expire(logical_id: &str, id_field: &str, id: &str) {
    let name =
        stack().aws.tables.get(logical_id).unwrap_or_else(|| panic!("the stack has no table {logical_id}"));
    let client = aws_sdk_dynamodb::Client::new(&config().await);
    let described = client.describe_table().table_name(name).send().await.expect("a table");
    let schema = described.table().expect("a table").key_schema().to_vec();
    let scan = client
        .scan()
        .table_name(name)
        .filter_expression("#id = :id")
        .expression_attribute_names("#id", id_field)
        .expression_attribute_values(":id", AttributeValue::S(id.to_owned()));
    let rows = scan.into_paginator().items().send().try_collect().await.expect("the table can be read");
    let [row] = rows.as_slice() else { panic!("{} rows of {logical_id} have {id_field} {id}", rows.len()) };
    let mut update = client.update_item().table_name(name).update_expression("SET expires_at = :past");
    for key in schema {
        update = update.key(key.attribute_name(), row[key.attribute_name()].clone());
    }
    let past = AttributeValue::N((now() / 1_000 - 1).to_string());
    update.expression_attribute_values(":past", past).send().await.expect("the row can be changed");
}
