//! Builds the AWS clients that the functions build and answers every invocation at once: the floor of a cold start
//! for anything that talks to these services.

use std::hint::black_box;

use echo_shared::config::from_process;
use echo_shared::{aws, queue, store, tls};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let sdk = aws::sdk_config(tls::client_config()?).await;
    // As the api has it; the delivery function has no business with secrets.
    let secrets = from_process("ROOT_SECRET_ARN").map(|_| aws_sdk_secretsmanager::Client::new(&sdk));
    let clients = black_box((store::client(&sdk), queue::client(&sdk), secrets));
    let answer = |_: LambdaEvent<Value>| async {
        // The shapes of both functions' answers in one.
        Ok::<_, Error>(json!({ "statusCode": 200, "headers": {}, "body": "", "batchItemFailures": [] }))
    };
    lambda_runtime::run(service_fn(answer)).await?;
    drop(clients);
    Ok(())
}
