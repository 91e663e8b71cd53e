//! A world in which the real decision code meets everything SQS and Lambda may do to it.
//!
//! [`random`] makes a seed into a life that can be lived again. [`world`] holds the endpoints, the rows and the three lanes,
//! and `row` is one delivery's row. [`queue`] is SQS, `sides` are the queues beside the lanes, and [`pollers`] hand a lane's
//! messages to Lambda. [`steps`] carries decisions out as the delivery function does, and `speed` marks how fast endpoints
//! answer. [`chaos`] has the faults that happen now and then, [`broken`] the outages. [`metrics`] is CloudWatch, and
//! [`alarms`] are the template's.

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
pub mod world;
