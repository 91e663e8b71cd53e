//! SQS's calls in AWS's JSON protocol, answered from this process's queues.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Reply;
use crate::sqs::{Outgoing, Refused, Sqs, message_id};

const MAX_DELAY_SECONDS: u64 = 900;
const MAX_HIDE_SECONDS: u64 = 43_200;
const MAX_BATCH: usize = 10;
/// The most bytes of one message, and of all messages of a batch together.
const MAX_BYTES: usize = 1_048_576;

/// The URL by which functions know a queue.
#[must_use]
pub fn queue_url(name: &str) -> String {
    format!("https://sqs.us-east-1.amazonaws.com/123456789012/{name}")
}

fn queue_name(request: &Value) -> &str {
    request["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default()
}

fn error(kind: &str, message: &str) -> Reply {
    Reply::error(400, &format!("com.amazonaws.sqs#{kind}"), message)
}

fn refusal(refused: Refused) -> Reply {
    match refused {
        Refused::NoSuchQueue => error("QueueDoesNotExist", "The specified queue does not exist."),
        Refused::NotInFlight => error("MessageNotInflight", "The message is not in flight."),
        Refused::InvalidHandle => error("ReceiptHandleIsInvalid", "The receipt handle is not valid."),
    }
}

/// Carries out one call. Each message that the call sends carries the call's trace header. The batch entry
/// `failing_entry` is not carried out, and the answer reports it as failed.
pub fn call(
    sqs: &Sqs,
    operation: &str,
    body: &str,
    trace: Option<&str>,
    failing_entry: Option<usize>,
) -> Reply {
    let Ok(request) = serde_json::from_str::<Value>(body) else {
        return error("SerializationException", "not JSON");
    };
    let queue = queue_name(&request);
    match operation {
        "SendMessage" => match send(sqs, queue, &request, trace) {
            Ok(sent) => Reply::ok(sent.to_string()),
            Err(reply) => reply,
        },
        "SendMessageBatch" if entries(&request).iter().map(size).sum::<usize>() > MAX_BYTES => {
            error("BatchRequestTooLong", "The messages are too long together.")
        }
        "SendMessageBatch" => batch(&request, failing_entry, |entry| send(sqs, queue, entry, trace)),
        "DeleteMessage" => {
            sqs.delete(queue, handle(&request));
            Reply::ok("{}".to_owned())
        }
        "DeleteMessageBatch" => batch(&request, failing_entry, |entry| {
            sqs.delete(queue, handle(entry));
            Ok(json!({}))
        }),
        "ChangeMessageVisibility" => match hide(sqs, queue, &request) {
            Ok(hidden) => Reply::ok(hidden.to_string()),
            Err(reply) => reply,
        },
        "ChangeMessageVisibilityBatch" => batch(&request, failing_entry, |entry| hide(sqs, queue, entry)),
        "GetQueueAttributes" => {
            let depth = sqs.depth(queue);
            Reply::ok(
                json!({ "Attributes": {
                    "ApproximateNumberOfMessages": depth.visible.to_string(),
                    "ApproximateNumberOfMessagesNotVisible": depth.in_flight.to_string(),
                    "ApproximateNumberOfMessagesDelayed": depth.delayed.to_string(),
                } })
                .to_string(),
            )
        }
        other => error("UnsupportedOperation", other),
    }
}

/// A message's size as SQS counts it: the body, and each attribute's name, type and value
/// (docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_MessageAttributeValue.html).
fn size(message: &Value) -> usize {
    let bytes = |value: &Value| value.as_str().map_or(0, str::len);
    let attributes = message["MessageAttributes"].as_object().into_iter().flatten();
    let attribute = |(name, value): (&String, &Value)| {
        name.len() + bytes(&value["DataType"]) + bytes(&value["StringValue"])
    };
    bytes(&message["MessageBody"]) + attributes.map(attribute).sum::<usize>()
}

fn entries(request: &Value) -> &[Value] {
    request["Entries"].as_array().map_or(&[], Vec::as_slice)
}

fn handle(request: &Value) -> &str {
    request["ReceiptHandle"].as_str().unwrap_or_default()
}

fn send(sqs: &Sqs, queue: &str, entry: &Value, trace: Option<&str>) -> Result<Value, Reply> {
    let invalid = |what: &str| Err(error("InvalidParameterValue", what));
    let delay = entry["DelaySeconds"].as_u64().unwrap_or(0);
    if delay > MAX_DELAY_SECONDS {
        return invalid("DelaySeconds must be 0 to 900");
    }
    let Some(body) = entry["MessageBody"].as_str().filter(|body| !body.is_empty()) else {
        return invalid("MessageBody must not be empty");
    };
    if size(entry) > MAX_BYTES {
        return invalid(
            "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
        );
    }
    let group = entry["MessageGroupId"].as_str().map(str::to_owned);
    if group.as_ref().is_some_and(|group| group.is_empty() || group.len() > 128) {
        return invalid("MessageGroupId must be of 1 to 128 characters");
    }
    let outgoing = Outgoing { body: body.to_owned(), group, delay: Duration::from_secs(delay) };
    // The message's attribute overrides the call's header.
    let attribute = entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"].as_str();
    match sqs.send_traced(queue, outgoing, attribute.or(trace).map(str::to_owned)) {
        Ok(id) => Ok(json!({ "MessageId": message_id(id), "MD5OfMessageBody": "0" })),
        Err(refused) => Err(refusal(refused)),
    }
}

fn hide(sqs: &Sqs, queue: &str, entry: &Value) -> Result<Value, Reply> {
    let seconds = entry["VisibilityTimeout"].as_u64().unwrap_or(u64::MAX);
    if seconds > MAX_HIDE_SECONDS {
        return Err(error("InvalidParameterValue", "VisibilityTimeout must be 0 to 43200"));
    }
    let wait = Duration::from_secs(seconds);
    sqs.change_visibility(queue, handle(entry), wait).map_err(refusal)?;
    Ok(json!({}))
}

fn batch(
    request: &Value,
    failing_entry: Option<usize>,
    mut run: impl FnMut(&Value) -> Result<Value, Reply>,
) -> Reply {
    let entries = entries(request);
    if entries.is_empty() {
        return error("EmptyBatchRequest", "There must be entries.");
    }
    if entries.len() > MAX_BATCH {
        return error("TooManyEntriesInBatchRequest", "At most 10 entries.");
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        if failing_entry == Some(index) {
            failed.push(json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false,
                "Message": "failed on purpose" }));
            continue;
        }
        match run(entry) {
            Ok(mut done) => {
                done["Id"] = entry["Id"].clone();
                successful.push(done);
            }
            Err(reply) => failed.push(json!({ "Id": entry["Id"], "Code": "InvalidParameterValue",
                "SenderFault": true, "Message": reply.body })),
        }
    }
    Reply::ok(json!({ "Successful": successful, "Failed": failed }).to_string())
}
