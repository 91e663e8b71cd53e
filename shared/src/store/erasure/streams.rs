//! The list of an endpoint's streams, by which an erasure finds them. A stream outlives its events by far, and the name of a
//! customer's stream follows from the customer's id, which no row of the endpoint holds.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::project::{PAGE, of_partition};
use crate::id::EndpointId;
use crate::store::deletions::delete_all;
use crate::store::ranges::query_page;
use crate::store::{Item, Store, StoreError, from_item, key, text, to_item};
use crate::stream::{StreamKey, StreamTag};

/// A customer's stream, in the table of replays.
#[derive(Debug, Serialize, Deserialize)]
struct ListedStream {
    /// `streams#<endpoint>`
    endpoint_id: String,
    id: StreamTag,
    expires_at: i64,
}

fn list_of(endpoint_id: &EndpointId) -> String {
    format!("streams#{endpoint_id}")
}

fn listed_key(stream: &StreamKey) -> Item {
    key([("endpoint_id", text(list_of(&stream.endpoint_id))), ("id", text(String::from(stream.tag)))])
}

impl Store {
    /// Lists a stream, so that the erasure of its project finds it.
    pub async fn list_stream(&self, stream: &StreamKey, expires_at: i64) -> Result<(), StoreError> {
        let listed = ListedStream { endpoint_id: list_of(&stream.endpoint_id), id: stream.tag, expires_at };
        let put = self.client.put_item().table_name(&self.tables.replays).set_item(Some(to_item(&listed)?));
        put.send().await?;
        Ok(())
    }

    /// Deletes the streams of an endpoint that is deleted, each before the row that lists it. True when none is left.
    pub(super) async fn erase_listed_streams(
        &self,
        id: &EndpointId,
        end: Instant,
    ) -> Result<bool, StoreError> {
        for stream in StreamKey::named_by_endpoint(*id) {
            self.erase_stream(&stream).await?;
        }
        loop {
            let query = of_partition(&self.tables.replays, "endpoint_id", &list_of(id), self);
            let (items, next) = query_page(query, PAGE, None).await?;
            for item in items {
                if Instant::now() >= end {
                    return Ok(false);
                }
                let listed: ListedStream = from_item(item)?;
                let stream = StreamKey { endpoint_id: *id, tag: listed.id };
                self.erase_stream(&stream).await?;
                delete_all(&self.client, &self.tables.replays, vec![listed_key(&stream)]).await?;
            }
            if next.is_none() {
                return Ok(true);
            }
        }
    }

    pub(super) async fn erase_stream(&self, stream: &StreamKey) -> Result<(), StoreError> {
        self.erase_partition(&self.tables.streams, ["stream", "part"], &stream.to_string()).await
    }
}
