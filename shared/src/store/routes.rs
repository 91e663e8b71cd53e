//! Routing rows. A project has as many copies of its row as it has shards, so that as many times 3,000 reads a second are
//! possible. All copies change in one transaction, with the endpoint's own rows; a transaction takes a hundred writes
//! (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html), and there are at most 64 copies.
//! Only marks of slowness are written to each copy by itself.
//!
//! The endpoints are a map, and a write names the entry that it changes by its path
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html).

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use futures_util::future::join_all;

use super::transactions::put_new;
use super::{Item, Registry, Store, StoreError, if_condition_held, key, number, row, text, to_item, value};
use crate::endpoint::Endpoint;
use crate::id::{EndpointId, ProjectId};
use crate::project::Project;
use crate::route::{Route, Routes};
use crate::shards::{Shard, Shards};
use crate::time::Timestamp;

/// How often a routing row is read in all, when filters of its endpoints change meanwhile.
const READS: usize = 4;

pub(super) fn row_key(project_id: &ProjectId, copy: Shard) -> Item {
    key([("copy", text(format_args!("{project_id}#{copy}")))])
}

impl Store {
    /// A project's endpoints, as far as the acceptance of an event needs them, from one copy of the row, read strongly
    /// consistently, with all filters. `None` when there is no such project, or when it is being erased.
    ///
    /// # Errors
    /// `Unavailable` also when a filter changes with each read.
    pub async fn routes(&self, project_id: &ProjectId, copy: Shard) -> Result<Option<Routes>, StoreError> {
        let routes = self.routes_or_mark(project_id, copy).await?;
        Ok(routes.filter(|routes| !routes.is_erased))
    }

    /// The same, or the routing row as it is while the project is being erased.
    ///
    /// # Errors
    /// As [`Self::routes`].
    pub async fn routes_or_mark(
        &self,
        project_id: &ProjectId,
        copy: Shard,
    ) -> Result<Option<Routes>, StoreError> {
        for _ in 0..READS {
            let read = read_row(&self.client, &self.tables.routes, project_id, copy).await?;
            let Some(mut routes) = read else { return Ok(None) };
            if routes.is_erased || self.add_filters(&mut routes).await? {
                return Ok(Some(routes));
            }
        }
        Err(StoreError::Unavailable("filters change faster than they are read".into()))
    }

    /// The same without the filters.
    pub(super) async fn routing_row(
        &self,
        project_id: &ProjectId,
        copy: Shard,
    ) -> Result<Option<Routes>, StoreError> {
        living_row(&self.client, &self.tables.routes, project_id, copy).await
    }

    /// Says on each copy that the slow lane serves an endpoint until then.
    ///
    /// # Errors
    /// Some copies may have the mark then. A job in the wrong lane is passed on.
    pub(super) async fn mark_route_slow(
        &self,
        endpoint: &Endpoint,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let marks = endpoint.shards.all().map(|copy| {
            let update = self
                .client
                .update_item()
                .table_name(&self.tables.routes)
                .set_key(Some(row_key(&endpoint.project_id, copy)))
                .update_expression("SET #endpoints.#id.#slow = :until")
                .expression_attribute_names("#slow", "slow")
                .expression_attribute_values(":until", number(until.as_millis()));
            let update: UpdateItemFluentBuilder = update
                .condition_expression("attribute_exists(#endpoints.#id)")
                .expression_attribute_names("#endpoints", "endpoints")
                .expression_attribute_names("#id", endpoint.id.to_string());
            update.send()
        });
        for marked in join_all(marks).await {
            if_condition_held(marked)?;
        }
        Ok(())
    }
}

/// One copy of a project's routing row, also while the project is being erased.
pub(super) async fn read_row(
    client: &Client,
    table: &str,
    project_id: &ProjectId,
    copy: Shard,
) -> Result<Option<Routes>, StoreError> {
    row(client, table, row_key(project_id, copy)).await
}

