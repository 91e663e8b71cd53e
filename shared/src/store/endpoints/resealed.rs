//! The settings of all endpoints of all projects, and their sealed values under another key: the sweep's two calls.

use super::Part;
use crate::endpoint::Endpoint;
use crate::id::EndpointId;
use crate::sealing::Resealed;
use crate::store::update::Changes;
use crate::store::{Advanced, Item, Store, StoreError, from_item, if_condition_held, number, text, value};

/// Some of the endpoints, in the table's own order.
#[derive(Debug, Default)]
pub struct Scanned {
    pub endpoints: Vec<Endpoint>,
    /// The ids of rows that cannot be read.
    pub unreadable: Vec<String>,
    /// The place to read on from; `None` at the table's end.
    pub next: Option<EndpointId>,
}

impl Store {
    /// The endpoints in the next `rows` rows after `after`, read strongly consistently.
    pub async fn next_endpoints(&self, after: Option<&EndpointId>, rows: i32) -> Result<Scanned, StoreError> {
        // The state is the later one of an endpoint's two rows. A key to start from need not exist.
        let start = after.map(|id| Part::State.key(id));
        let answer = self
            .client
            .scan()
            .table_name(&self.tables.endpoints)
            .set_exclusive_start_key(start)
            .limit(rows)
            .consistent_read(true)
            .filter_expression("part = :settings")
            .expression_attribute_values(":settings", text(Part::Settings.name()))
            .send()
            .await?;
        let mut scanned = Scanned::default();
        for item in answer.items.unwrap_or_default() {
            let id = id_of(&item);
            match from_item(item) {
                Ok(endpoint) => scanned.endpoints.push(endpoint),
                Err(_) => scanned.unreadable.push(id),
            }
        }
        if let Some(last) = answer.last_evaluated_key {
            let id = EndpointId::parse(&id_of(&last))
                .map_err(|_| StoreError::Broken("not an endpoint's key".into()))?;
            scanned.next = Some(id);
        }
        Ok(scanned)
    }

    /// Writes an endpoint's values as they are sealed now, if its settings are still those that were read. Its owner
    /// sees no change.
    pub async fn reseal(&self, endpoint: &Endpoint, to: &Resealed) -> Result<Advanced, StoreError> {
        let headers = (!to.headers.is_empty()).then(|| value(&to.headers)).transpose()?;
        let mut changes = Changes::default()
            .set("signing_secret", value(&to.signing_secret)?)
            .set_or_remove("previous_secret", to.previous_secret.as_ref().map(value).transpose()?)
            .set_or_remove("ed25519", to.ed25519.as_ref().map(value).transpose()?)
            .set_or_remove("previous_ed25519", to.previous_ed25519.as_ref().map(value).transpose()?)
            .set_or_remove("headers", headers)
            .set_or_remove("auth", to.auth.as_ref().map(value).transpose()?);
        if to.previous_secret.is_none() {
            changes = changes.remove(&["previous_secret_until"]);
        }
        let update = self
            .update_settings(endpoint)
            .condition_expression("#updated_at = :read AND signing_secret = :before")
            .expression_attribute_names("#updated_at", "updated_at")
            .expression_attribute_values(":read", number(endpoint.updated_at.as_millis()))
            .expression_attribute_values(":before", value(&endpoint.signing_secret)?);
        let done = if_condition_held(changes.of_item(update).send().await)?;
        Ok(if done.is_some() { Advanced::Done } else { Advanced::Overtaken })
    }
}

fn id_of(item: &Item) -> String {
    item.get("id").and_then(|id| id.as_s().ok()).cloned().unwrap_or_default()
}
