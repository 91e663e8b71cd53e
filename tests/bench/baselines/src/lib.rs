//! What the two functions have in common that only build clients: the floor of a cold start for anything that talks to
//! these services.

use std::hint::black_box;

use aws_config::SdkConfig;
use echo_shared::config::from_process;
use echo_shared::{queue, store};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

/// Builds the AWS clients that the functions build and answers every invocation at once.
///
/// # Errors
/// When Lambda's runtime API does not answer.
pub async fn build_clients_and_answer(sdk: SdkConfig) -> Result<(), Error> {
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
