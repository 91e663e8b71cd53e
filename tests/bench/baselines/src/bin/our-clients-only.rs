//! Builds AWS clients over the functions' HTTP client.

use echo_shared::{aws, tls};
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let sdk = aws::sdk_config(tls::client_config()?).await;
    echo_baselines::build_clients_and_answer(sdk).await
}
