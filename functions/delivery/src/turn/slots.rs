//! Slots at endpoints with a rate limit. A batch takes the slots of all its jobs to one endpoint in one write.

use std::collections::HashMap;
use std::sync::Arc;

use echo_shared::decision::{Lane, Wake, on_wake};
use echo_shared::endpoint::Endpoint;
use echo_shared::id::EndpointId;
use echo_shared::job::DeliveryJob;
use echo_shared::rate_limit::{Need, Slot};
use echo_shared::store::{Loaded, Store, StoreError, Taken};
use echo_shared::time::Timestamp;
use tokio::sync::OnceCell;

use crate::turn::rows::Rows;

/// The slots that a batch takes at one endpoint. The first of its jobs that needs one takes them for all.
#[derive(Debug)]
struct Booking {
    count: u32,
    taken: OnceCell<Result<Taken, StoreError>>,
}

/// One job's number in a booking.
#[derive(Debug)]
pub(crate) struct Reservation {
    booking: Arc<Booking>,
    number: u32,
}

impl Reservation {
    /// The slots of all jobs of the booking. The first job to ask takes them.
    ///
    /// # Errors
    /// When DynamoDB did not do it; then no other job of the booking asks again.
    async fn slots(&self, store: &Store, endpoint: &Endpoint, now: Timestamp) -> Result<Taken, StoreError> {
        let take = || store.take_slots(endpoint, self.booking.count, now);
        self.booking.taken.get_or_init(take).await.clone()
    }
}

/// Takes the slot that an attempt needs, if it needs one and the endpoint still has a limit.
///
/// # Errors
/// When DynamoDB did not take it.
pub(crate) async fn take(
    store: &Store,
    endpoint: &Endpoint,
    need: Need,
    reservation: Option<&Reservation>,
) -> Result<Option<Slot>, StoreError> {
    let now = Timestamp::now();
    if need == Need::Nothing {
        return Ok(None);
    }
    if need == Need::LateSlot {
        match store.take_late_slot(endpoint, now).await? {
            Taken::Slots(slots) => return Ok(Some(slots.nth(0))),
            Taken::Unlimited => return Ok(None),
            Taken::Full => {}
        }
    }
    let (taken, number) = match reservation {
        Some(reservation) => (reservation.slots(store, endpoint, now).await?, reservation.number),
        None => (store.take_slots(endpoint, 1, now).await?, 0),
    };
    Ok(match taken {
        Taken::Slots(slots) => Some(slots.nth(number)),
        Taken::Unlimited | Taken::Full => None,
    })
}

/// A reservation for each job that is about to take a slot in the line. A job that must first claim the attempt gets
/// none, because it may be overtaken; after the claim it takes a slot by itself.
pub(crate) fn reservations<'a>(
    jobs: impl Iterator<Item = (&'a DeliveryJob, Lane)>,
    loaded: &Loaded,
    now: Timestamp,
    request_timeout: std::time::Duration,
) -> Vec<Option<Reservation>> {
    let mut counts: HashMap<EndpointId, u32> = HashMap::new();
    let numbers: Vec<Option<(EndpointId, u32)>> = jobs
        .map(|(job, lane)| {
            let rows = Rows::of(job, loaded);
            let wake =
                on_wake(rows.delivery.as_ref()?, rows.endpoint.as_ref(), job, lane, now, request_timeout);
            let Wake::Attempt { claim: false, need: Need::Slot, .. } = wake else { return None };
            let count = counts.entry(job.endpoint_id).or_default();
            *count += 1;
            Some((job.endpoint_id, *count - 1))
        })
        .collect();
    let booking = |(endpoint_id, count)| (endpoint_id, Arc::new(Booking { count, taken: OnceCell::new() }));
    let bookings: HashMap<EndpointId, Arc<Booking>> = counts.into_iter().map(booking).collect();
    let reservation = |(endpoint_id, number): (EndpointId, u32)| {
        Some(Reservation { booking: Arc::clone(bookings.get(&endpoint_id)?), number })
    };
    numbers.into_iter().map(|number| number.and_then(reservation)).collect()
}
