//! A world in which the real decision code meets everything SQS and Lambda may do to it.
//!
//! [`random`] makes a seed into a life that can be lived again; [`queue`] is SQS; [`world`] is the endpoints, the rows
//! and the two lanes; [`steps`] carries out decisions as the delivery function does; [`chaos`] says what goes wrong.

pub mod chaos;
pub mod queue;
pub mod random;
pub mod steps;
pub mod world;
