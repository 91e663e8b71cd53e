//! The slots of an endpoint with a rate limit. Its state says up to which time they are taken.

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::endpoint::{Endpoint, EndpointState};
use crate::rate_limit::{LATE_SLOTS_WITHIN, RateLimit, Slots};
use crate::store::{Store, StoreError, from_item, number, row_in_the_way, value};
use crate::time::Timestamp;

/// How often a write is tried. There are two forms of it: one for when later slots are taken already, one for when none is.
/// The row shows when the wrong form was tried, and the right form changes again only when the limit changes.
const ROUNDS: usize = 4;

/// The answer to a request for slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    Slots(Slots),
    /// The endpoint has no limit any more, or is gone.
    Unlimited,
    /// All slots that may be given out now are taken.
    Full,
}

/// A line in which attempts wait for slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// For all attempts; it may grow to any length.
    Usual,
    /// For attempts that missed their slot; it covers only the next second.
    Late,
}

impl Line {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Usual => "slots_taken_until",
            Self::Late => "late_slots_taken_until",
        }
    }

    const fn taken_until(self, row: &EndpointState) -> Option<i64> {
        match self {
            Self::Usual => row.slots_taken_until,
            Self::Late => row.late_slots_taken_until,
        }
    }

    /// The line is full once its slots are taken past this time, in microseconds.
    fn most(self, now: Timestamp) -> i64 {
        match self {
            Self::Usual => i64::MAX,
            Self::Late => now.plus(LATE_SLOTS_WITHIN).as_millis() * 1_000,
        }
    }
}

impl Store {
    /// Takes an endpoint's next `count` slots: from now on, or after the taken ones. An unused slot is lost and does no
    /// other harm.
    pub async fn take_slots(
        &self,
        endpoint: &Endpoint,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        self.take_in(Line::Usual, endpoint, count, now).await
    }

    /// Takes a slot for an attempt that missed its own slot, if the next second has a free one.
    pub async fn take_late_slot(&self, endpoint: &Endpoint, now: Timestamp) -> Result<Taken, StoreError> {
        self.take_in(Line::Late, endpoint, 1, now).await
    }

    async fn take_in(
        &self,
        line: Line,
        endpoint: &Endpoint,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        let (mut limit, mut taken_until) = (endpoint.state.rate_limit, line.taken_until(&endpoint.state));
        for _ in 0..ROUNDS {
            let Some(current) = limit else { return Ok(Taken::Unlimited) };
            if taken_until.is_some_and(|taken| taken > line.most(now)) {
                return Ok(Taken::Full);
            }
            let is_ahead = taken_until.is_some_and(|taken| taken > now.as_millis() * 1_000);
            match self.try_to_take(line, endpoint, current, count, now, is_ahead).await? {
                Tried::Taken(slots) => return Ok(Taken::Slots(slots)),
                Tried::Gone => return Ok(Taken::Unlimited),
                Tried::Otherwise(row) => (limit, taken_until) = (row.rate_limit, line.taken_until(&row)),
            }
        }
        Err(StoreError::Unavailable("an endpoint's slots were taken by others each time".into()))
    }

    /// One write. Its condition is that the limit is still `limit`, and that the line reaches beyond now exactly if
    /// `is_ahead`.
    async fn try_to_take(
        &self,
        line: Line,
        endpoint: &Endpoint,
        limit: RateLimit,
        count: u32,
        now: Timestamp,
        is_ahead: bool,
    ) -> Result<Tried, StoreError> {
        let most = line.most(now);
        let (now, length) = (now.as_millis() * 1_000, limit.length_micros(count));
        let (condition, change, operand) = if is_ahead {
            let condition = "rate_limit = :limit AND #line > :now AND #line <= :most";
            (condition, "SET #line = #line + :operand", length)
        } else {
            let condition = "rate_limit = :limit AND (attribute_not_exists(#line) OR #line <= :now)";
            (condition, "SET #line = :operand", now + length)
        };
        let mut update = self
            .update_state(endpoint)
            .condition_expression(condition)
            .update_expression(change)
            .expression_attribute_names("#line", line.attribute())
            .expression_attribute_values(":limit", value(&limit)?)
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":operand", number(operand))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if is_ahead {
            update = update.expression_attribute_values(":most", number(most));
        }
        let result = update.send().await;
        let error = match result {
            Ok(answer) => {
                let row: EndpointState = from_item(answer.attributes.unwrap_or_default())?;
                let from_micros = line.taken_until(&row).unwrap_or(now + length) - length;
                return Ok(Tried::Taken(Slots { limit, from_micros }));
            }
            Err(error) => error,
        };
        Ok(match row_in_the_way(error)? {
            Some(row) => Tried::Otherwise(Box::new(row)),
            None => Tried::Gone,
        })
    }
}

enum Tried {
    Taken(Slots),
    /// The condition failed, and this is the row.
    Otherwise(Box<EndpointState>),
    Gone,
}
