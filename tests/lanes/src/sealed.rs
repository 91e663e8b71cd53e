//! The sealing keys of a lane, and rows that are sealed as the functions seal them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use echo_shared::id::{EndpointId, ProjectId};
use echo_shared::sealed::{Field, Sealed, SealedField};
use echo_shared::sealing::SealingKeys;
use serde_json::{Value, json};

/// The secret with keys of these ids, the last of which seals.
#[must_use]
pub fn keys(ids: &[&str]) -> String {
    let mut keys = json!({ "current": ids.last() });
    for id in ids {
        keys[*id] = format!("{id}-lane-sealing-key-lane-sealing-key-lane-sealing-key").into();
    }
    keys.to_string()
}

/// The bytes of an attribute.
fn bytes(attribute: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(attribute["B"].as_str()?).ok()
}

/// All sealed values of a row of settings, as DynamoDB writes it: signing secrets, private keys, headers and the secret
/// of `auth`, with their names.
#[must_use]
pub fn values(item: &Value) -> Vec<(String, Sealed)> {
    let secrets = ["signing_secret", "previous_secret"].map(|name| (name.to_owned(), &item[name]));
    let keys =
        [("ed25519", &item["ed25519"]["M"]["private_key"]), ("previous_ed25519", &item["previous_ed25519"])];
    let keys = keys.map(|(name, value)| (name.to_owned(), value));
    let headers = item["headers"]["M"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| (format!("header {name}"), value));
    let auth = item["auth"]["M"].as_object().into_iter().flatten();
    let auth = auth.map(|(name, value)| (format!("auth {name}"), value));
    secrets
        .into_iter()
        .chain(keys)
        .chain(headers)
        .chain(auth)
        .filter_map(|(name, value)| Some((name, bytes(value)?.into())))
        .collect()
}

/// The ids of the keys under which a row's values are sealed.
#[must_use]
pub fn keys_of(item: &Value) -> Vec<String> {
    let key = |(_, sealed): &(String, Sealed)| sealed.parts().map_or("none", |parts| parts.key).to_owned();
    values(item).iter().map(key).collect()
}

/// The signing secret of a row, sealed for another project and endpoint, as an attribute.
///
/// # Panics
/// When the row's own secret does not open.
#[must_use]
#[expect(clippy::expect_used, reason = "the rows are a lane's own")]
pub fn secret_for(item: &Value, secret: &str, project: &str, endpoint: &str) -> Value {
    let keys = SealingKeys::parse(secret).expect("keys");
    let own = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    let place = |project: &str, endpoint: &str, seal: &dyn Fn(&SealedField<'_>) -> Value| {
        let project_id = &ProjectId::parse(project).expect("a project's id");
        let endpoint_id = &EndpointId::parse(endpoint).expect("an endpoint's id");
        seal(&SealedField { project_id, endpoint_id, field: Field::SigningSecret })
    };
    let sealed: Sealed = bytes(&item["signing_secret"]).expect("a sealed secret").into();
    let plain = place(&own("project_id"), &own("id"), &|place| {
        keys.open(place, &sealed).expect("its own secret").into()
    });
    place(project, endpoint, &|place| {
        let again = keys.seal(place, plain.as_str().unwrap_or_default()).expect("sealed");
        json!({ "B": STANDARD.encode(again.bytes()) })
    })
}
