//! Writes of one row, of several rows by statements, and of several rows in a transaction. A write uses units of a
//! partition of its table. When the row enters an index, leaves it or moves in it, the write also uses units of the
//! index's partitions. A full partition of an index throttles writes to the table
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/gsi-throttling.html).

use dynoxide::types::{
    ConsumedCapacity, Item, TRANSACTIONAL_CAPACITY_FACTOR, item_size, write_capacity_units,
};
use serde_json::{Value, json};

use super::{Direction, MESSAGE, Place, State, partition_of, throttled};
use crate::dynamo::{Dynamo, INDEXES};
use crate::http::Reply;
use crate::partiql;

/// The write of one row, from a call or from a part of a call.
struct Write {
    table: String,
    /// The whole row if the write contains it; otherwise at least the row's key.
    row: Value,
    is_whole: bool,
    /// The write's text, with all attributes and values that it names.
    text: String,
}

impl Write {
    /// The write of a `PutItem`, `UpdateItem` or `DeleteItem`, or of one item of a transaction.
    fn new(request: &Value) -> Self {
        let is_whole = request["Item"].is_object();
        Self {
            table: request["TableName"].as_str().unwrap_or_default().to_owned(),
            row: if is_whole { request["Item"].clone() } else { request["Key"].clone() },
            is_whole,
            text: request.to_string(),
        }
    }

    fn of_statement(statement: &Value) -> Self {
        let text = statement["Statement"].as_str().unwrap_or_default();
        Self {
            table: partiql::table(text).to_owned(),
            row: partiql::attributes(statement),
            is_whole: text.starts_with("INSERT"),
            text: statement.to_string(),
        }
    }

    fn place(&self) -> Place {
        let key = partition_of(&self.table, &self.row);
        Place { table: self.table.clone(), index: None, key, direction: Direction::Write }
    }

    /// The indexes in which this write can change the row's entry: it names the attribute that makes the index
    /// sparse.
    fn indexes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let touched =
            INDEXES.iter().filter(|index| index.table == self.table && self.text.contains(index.sparse));
        touched.map(|index| (index.name, index.partition))
    }

    /// For each of these indexes: the partition that holds the row's entry now.
    fn entries(&self, dynamo: &Dynamo) -> Vec<Option<Place>> {
        let mut item = None;
        let entry = |(name, partition): (&str, &str)| {
            let item = item.get_or_insert_with(|| dynamo.item(&self.table, &self.row).unwrap_or_default());
            let index = INDEXES.iter().find(|index| index.name == name)?;
            item[index.sparse].is_object().then(|| Place {
                table: self.table.clone(),
                index: Some(name.to_owned()),
                key: item[partition]["S"].as_str().unwrap_or_default().to_owned(),
                direction: Direction::Write,
            })
        };
        self.indexes().map(entry).collect()
    }

    /// A full partition that throttles this write.
    fn held_by(&self, state: &mut State, dynamo: &Dynamo) -> Option<Place> {
        let place = self.place();
        if state.is_full(&place) {
            return Some(place);
        }
        let mut full =
            self.indexes().flat_map(|(name, _)| state.full_keys(&self.table, name)).collect::<Vec<_>>();
        if full.is_empty() {
            return None;
        }
        let now = self.entries(dynamo);
        full.retain(|place| {
            self.text.contains(&place.key) || now.iter().flatten().any(|entry| entry == place)
        });
        full.pop()
    }

    /// The write's units: by the size of the new row if the write contains it, otherwise by the size of the present
    /// row.
    fn units(&self, dynamo: &Dynamo) -> f64 {
        let row = if self.is_whole { Some(self.row.clone()) } else { dynamo.item(&self.table, &self.row) };
        let item: Item = serde_json::from_value(row.unwrap_or_default()).unwrap_or_default();
        write_capacity_units(item_size(&item))
    }
}

pub(super) fn one(state: &mut State, dynamo: &Dynamo, operation: &str, request: &Value) -> Reply {
    let writes = [Write::new(request)];
    if let Some(place) = writes[0].held_by(state, dynamo) {
        state.refuse(&place);
        return throttled(&place);
    }
    carry_out(state, dynamo, operation, request, &writes, 1.0)
}

