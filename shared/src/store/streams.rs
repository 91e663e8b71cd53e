//! The streams of ordered endpoints (docs/ordering.md). A stream has a row for its head and one for each chunk.
//!
//! A chunk is appended to only while it is not full, and a full one stays full. So an appender that knows an early
//! chunk goes on from there to the one that has room, and no place is given twice or out of order.
//!
//! `contains` finds an element of a list
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html). An append asks for each of
//! up to 24 new deliveries, with 76 of the 300 operators that an expression may have
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/example_dynamodb_Scenario_ExpressionOperatorCounting_section.html). Rows expire at
//! any time after their `expires_at`, until they are written again
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html). So a chunk that expired and was made
//! again tells itself by `made`.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::{
    Advanced, Item, Store, StoreError, from_item, if_condition_held, key, number, row_in_the_way, text, value,
};
use crate::stream::{Block, Chunk, Entry, FULL, Head, StreamKey, without_place};

/// The part of the head. The parts of chunks are their numbers.
const HEAD: i64 = -1;

/// The head tells the last chunk or one shortly before it. An append that passes full chunks notes how far it came after each
/// stretch of so many rounds, because its caller may not wait for its end.
const STRETCH: u64 = 16;

/// After so many stretches an append fails, and its repeat goes on from there.
const STRETCHES: u64 = 4;

fn row_key(stream: &StreamKey, part: i64) -> Item {
    key([("stream", text(stream)), ("part", number(part))])
}

fn part_of(chunk: u64) -> i64 {
    i64::try_from(chunk).unwrap_or(i64::MAX)
}

fn entries(of: &[Entry]) -> Result<AttributeValue, StoreError> {
    Ok(AttributeValue::L(of.iter().map(value).collect::<Result<_, _>>()?))
}

/// How one append ended.
enum Appended {
    /// The chunk has so many entries now.
    Done(usize),
    /// Nothing was written: the chunk is full, or one of the new entries is among its own, which these are.
    Refused(Vec<Entry>),
}

impl Store {
    /// A stream's head, read strongly consistently.
    pub async fn stream_head(&self, stream: &StreamKey) -> Result<Option<Head>, StoreError> {
        super::row(&self.client, &self.tables.streams, row_key(stream, HEAD)).await
    }

    /// A chunk of a stream, read strongly consistently.
    pub async fn stream_chunk(&self, stream: &StreamKey, chunk: u64) -> Result<Option<Chunk>, StoreError> {
        super::row(&self.client, &self.tables.streams, row_key(stream, part_of(chunk))).await
    }

