//! The filters of a project's endpoints. A filter's text stands in the endpoint's settings, and its hash in the routing row. A
//! process keeps each filter that it has compiled, so it reads the settings only when it meets a hash for the first time.
//!
//! (Rejected: the filters in the routing row. Fifty of 4 KiB would make each event read 50 units. Rejected: a row for each
//! filter by its hash. Nothing would say when the last endpoint with that filter is gone.)

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use serde::Deserialize;

use super::endpoints::settings_key;
use super::{Store, StoreError, from_item};
use crate::aws::Failure;
use crate::filter::{Filter, FilterHash, FilterText};
use crate::id::EndpointId;
use crate::route::Routes;

/// How many bytes of filters' texts a process keeps. Compiled filters have a few times as many.
const MAX_BYTES: usize = 1024 * 1024;

/// The compiled filters that a process keeps between its invocations.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptFilters(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    filters: HashMap<FilterHash, Arc<Filter>>,
    bytes: usize,
}

impl KeptFilters {
    fn add_to(&self, routes: &mut Routes) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        routes.add_filters(|hash| kept.filters.get(hash).cloned());
    }

    fn keep(&self, filters: &HashMap<FilterHash, Arc<Filter>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (hash, filter) in filters {
            if kept.bytes + filter.bytes() > MAX_BYTES {
                // The filters in use come back with the next events.
                *kept = Kept::default();
            }
            if kept.filters.insert(*hash, Arc::clone(filter)).is_none() {
                kept.bytes += filter.bytes();
            }
        }
    }
}

/// What this module reads of an endpoint's settings.
#[derive(Deserialize)]
struct Filtered {
    filter: Option<FilterText>,
}

impl Store {
    /// Adds the filters of all endpoints. False when one of them is no longer that of its endpoint: then the routes are out of
    /// date too.
    pub(super) async fn add_filters(&self, routes: &mut Routes) -> Result<bool, StoreError> {
        if routes.lacking().is_empty() {
            return Ok(true);
        }
        self.filters.add_to(routes);
        let lacking = routes.lacking();
        for some in lacking.chunks(100) {
            let found = self.read_filters(some).await?;
            routes.add_filters(|hash| found.get(hash).cloned());
            self.filters.keep(&found);
        }
        Ok(routes.lacking().is_empty())
    }

    async fn read_filters(
        &self,
        of: &[(EndpointId, FilterHash)],
    ) -> Result<HashMap<FilterHash, Arc<Filter>>, StoreError> {
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(of.iter().map(|(id, _)| settings_key(id)).collect()))
            .projection_expression("#filter")
            .expression_attribute_names("#filter", "filter")
            .consistent_read(true)
            .build()?;
        let mut found = self.batch_get(HashMap::from([(self.tables.endpoints.clone(), wanted)])).await?;
        let mut filters = HashMap::new();
        for item in found.remove(&self.tables.endpoints).unwrap_or_default() {
            let Filtered { filter: Some(text) } = from_item(item)? else { continue };
            let filter = Filter::compile(&text).map_err(|wrong| StoreError::Broken(Failure::of(wrong)))?;
            filters.insert(filter.hash(), Arc::new(filter));
        }
        Ok(filters)
    }
}
