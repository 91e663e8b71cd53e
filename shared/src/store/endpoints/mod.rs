//! Endpoints. Each has two rows, one for each part (docs/rows.md), and every read takes both, strongly consistently,
//! because a change counts for each event and attempt after it. A read may fall between the two writes of a transaction, so
//! each later write has a condition.

mod health;
mod patches;
mod resealed;
mod slots;
mod slowness;

pub use self::patches::Patched;
pub use self::resealed::Scanned;
pub use self::slots::Taken;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};

use crate::audit::{Action, AuditEntry, Author};
use crate::ed25519_keys::RotatedKeys;
use crate::endpoint::{Endpoint, ROTATION_OVERLAP};
use crate::event_name::EventName;
use crate::id::{EndpointId, ProjectId};
use crate::sealed::Sealed;
use crate::shards::Shard;
use crate::store::batch_reads::keys;
use crate::store::transactions::{Created, any_condition_failed, first_condition_failed, transact};
use crate::store::update::Changes;
use crate::store::{
    Item, Registry, Store, StoreError, audit, erasure, from_item, if_condition_held, key, number, numbers,
    routes, text, to_item, value,
};
use crate::time::Timestamp;

/// The rows that one batch read takes, two for each endpoint
/// (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
const ENDPOINTS_AT_ONCE: usize = 50;

/// One of an endpoint's two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The fields that its owner changes.
    Settings,
    /// The fields that deliveries change.
    State,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::State => "state",
        }
    }

    fn key(self, id: &EndpointId) -> Item {
        key([("id", text(id)), ("part", text(self.name()))])
    }

    fn row(self, endpoint: &Endpoint) -> Result<Item, StoreError> {
        let mut row = match self {
            Self::Settings => to_item(endpoint)?,
            Self::State => {
                let mut state = to_item(&endpoint.state)?;
                state.insert("url_since".to_owned(), number(endpoint.url_since.as_millis()));
                state
            }
        };
        row.extend(self.key(&endpoint.id));
        Ok(row)
    }

    /// A write of the part in a transaction.
    fn update(self, table: &str, id: &EndpointId) -> UpdateBuilder {
        Update::builder().table_name(table).set_key(Some(self.key(id)))
    }
}

/// The keys of both parts.
pub(super) fn both_keys(id: &EndpointId) -> [Item; 2] {
    [Part::Settings.key(id), Part::State.key(id)]
}

/// The key of the settings alone.
pub(super) fn settings_key(id: &EndpointId) -> Item {
    Part::Settings.key(id)
}

/// The endpoints of which both parts are here.
pub(super) fn of_parts(items: Vec<Item>) -> Result<HashMap<EndpointId, Endpoint>, StoreError> {
    let part = |item: &Item, part: Part| item.get("part").is_some_and(|name| *name == text(part.name()));
    let (states, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| part(item, Part::State));
    let id = |item: &Item| item.get("id").and_then(|id| id.as_s().ok()).cloned();
    let mut states: HashMap<_, _> = states.into_iter().map(|item| (id(&item), item)).collect();
    let mut endpoints = HashMap::new();
    for settings in rest {
        if let Some(state) = states.remove(&id(&settings)) {
            let endpoint = Endpoint { state: from_item(state)?, ..from_item(settings)? };
            endpoints.insert(endpoint.id, endpoint);
        }
    }
    Ok(endpoints)
}

/// An endpoint still has the secret that was read, and no later time.
const SAME_SECRET: &str = "signing_secret = :old AND #updated_at < :updated_at";

/// How the rotation of a secret ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    Done,
    /// The row has another secret, the same one under another key, or a later time.
    Overtaken(Box<Endpoint>),
    Gone,
}

/// A rotation: both secrets, sealed for their places, and the keys of an endpoint that has a key pair.
#[derive(Debug, Clone)]
pub struct Rotation {
    pub signing_secret: Sealed,
    pub previous_secret: Sealed,
    pub ed25519: Option<RotatedKeys>,
}