    /// Appends deliveries to a stream in their order. Those that stand in a chunk on the way, because an acceptance or a write
    /// is repeated, keep their places. A delivery that is appended twice all the same is passed over the second time.
    ///
    /// # Errors
    /// After an error some of them may have their places.
    pub async fn append(&self, stream: &StreamKey, new: &[Entry], expires_at: i64) -> Result<(), StoreError> {
        // The tail may be an early chunk, so half the price of a read will do.
        let known = self
            .client
            .get_item()
            .table_name(&self.tables.streams)
            .set_key(Some(row_key(stream, HEAD)))
            .projection_expression("tail")
            .send()
            .await?;
        let known: Option<Head> = known.item.map(from_item).transpose()?;
        let mut chunk = known.unwrap_or_default().tail;
        for new in new.chunks(FULL) {
            let mut left = new.to_vec();
            for _ in 0..STRETCHES {
                let from = chunk;
                let appended = self.append_stretch(stream, &mut chunk, &mut left, expires_at).await;
                // All chunks before this one are full, also where the append has failed.
                if chunk > from
                    && let Err(error) = self.move_tail(stream, chunk, expires_at).await
                {
                    // Others find the last chunk from the one that the head tells.
                    tracing::warn!(%error, "the last chunk of a stream was not noted");
                }
                appended?;
                if left.is_empty() {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(StoreError::Unavailable("the end of a stream was not found".into()));
            }
        }
        Ok(())
    }

    /// Appends what is left to the first chunk from this one on that is not full, and moves on to the chunk to append to next.
    async fn append_stretch(
        &self,
        stream: &StreamKey,
        chunk: &mut u64,
        left: &mut Vec<Entry>,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        for _ in 0..STRETCH {
            let len = match self.append_to(stream, *chunk, left, expires_at).await? {
                Appended::Done(len) => {
                    left.clear();
                    len
                }
                Appended::Refused(there) => {
                    *left = without_place(std::mem::take(left), &there);
                    there.len()
                }
            };
            *chunk += u64::from(len >= FULL);
            if left.is_empty() {
                break;
            }
        }
        Ok(())
    }

    async fn append_to(
        &self,
        stream: &StreamKey,
        chunk: u64,
        new: &[Entry],
        expires_at: i64,
    ) -> Result<Appended, StoreError> {
        let mut condition = "(attribute_not_exists(entries) OR size(entries) < :full)".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.tables.streams)
            .set_key(Some(row_key(stream, part_of(chunk))))
            .update_expression(
                "SET entries = list_append(if_not_exists(entries, :none), :new), \
                 made = if_not_exists(made, :made), expires_at = :expires",
            )
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":new", entries(new)?)
            .expression_attribute_values(":made", number(rand::random::<u32>()))
            .expression_attribute_values(":expires", number(expires_at))
            .expression_attribute_values(":full", number(FULL))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (n, entry) in new.iter().enumerate() {
            condition.push_str(&format!(" AND NOT contains(entries, :new{n})"));
            update = update.expression_attribute_values(format!(":new{n}"), value(entry)?);
        }
        let result = update.condition_expression(condition).send().await;
        let error = match result {
            Ok(answer) => {
                let chunk: Chunk = from_item(answer.attributes.unwrap_or_default())?;
                return Ok(Appended::Done(chunk.entries.len()));
            }
            Err(error) => error,
        };
        let there = row_in_the_way::<Chunk, _>(error)?.map(|chunk| chunk.entries);
        Ok(Appended::Refused(there.unwrap_or_default()))
    }

    async fn move_tail(&self, stream: &StreamKey, tail: u64, expires_at: i64) -> Result<(), StoreError> {
        let moved = self
            .client
            .update_item()
            .table_name(&self.tables.streams)
            .set_key(Some(row_key(stream, HEAD)))
            .update_expression("SET tail = :tail, expires_at = :expires")
            .condition_expression("attribute_not_exists(tail) OR tail < :tail")
            .expression_attribute_values(":tail", number(tail))
            .expression_attribute_values(":expires", number(expires_at))
            .send()
            .await;
        if_condition_held(moved)?;
        Ok(())
    }

    /// Takes deliveries of a stream, if nobody has taken any since its head was read. Of two jobs that try, one is overtaken.
    pub async fn take_block(
        &self,
        stream: &StreamKey,
        before: Option<&Block>,
        block: &Block,
        expires_at: i64,
    ) -> Result<Advanced, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.streams)
            .set_key(Some(row_key(stream, HEAD)))
            .update_expression(
                "SET #block = :block, expires_at = :expires, tail = if_not_exists(tail, :zero)",
            )
            .expression_attribute_names("#block", "block")
            .expression_attribute_values(":block", value(block)?)
            .expression_attribute_values(":expires", number(expires_at))
            .expression_attribute_values(":zero", number(0))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match before {
            None => update.condition_expression("attribute_not_exists(#block)"),
            Some(before) => update
                .condition_expression("#block.#turn = :turn AND #block.#token = :token")
                .expression_attribute_names("#turn", "turn")
                .expression_attribute_names("#token", "token")
                .expression_attribute_values(":turn", number(before.turn))
                .expression_attribute_values(":token", number(before.token)),
        };
        let Err(error) = update.send().await else { return Ok(Advanced::Done) };
        // A repeat whose first answer was lost finds its own block.
        let row: Option<Head> = row_in_the_way(error)?;
        let is_ours = row.and_then(|row| row.block).is_some_and(|there| there == *block);
        Ok(if is_ours { Advanced::Done } else { Advanced::Overtaken })
    }
}
