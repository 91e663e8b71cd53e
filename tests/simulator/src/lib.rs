//! A world in which the real decision code meets everything that SQS and Lambda may do to it.
//!
//! [`random`] makes a run from a seed, so that a test can repeat it. [`world`] holds the endpoints, the rows and the
//! three lanes, and `row` is one delivery's row. [`queue`] is SQS, `sides` are the queues outside the lanes, and
//! [`pollers`] pass a lane's messages to Lambda. [`steps`] carries decisions out as the delivery function does, and
//! `waits` has a job's short
//! waits and its slots, and `speed` marks how fast endpoints answer. [`chaos`] has the faults that happen now and then,
//! [`broken`] the outages. [`streams`] is a world of its own, of ordered deliveries. [`metrics`] is CloudWatch, and [`alarms`]
//! are the template's alarms.

pub mod alarms;
pub mod broken;
pub mod chaos;
mod lambda;
pub mod metrics;
pub mod pollers;
pub mod queue;
pub mod random;
mod row;
mod sides;
mod speed;
pub mod steps;
pub mod streams;
mod waits;
pub mod world;