impl Registry {
    /// Adds an endpoint, unless its project has `cap` endpoints already.
    pub async fn create_endpoint(
        &self,
        endpoint: &Endpoint,
        cap: u32,
        entry: &AuditEntry,
    ) -> Result<Created, StoreError> {
        let mut writes = routes::add(&self.tables.routes, endpoint, cap)?;
        for part in [Part::Settings, Part::State] {
            let put = Put::builder()
                .table_name(&self.tables.endpoints)
                .set_item(Some(part.row(endpoint)?))
                .condition_expression("attribute_not_exists(id)")
                .build()?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        writes.push(audit::written(&self.tables.audit, entry)?);
        match transact(&self.client, writes).await {
            Ok(()) => Ok(Created::Done),
            Err(error) if first_condition_failed(&error) => {
                let (table, project_id) = (&self.tables.routes, &endpoint.project_id);
                let project = routes::living_row(&self.client, table, project_id, Shard::FIRST).await?;
                Ok(if project.is_some() { Created::CapReached } else { Created::OwnerGone })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an endpoint. Its deliveries end at their next wake-up. A row stays for the erasure of its project, until its last
    /// delivery has expired. That row has the buckets that were read: false when the endpoint has had others since, or is gone.
    pub async fn delete_endpoint(
        &self,
        endpoint: &Endpoint,
        kept_for: Duration,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let Endpoint { id, project_id, shards, buckets_ever, .. } = endpoint;
        let delete =
            |part: Part| Delete::builder().table_name(&self.tables.endpoints).set_key(Some(part.key(id)));
        let settings = delete(Part::Settings)
            .condition_expression("project_id = :project AND buckets_ever = :buckets")
            .expression_attribute_values(":project", text(project_id))
            .expression_attribute_values(":buckets", numbers(buckets_ever))
            .build()?;
        let state = delete(Part::State).build()?;
        let mut writes =
            [settings, state].map(|delete| TransactWriteItem::builder().delete(delete).build()).to_vec();
        writes.push(erasure::former(&self.tables.replays, endpoint, kept_for, now)?);
        writes.extend(routes::remove(&self.tables.routes, project_id, *shards, id)?);
        writes.push(audit::written(&self.tables.audit, entry)?);
        match transact(&self.client, writes).await {
            Ok(()) => Ok(true),
            Err(error) if first_condition_failed(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Store {
    /// A project's endpoints, oldest first; `None` when there is no such project. An endpoint that is deleted meanwhile is
    /// left out.
    pub async fn endpoints(
        &self,
        project_id: &ProjectId,
        copy: Shard,
    ) -> Result<Option<Vec<Endpoint>>, StoreError> {
        let Some(routes) = self.routing_row(project_id, copy).await? else { return Ok(None) };
        let ids: Vec<EndpointId> = routes.endpoints.into_keys().collect();
        let mut endpoints = Vec::with_capacity(ids.len());
        for ids in ids.chunks(ENDPOINTS_AT_ONCE) {
            let mut found = self.endpoints_by_id(ids).await?;
            endpoints.extend(ids.iter().filter_map(|id| found.remove(id)));
        }
        Ok(Some(endpoints))
    }

    /// One endpoint of a project.
    pub async fn endpoint(
        &self,
        project_id: &ProjectId,
        id: &EndpointId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let endpoint = self.endpoints_by_id(&[*id]).await?.remove(id);
        Ok(endpoint.filter(|endpoint| endpoint.project_id == *project_id))
    }

    pub(super) async fn endpoints_by_id(
        &self,
        ids: &[EndpointId],
    ) -> Result<HashMap<EndpointId, Endpoint>, StoreError> {
        let wanted = keys(ids.iter().flat_map(both_keys))?;
        let mut found = self.batch_get(HashMap::from([(self.tables.endpoints.clone(), wanted)])).await?;
        of_parts(found.remove(&self.tables.endpoints).unwrap_or_default())
    }

    /// Carries out a transaction; false when a condition does not hold.
    pub(in crate::store) async fn write_together(
        &self,
        writes: Vec<TransactWriteItem>,
    ) -> Result<bool, StoreError> {
        match transact(&self.client, writes).await {
            Ok(()) => Ok(true),
            Err(error) if any_condition_failed(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Records that an endpoint gets an event of a name to which it was perhaps never subscribed. The endpoint's list of
    /// deliveries then looks into the partition of that name too. False when the endpoint is gone.
    pub async fn note_bucket_of(&self, endpoint: &Endpoint, name: &EventName) -> Result<bool, StoreError> {
        if endpoint.has_bucket_of(name) {
            return Ok(true);
        }
        let update = self
            .update_settings(endpoint)
            .update_expression("ADD buckets_ever :buckets")
            .expression_attribute_values(":buckets", numbers(&[name.bucket()].into()));
        held(update).await
    }

    /// Gives an endpoint, as it was read, a new secret and keeps the previous one for the overlap.
    ///
    /// A rotation that happened twice would remove the secret that the receiver still uses. So a repeated write whose first
    /// answer was lost finds its own secret and counts as done, and a late write finds another secret and does nothing.
    pub async fn rotate_secret(
        &self,
        endpoint: &Endpoint,
        to: &Rotation,
        author: &Author,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        let now = endpoint.changed_at(now);
        let entry = author.of_endpoint(endpoint, Action::EndpointSecretRotated, now);
        let mut changes = Changes::default()
            .set("previous_secret", value(&to.previous_secret)?)
            .set("previous_secret_until", number(now.plus(ROTATION_OVERLAP).as_millis()))
            .set("signing_secret", value(&to.signing_secret)?)
            .set("updated_at", number(now.as_millis()));
        let mut update = Part::Settings
            .update(&self.tables.endpoints, &endpoint.id)
            .expression_attribute_values(":old", value(&endpoint.signing_secret)?)
            .expression_attribute_names("#ed25519", "ed25519");
        // Its owner may have asked for a key pair since, or have given it up.
        if let (Some(before), Some(keys)) = (&endpoint.ed25519, &to.ed25519) {
            changes =
                changes.set("ed25519", value(&keys.present)?).set("previous_ed25519", value(&keys.previous)?);
            update = update
                .condition_expression(format!("{SAME_SECRET} AND #ed25519.public_key = :old_key"))
                .expression_attribute_values(":old_key", text(&before.public_key));
        } else {
            update = update.condition_expression(format!("{SAME_SECRET} AND attribute_not_exists(#ed25519)"));
        }
        let writes =
            vec![write(changes.of_transaction(update))?, audit::written(&self.tables.audit, &entry)?];
        if self.write_together(writes).await? {
            return Ok(Rotated::Done);
        }
        Ok(match self.endpoint(&endpoint.project_id, &endpoint.id).await? {
            None => Rotated::Gone,
            Some(row) if row.signing_secret == to.signing_secret => Rotated::Done,
            Some(row) => Rotated::Overtaken(Box::new(row)),
        })
    }

    /// Notes up to which time an endpoint's deliveries are settled, unless the row says more already.
    pub(super) async fn note_settled(&self, endpoint: &Endpoint, to: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update_state(endpoint)
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(settled_to) OR settled_to < :to)",
            )
            .update_expression("SET settled_to = :to")
            .expression_attribute_values(":to", number(to.as_millis()));
        held(update).await?;
        Ok(())
    }

    /// An update of the settings, which must exist.
    fn update_settings(&self, endpoint: &Endpoint) -> UpdateItemFluentBuilder {
        self.update_part(Part::Settings, endpoint)
    }

    /// An update of the state, which must exist.
    fn update_state(&self, endpoint: &Endpoint) -> UpdateItemFluentBuilder {
        self.update_part(Part::State, endpoint)
    }

    fn update_part(&self, part: Part, endpoint: &Endpoint) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.tables.endpoints)
            .set_key(Some(part.key(&endpoint.id)))
            .condition_expression("attribute_exists(id)")
    }
}

fn write(update: UpdateBuilder) -> Result<TransactWriteItem, StoreError> {
    Ok(TransactWriteItem::builder().update(update.build()?).build())
}

/// Carries out an update; false when its condition does not hold.
async fn held(update: UpdateItemFluentBuilder) -> Result<bool, StoreError> {
    Ok(if_condition_held(update.send().await)?.is_some())
}
