//! Layers that every request passes, and parts of it that handlers read: the gateway's quirks, the log line, the mark
//! of our own deliveries, the body, the path and the query.

pub mod body;
pub mod gateway;
pub mod loops;
pub mod observe;
pub mod paging;
pub mod request;
