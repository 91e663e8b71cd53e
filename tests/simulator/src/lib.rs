//! A world in which the real decision code meets everything SQS and Lambda may do to it.
//!
//! [`random`] makes a seed into a life that can be lived again; [`queue`] is SQS; [`world`] is the endpoints, the rows
//! and the three lanes; [`pollers`] hand a lane's messages to Lambda and `sides` are the other queues; [`steps`] carries out
//! decisions as the delivery function does, and `speed` notes how endpoints answer; [`chaos`] has the faults that happen now and then, [`broken`] the outages;
//! [`metrics`] is CloudWatch, and [`alarms`] are the template's.

pub mod alarms;
pub mod broken;
pub mod chaos;
mod lambda;
pub mod metrics;
pub mod pollers;
pub mod queue;
pub mod random;
mod sides;
mod speed;
pub mod steps;
pub mod world;
