//! The statements that the product makes, each with a `?` for every value: `INSERT INTO "table" VALUE {'name': ?, …}`
//! and `UPDATE "table" SET "name" = ? … WHERE "name" = ? …`.

use serde_json::{Map, Value};

/// The table that a statement writes to.
#[must_use]
pub fn table(statement: &str) -> &str {
    statement.split('"').nth(1).unwrap_or_default()
}

/// The index that a statement reads, as in `SELECT * FROM "table"."index"`.
#[must_use]
pub fn index(statement: &str) -> Option<&str> {
    let mut parts = statement.split('"').skip(2);
    if parts.next() == Some(".") { parts.next() } else { None }
}

/// The attributes that a statement of a batch gives values for, its row's key among them.
#[must_use]
pub fn attributes(statement: &Value) -> Value {
    let text = statement["Statement"].as_str().unwrap_or_default();
    // The last quoted text before each question mark.
    let names = text.split('?').map(|part| part.rsplit(['"', '\'']).nth(1).unwrap_or_default().to_owned());
    let values = statement["Parameters"].as_array().into_iter().flatten().cloned();
    names.zip(values).collect::<Map<_, _>>().into()
}
