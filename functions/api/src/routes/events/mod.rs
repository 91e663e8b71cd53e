//! `/v1/projects/{projectId}/events`: events in, and the log of them (contract §4).

pub mod batch;
pub mod body;
mod create;
mod erase;
mod log;
pub mod page;
pub mod routes_ahead;
mod sample;
mod test_event;

pub use self::create::{AcceptedBody, create};
pub use self::erase::erase_payload;
pub use self::log::{find, list, show};
pub use self::test_event::send_test;