/// A statement for a full partition fails with `ThrottlingError`, and the other statements are carried out
/// (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html).
pub(super) fn statements(state: &mut State, dynamo: &Dynamo, mut request: Value) -> Reply {
    let statements = request["Statements"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let mut places = Vec::new();
    let (mut kept, mut writes) = (Vec::new(), Vec::new());
    for statement in statements {
        let write = Write::of_statement(&statement);
        let place = write.held_by(state, dynamo);
        if let Some(place) = &place {
            state.refuse(place);
        } else {
            kept.push(statement);
            writes.push(write);
        }
        places.push(place);
    }
    let is_any_held = writes.len() < places.len();
    let reply = if writes.is_empty() && is_any_held {
        Reply::ok(json!({ "Responses": [] }).to_string())
    } else {
        request["Statements"] = kept.into();
        carry_out(state, dynamo, "BatchExecuteStatement", &request, &writes, 1.0)
    };
    if !is_any_held || reply.status != 200 {
        return reply;
    }
    let mut answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let mut done = answer["Responses"].as_array_mut().map(std::mem::take).unwrap_or_default().into_iter();
    let responses = places.into_iter().map(|place| match place {
        Some(place) => json!({ "TableName": place.table,
            "Error": { "Code": "ThrottlingError", "Message": MESSAGE } }),
        None => done.next().unwrap_or_default(),
    });
    answer["Responses"] = responses.collect();
    Reply::ok(answer.to_string())
}

/// A transaction writes nothing when one of its partitions is full. The reason is `ThrottlingError`
/// (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
pub(super) fn transaction(state: &mut State, dynamo: &Dynamo, request: &Value) -> Reply {
    let items = request["TransactItems"].as_array().into_iter().flatten();
    let writes: Vec<Write> =
        items.filter_map(|item| item.as_object()?.values().next()).map(Write::new).collect();
    let places: Vec<Option<Place>> = writes.iter().map(|write| write.held_by(state, dynamo)).collect();
    if places.iter().all(Option::is_none) {
        let twice = TRANSACTIONAL_CAPACITY_FACTOR;
        return carry_out(state, dynamo, "TransactWriteItems", request, &writes, twice);
    }
    places.iter().flatten().for_each(|place| state.refuse(place));
    let codes: Vec<&str> =
        places.iter().map(|place| if place.is_some() { "ThrottlingError" } else { "None" }).collect();
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code, "Message": MESSAGE })).collect();
    let message =
        format!("Transaction cancelled, please refer cancellation reasons for specific reasons {codes:?}");
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let body = json!({ "__type": kind, "Message": message, "CancellationReasons": reasons });
    Reply { status: 400, body: body.to_string() }
}

/// Carries out the writes, and charges each partition with its share of the units.
fn carry_out(
    state: &mut State,
    dynamo: &Dynamo,
    operation: &str,
    request: &Value,
    writes: &[Write],
    factor: f64,
) -> Reply {
    let before: Vec<_> = writes.iter().map(|write| write.entries(dynamo)).collect();
    let (reply, measured) = dynamo.measured(operation, &request.to_string());
    for (write, units) in writes.iter().zip(shares(dynamo, writes, &measured.consumed, factor)) {
        state.charge(write.place(), units);
    }
    for (write, before) in writes.iter().zip(before) {
        for (was, is) in before.into_iter().zip(write.entries(dynamo)) {
            // An entry of our indexes is below 1 KB, and only its keys ever change.
            if was != is {
                was.into_iter().chain(is).for_each(|place| state.charge(place, factor));
            }
        }
    }
    reply
}

/// Splits a table's units among its writes. The write of a whole row costs the units of that row's size, and the
/// other writes share the rest. A refused call reports no units, so each of its writes costs [`Write::units`].
fn shares(dynamo: &Dynamo, writes: &[Write], consumed: &[ConsumedCapacity], factor: f64) -> Vec<f64> {
    let share = |write: &Write| {
        let table = consumed.iter().find(|one| one.table_name == write.table);
        let Some(table) = table else { return write.units(dynamo) * factor };
        let total = table.table.as_ref().map_or(table.capacity_units, |table| table.capacity_units);
        let in_table = || writes.iter().filter(|other| other.table == write.table);
        if in_table().count() == 1 {
            return total;
        }
        if write.is_whole {
            return write.units(dynamo) * factor;
        }
        let whole: f64 =
            in_table().filter(|other| other.is_whole).map(|other| other.units(dynamo) * factor).sum();
        let others = in_table().filter(|other| !other.is_whole).count();
        (total - whole).max(0.0) / f64::from(u32::try_from(others).unwrap_or(u32::MAX))
    };
    writes.iter().map(share).collect()
}
