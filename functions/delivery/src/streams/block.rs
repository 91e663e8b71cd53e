//! A stream's block as its rows show it.

use std::collections::HashMap;

use echo_shared::decision::stand_back;
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::id::DeliveryId;
use echo_shared::job::StreamJob;
use echo_shared::store::{Store, StoreError};
use echo_shared::stream::{Block, Entry, Inside, LookingJob, Seen, StreamKey, inside};
use echo_shared::time::Timestamp;

use crate::App;
use crate::message::Message;

/// The delivery that a stream's job could not get past; none if the job did not have the stream.
///
/// # Errors
/// When DynamoDB did not answer.
pub(crate) async fn stuck_at(
    app: &App,
    message: &Message,
    job: &StreamJob,
) -> Result<Option<Entry>, StoreError> {
    let (stream, store) = (job.key(), &app.store);
    let Some(block) = store.stream_head(&stream).await?.and_then(|head| head.block) else { return Ok(None) };
    let (entries, rows) = within(store, &stream, &block).await?;
    let now = Timestamp::now();
    let seen: Vec<Seen> = entries_of(&block, &entries)
        .iter()
        .map(|entry| Seen::of(rows.get(&entry.delivery_id), now))
        .collect();
    let looking = LookingJob { message: &message.id, after: job.after };
    // The job is over, so nobody has to wait for it.
    let timeout = app.settings.request_timeout;
    let act = inside(&block, &entries, &seen, looking, now.plus(stand_back(timeout)), timeout);
    Ok(match act {
        Inside::TakeOver { index, .. } | Inside::StandIn { index } => entries.get(index as usize).copied(),
        Inside::Leave | Inside::Done { .. } | Inside::Wait { .. } => None,
    })
}

/// The entries of a block's chunk, and the rows of the block's deliveries.
pub(super) async fn within(
    store: &Store,
    stream: &StreamKey,
    block: &Block,
) -> Result<(Vec<Entry>, HashMap<DeliveryId, Delivery>), StoreError> {
    let chunk = store.stream_chunk(stream, block.chunk).await?.filter(|chunk| chunk.made == block.made);
    let entries = chunk.map(|chunk| chunk.entries).unwrap_or_default();
    let own = entries_of(block, &entries);
    let ids: Vec<_> = own.iter().map(|entry| (stream.endpoint_id, entry.delivery_id)).collect();
    let rows = store.deliveries_by_id(&ids).await?;
    Ok((entries, rows))
}

pub(super) fn entries_of<'a>(block: &Block, entries: &'a [Entry]) -> &'a [Entry] {
    let to = (block.to as usize).min(entries.len());
    &entries[(block.from as usize).min(to)..to]
}

pub(super) fn is_slow(endpoint: Option<&Endpoint>) -> bool {
    endpoint.is_some_and(|endpoint| endpoint.is_slow(Timestamp::now()))
}
