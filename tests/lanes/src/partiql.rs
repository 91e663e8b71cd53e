//! The one kind of PartiQL statement that the product makes: `INSERT INTO "table" VALUE {'name': ?, …}`.

use serde_json::{Map, Value};

/// The table that a statement inserts into.
#[must_use]
pub fn table(statement: &str) -> &str {
    statement.split('"').nth(1).unwrap_or_default()
}

/// The item that a statement of a batch inserts, as DynamoDB writes it.
#[must_use]
pub fn item(statement: &Value) -> Value {
    let text = statement["Statement"].as_str().unwrap_or_default();
    let names = text.split('\'').skip(1).step_by(2).map(str::to_owned);
    let values = statement["Parameters"].as_array().into_iter().flatten().cloned();
    names.zip(values).collect::<Map<_, _>>().into()
}
