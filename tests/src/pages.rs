//! Lists in pages: the cursors followed to the end (contract §6).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::Answer;
use crate::shape::{fields, text};
use crate::time::timestamp;

/// Before its body passes this, a page does not end early.
const MOST: usize = 3 * 1024 * 1024;

/// Gets all pages by `get`, checks each of them and each row, and gives all rows. `id` is the field that tells rows
/// apart.
///
/// # Panics
/// When a page breaks the contract.
pub async fn walk(
    get: impl AsyncFn(String) -> Answer,
    limit: usize,
    id: &str,
    check: impl Fn(&Value),
) -> Vec<Value> {
    let mut rows: Vec<Value> = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let cursor_part = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = get(format!("?limit={limit}{cursor_part}")).await.ok(200);
        fields(&page, &["data", "next_cursor"]);
        let data = page["data"].as_array().expect("an array");
        data.iter().for_each(&check);
        rows.extend(data.iter().cloned());
        if page["next_cursor"].is_null() {
            assert!(data.len() <= limit);
            break;
        }
        assert_eq!(data.len(), limit, "only the last page may be short");
        let next = text(&page, "next_cursor");
        let url_safe = next.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c));
        assert!(url_safe && !next.is_empty(), "not URL-safe: {next}");
        assert_ne!(cursor.as_deref(), Some(next));
        cursor = Some(next.to_owned());
    }
    let times: Vec<i64> = rows.iter().map(|row| timestamp(&row["created_at"])).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "not newest first: {times:?}");
    assert_eq!(ids(&rows, id).len(), rows.len(), "a row came twice");
    rows
}

/// Gets all pages of large rows, of which no page can hold 16. Gives the rows' ids and the number of pages.
///
/// # Panics
/// When a page has too many bytes, or ends although another row fits.
pub async fn walk_large(get: impl AsyncFn(String) -> Answer, id: &str) -> (BTreeSet<String>, usize) {
    let (mut seen, mut pages, mut query) = (BTreeSet::new(), 0, "?limit=16".to_owned());
    loop {
        let answer = get(query).await;
        let page = answer.ok(200);
        let data = page["data"].as_array().expect("an array");
        assert!(answer.body.len() <= MOST, "a page of {} bytes", answer.body.len());
        seen.extend(ids(data, id));
        pages += 1;
        if page["next_cursor"].is_null() {
            return (seen, pages);
        }
        let row = answer.body.len() / data.len();
        assert!(
            answer.body.len() + row > MOST,
            "the page ends after {} rows although another row of {row} bytes fits",
            data.len()
        );
        query = format!("?limit=16&cursor={}", text(&page, "next_cursor"));
    }
}

/// The rows' ids, which stand in the field `id`.
#[must_use]
pub fn ids(rows: &[Value], id: &str) -> BTreeSet<String> {
    rows.iter().map(|row| text(row, id).to_owned()).collect()
}
