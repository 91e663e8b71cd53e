//! The work that one filter may do on one event. It is counted in steps, so whether an event matches depends on no clock.
//!
//! Without a bound, a field of an array of 131,000 numbers meets 64 operators, or an array of 30,000 objects 400 alternatives,
//! once for each endpoint. An event is matched without a pause, so all others of its batch would wait for it.

use std::cell::Cell;

use super::MAX_BYTES;

/// The steps that a filter may take on any event. Without arrays and long texts in the event, a filter takes fewer than it has bytes.
const LEAST: usize = 4 * MAX_BYTES;

/// How many bytes of a text are compared or searched in a step, and how many are turned into lower case.
const COMPARED: usize = 16;
const LOWERED: usize = 4;

/// The steps that are left.
#[derive(Debug)]
pub(super) struct Steps(Cell<usize>);

/// The filter has taken all its steps.
#[derive(Debug)]
pub(super) struct TooLong;

impl Steps {
    /// One for each byte of the event, beside the least.
    pub(super) const fn on(event_bytes: usize) -> Self {
        Self(Cell::new(LEAST + event_bytes))
    }

    pub(super) fn take(&self, steps: usize) -> Result<(), TooLong> {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(TooLong)
    }

    /// Takes the steps for bytes that are read through.
    pub(super) fn read(&self, bytes: usize) -> Result<(), TooLong> {
        self.take(1 + bytes / COMPARED)
    }

    /// Takes the steps for a text that is turned into lower case.
    pub(super) fn lower(&self, bytes: usize) -> Result<(), TooLong> {
        self.take(1 + bytes / LOWERED)
    }

    #[cfg(test)]
    pub(super) const fn left(&self) -> usize {
        self.0.get()
    }
}
