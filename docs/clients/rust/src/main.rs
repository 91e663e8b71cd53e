//! The life of a webhook by the Rust client.

use std::env;
use std::time::Duration;

use echo_webhooks::apis::Error;
use echo_webhooks::apis::configuration::{ApiKey, Configuration};
use echo_webhooks::apis::deliveries_api::get_delivery;
use echo_webhooks::apis::events_api::create_event;
use echo_webhooks::apis::webhook_endpoints_api::{create_webhook_endpoint, delete_webhook_endpoint};
use echo_webhooks::models::{
    self, AcceptedEvent, DeliveryStatus, DeliveryWithAttempts, NewEndpoint, NewEvent,
};
use tokio::time::sleep;
use uuid::Uuid;

type Failure = Box<dyn std::error::Error>;

/// Sends an event until the service has it. Sending again is safe: an event with an `event_id` of its own is never taken twice.
async fn post(client: &Configuration, project: &str, event: &NewEvent) -> Result<AcceptedEvent, Failure> {
    for pause in [0, 1, 2, 4, 8, 16] {
        sleep(Duration::from_secs(pause)).await;
        match create_event(client, project, event.clone()).await {
            Ok(accepted) => return Ok(accepted),
            Err(Error::ResponseError(refusal))
                if !refusal.status.is_server_error() && refusal.status != 429 =>
            {
                return Err(refusal.content.into());
            }
            Err(Error::ResponseError(_) | Error::Reqwest(_)) => {} // a 429, a 5xx or no answer
            Err(error) => return Err(error.into()),
        }
    }
    Err("the event was not accepted".into())
}

/// The delivery with its attempts, once it has ended.
async fn ended(
    client: &Configuration,
    project: &str,
    webhook: Uuid,
    delivery: Uuid,
) -> Result<DeliveryWithAttempts, Failure> {
    loop {
        let answer = get_delivery(client, project, &webhook.to_string(), &delivery.to_string()).await?;
        if matches!(answer.status, DeliveryStatus::Success | DeliveryStatus::Failed) {
            return Ok(answer);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let project = &env::var("ECHO_PROJECT_ID")?;
    let client = &Configuration {
        base_path: env::var("ECHO_API_URL")?,
        api_key: Some(ApiKey { prefix: None, key: env::var("ECHO_API_KEY")? }),
        client: reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?,
        ..Configuration::new()
    };

    let mut wanted = NewEndpoint::new("ftp://example.com".to_owned(), vec!["call.ended".to_owned()]);
    if let Err(Error::ResponseError(refusal)) = create_webhook_endpoint(client, project, wanted.clone()).await
    {
        let error: models::Error = serde_json::from_str(&refusal.content)?;
        println!("refused: {} {}", error.status_code, error.message);
    }

    wanted.url = env::var("RECEIVER_URL")?;
    let endpoint = create_webhook_endpoint(client, project, wanted).await?;

    let event = NewEvent {
        event_id: Some(Uuid::new_v4()),
        data: Some(serde_json::json!({ "text": "hello" })),
        ..NewEvent::new("call.ended".to_owned())
    };
    let accepted = post(client, project, &event).await?;
    let again = post(client, project, &event).await?;
    println!("accepted: {} duplicate: {}", accepted.event_id, again.duplicate);

    for each in accepted.deliveries.iter().filter(|each| each.webhook_endpoint_id == endpoint.id) {
        let delivery = ended(client, project, endpoint.id, each.id).await?;
        println!("delivery: {}", delivery.status);
        for attempt in delivery.attempts {
            let status = attempt.http_status.map_or("none".to_owned(), |status| status.to_string());
            println!("attempt: {} {status} {}", attempt.attempt_number, attempt.triggered_by);
        }
    }

    delete_webhook_endpoint(client, project, &endpoint.id.to_string()).await?;
    Ok(())
}