/// The same, and `None` while the project is being erased.
pub(super) async fn living_row(
    client: &Client,
    table: &str,
    project_id: &ProjectId,
    copy: Shard,
) -> Result<Option<Routes>, StoreError> {
    Ok(read_row(client, table, project_id, copy).await?.filter(|routes| !routes.is_erased))
}

impl Registry {
    /// The writes that make a new project's routing row.
    pub(super) fn new_routes(&self, project: &Project) -> Result<Vec<TransactWriteItem>, StoreError> {
        let none = Routes { account_id: Some(project.account_id), ..Routes::none(project.shards) };
        let routes = to_item(&none)?;
        let put = |copy| {
            let mut item = routes.clone();
            item.extend(row_key(&project.id, copy));
            put_new(&self.tables.routes, "copy", item)
        };
        project.shards.all().map(put).collect()
    }
}

/// The writes that add an endpoint to its project, unless that has `cap` endpoints. `size` of a map is the number of its
/// entries (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html).
pub(super) fn add(table: &str, endpoint: &Endpoint, cap: u32) -> Result<Vec<TransactWriteItem>, StoreError> {
    let entry = value(&Route::to(endpoint))?;
    on_each_copy(table, &endpoint.project_id, endpoint.shards, &endpoint.id, |update| {
        update
            .update_expression("SET #endpoints.#id = :entry")
            .condition_expression(
                "size(#endpoints) < :cap AND attribute_not_exists(#endpoints.#id) AND attribute_not_exists(#erased)",
            )
            .expression_attribute_names("#erased", "erased")
            .expression_attribute_values(":entry", entry.clone())
            .expression_attribute_values(":cap", number(cap))
    })
}

/// The writes that mark a project's routing row as erased. From then on only the erasure still finds the project.
pub(super) fn mark_erased(
    table: &str,
    project_id: &ProjectId,
    shards: Shards,
) -> Result<Vec<TransactWriteItem>, StoreError> {
    let mark = |copy| {
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(row_key(project_id, copy)))
            .update_expression("SET #erased = :true")
            .condition_expression("attribute_exists(#endpoints)")
            .expression_attribute_names("#erased", "erased")
            .expression_attribute_names("#endpoints", "endpoints")
            .expression_attribute_values(":true", value(&true)?)
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    };
    shards.all().map(mark).collect()
}

/// The writes that bring an endpoint's entry up to the endpoint.
pub(super) fn change(table: &str, endpoint: &Endpoint) -> Result<Vec<TransactWriteItem>, StoreError> {
    let entry = value(&Route::to(endpoint))?;
    on_each_copy(table, &endpoint.project_id, endpoint.shards, &endpoint.id, |update| {
        update
            .update_expression("SET #endpoints.#id = :entry")
            .condition_expression("attribute_exists(#endpoints.#id)")
            .expression_attribute_values(":entry", entry.clone())
    })
}

/// The writes that take an endpoint out.
pub(super) fn remove(
    table: &str,
    project_id: &ProjectId,
    shards: Shards,
    id: &EndpointId,
) -> Result<Vec<TransactWriteItem>, StoreError> {
    on_each_copy(table, project_id, shards, id, |update| {
        update.update_expression("REMOVE #endpoints.#id").condition_expression("attribute_exists(#endpoints)")
    })
}

fn on_each_copy(
    table: &str,
    project_id: &ProjectId,
    shards: Shards,
    id: &EndpointId,
    change: impl Fn(UpdateBuilder) -> UpdateBuilder,
) -> Result<Vec<TransactWriteItem>, StoreError> {
    let update = |copy| {
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(row_key(project_id, copy)))
            .expression_attribute_names("#endpoints", "endpoints")
            .expression_attribute_names("#id", id.to_string());
        Ok(TransactWriteItem::builder().update(change(update).build()?).build())
    };
    shards.all().map(update).collect()
}
