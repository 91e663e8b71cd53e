//! Changes of an endpoint by its owner: of the settings alone, or of all rows that say the same, in one transaction.

use std::collections::BTreeSet;

use super::{Part, write};
use crate::audit::{AuditEntry, Author};
use crate::endpoint::{Endpoint, EndpointStatus};
use crate::endpoint_patch::EndpointPatch;
use crate::store::update::Changes;
use crate::store::{Store, StoreError, audit, if_condition_held, number, numbers, routes, text, value};
use crate::subscription::Subscription;
use crate::time::Timestamp;

/// How a change of an endpoint ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    Done(Box<Endpoint>),
    /// Another change came first, and the endpoint is this now.
    Overtaken(Box<Endpoint>),
    Gone,
}

impl Store {
    /// Changes an endpoint, if its settings are still those that were read. A write can arrive late, when its caller has
    /// given up and has made another change: then it changes nothing. A repeated write whose first answer was lost finds its
    /// own change and counts as done.
    pub async fn patch_endpoint(
        &self,
        endpoint: &Endpoint,
        patch: &EndpointPatch,
        author: &Author,
        now: Timestamp,
    ) -> Result<Patched, StoreError> {
        let now = endpoint.changed_at(now);
        let after = patch.apply(endpoint, now);
        let entry = author.of_change(endpoint, &after, now);
        if self.write_patch(endpoint, patch, &after, entry.as_ref()).await? {
            return Ok(Patched::Done(Box::new(after)));
        }
        Ok(match self.endpoint(&endpoint.project_id, &endpoint.id).await? {
            None => Patched::Gone,
            Some(latest) if latest.updated_at == now && patch.is_in(&latest) => {
                Patched::Done(Box::new(latest))
            }
            Some(latest) => Patched::Overtaken(Box::new(latest)),
        })
    }

    /// Writes the settings alone where nothing has another value, or all rows that change in one transaction, with
    /// their entry. False when a condition does not hold.
    async fn write_patch(
        &self,
        before: &Endpoint,
        patch: &EndpointPatch,
        after: &Endpoint,
        entry: Option<&AuditEntry>,
    ) -> Result<bool, StoreError> {
        const AS_READ: &str = "#updated_at = :read";
        let read = number(before.updated_at.as_millis());
        let settings = settings_changes(patch, after)?;
        if !patch.touches_state(before) && !patch.touches_route() && entry.is_none() {
            let update = self
                .update_settings(after)
                .condition_expression(AS_READ)
                .expression_attribute_values(":read", read);
            return Ok(if_condition_held(settings.of_item(update).send().await)?.is_some());
        }
        let table = &self.tables.endpoints;
        let update = Part::Settings
            .update(table, &after.id)
            .condition_expression(AS_READ)
            .expression_attribute_values(":read", read);
        let mut writes = vec![write(settings.of_transaction(update))?];
        if patch.touches_state(before) {
            let update = Part::State.update(table, &after.id).condition_expression("attribute_exists(id)");
            writes.push(write(state_changes(before, patch, after)?.of_transaction(update))?);
        }
        if patch.touches_route() {
            writes.extend(routes::change(&self.tables.routes, after)?);
        }
        if let Some(entry) = entry {
            writes.push(audit::written(&self.tables.audit, entry)?);
        }
        self.write_together(writes).await
    }
}

/// The changes to the settings that a patch makes.
fn settings_changes(patch: &EndpointPatch, after: &Endpoint) -> Result<Changes, StoreError> {
    let EndpointPatch {
        url,
        events,
        status,
        description,
        headers,
        auth,
        rate_limit_per_second: _,
        ordered,
        filter,
        ed25519,
    } = patch;
    let mut changes = Changes::default().set("updated_at", number(after.updated_at.as_millis()));
    if after.previous_secret.is_none() {
        changes = changes.remove(&["previous_secret", "previous_secret_until"]);
    }
    if after.previous_ed25519.is_none() {
        changes = changes.remove(&["previous_ed25519"]);
    }
    if url.is_some() {
        changes = changes.set("url", text(&after.url)).set("url_since", number(after.url_since.as_millis()));
    }
    if let Some(events) = events {
        // The row may have got another bucket since it was read.
        let buckets: BTreeSet<u8> = events.iter().map(Subscription::bucket).collect();
        changes = changes.set("events", value(events)?).add("buckets_ever", numbers(&buckets));
    }
    if let Some(status) = status {
        let reason = after.disabled_reason.as_ref().map(value).transpose()?;
        let at = after.disabled_at.map(|at| number(at.as_millis()));
        changes = changes
            .set("status", value(status)?)
            .set_or_remove("disabled_reason", reason)
            .set_or_remove("disabled_at", at);
    }
    if description.is_some() {
        changes = changes.set_or_remove("description", after.description.as_ref().map(text));
    }
    if headers.is_some() {
        let kept = (!after.headers.is_empty()).then(|| value(&after.headers)).transpose()?;
        changes = changes.set_or_remove("headers", kept);
    }
    if auth.is_some() {
        changes = changes.set_or_remove("auth", after.auth.as_ref().map(value).transpose()?);
    }
    if ordered.is_some() {
        changes = changes.set_or_remove("ordered", after.ordered.map(|order| text(order.as_str())));
    }
    if filter.is_some() {
        changes = changes.set_or_remove("filter", after.filter.as_ref().map(|filter| text(filter.as_str())));
    }
    if ed25519.is_some() {
        changes = changes.set_or_remove("ed25519", after.ed25519.as_ref().map(value).transpose()?);
    }
    Ok(changes)
}

/// The changes to the state that a patch makes. Deliveries change the state meanwhile, so the rest of it stays.
fn state_changes(before: &Endpoint, patch: &EndpointPatch, after: &Endpoint) -> Result<Changes, StoreError> {
    let mut changes = Changes::default().set("url_since", number(after.url_since.as_millis()));
    if patch.starts_afresh() {
        changes = changes.remove(&["slow_until", "answered_at", "hanging_since", "hanging_tried_at"]);
    }
    if patch.status == Some(EndpointStatus::Active) {
        changes = changes.set("consecutive_failures", number(0)).remove(&["first_failure_at", "failing"]);
    }
    if patch.new_rate_limit(before).is_some() {
        changes = changes
            .remove(&["slots_taken_until", "late_slots_taken_until"])
            .set_or_remove("rate_limit", after.state.rate_limit.map(|limit| value(&limit)).transpose()?);
    }
    Ok(changes)
}
