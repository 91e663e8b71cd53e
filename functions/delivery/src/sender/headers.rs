//! The headers of one attempt (contract §5).

use echo_shared::attempt::Trigger;
use echo_shared::delivery::Delivery;
use echo_shared::ed25519::{self, Ed25519Error};
use echo_shared::endpoint_secrets::EndpointSecrets;
use echo_shared::event::Event;
use echo_shared::origin::{ORIGIN_HEADER, Origin};
use echo_shared::signature::{echo_signature, standard_signatures};
use echo_shared::time::Timestamp;

/// The attempt that a request makes.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) secrets: &'a EndpointSecrets,
    pub(crate) event: &'a Event,
    pub(crate) number: u32,
}

/// Names and values, the endpoint's own among them, signed with the endpoint's secrets.
///
/// # Errors
/// When the endpoint's private key is none.
pub(crate) fn signed(
    request: &Request<'_>,
    origin: &Origin,
    body: &[u8],
    now: Timestamp,
) -> Result<Vec<(String, String)>, Ed25519Error> {
    let Request { delivery, secrets, event, number } = request;
    let id = &delivery.event_id;
    let mut signatures = standard_signatures(secrets.all(), id, now, body);
    for key in secrets.private_keys() {
        signatures.push(' ');
        signatures.push_str(&ed25519::standard_signature(key, id, now, body)?);
    }
    let ours = [
        ("content-type", "application/json".to_owned()),
        ("x-echo-signature", echo_signature(&secrets.signing, body)),
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", now.as_seconds().to_string()),
        ("webhook-signature", signatures),
        ("x-echo-event", delivery.event_name.to_string()),
        ("x-echo-event-time", event.accepted_at.to_string()),
        ("x-echo-delivery", delivery.id.to_string()),
        ("x-echo-attempt", number.to_string()),
        (ORIGIN_HEADER, origin.mark().to_owned()),
    ];
    let ours = ours.map(|(name, value)| (name.to_owned(), value));
    let previous = secrets.previous.as_ref().map(|secret| echo_signature(secret, body));
    let previous = previous.map(|signature| ("x-echo-signature-previous".to_owned(), signature));
    // A manual attempt stands outside of the stream.
    let sequence = delivery.sequence.filter(|_| delivery.triggered_by == Trigger::Auto);
    let sequence = sequence.map(|number| ("x-echo-sequence".to_owned(), number.to_string()));
    let own = secrets.headers.expose().iter().map(|(name, value)| (name.clone(), value.clone()));
    Ok(ours.into_iter().chain(previous).chain(sequence).chain(own).collect())
}
