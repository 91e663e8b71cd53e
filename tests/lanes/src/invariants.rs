//! The conditions that every lane must meet once it has come to rest, after any fault.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::PoisonError;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::activity;
use crate::fault::CallRecord;
use crate::lane::{Auth, CONSUMED};
use crate::mapping::Batch;
use crate::receiver::Hit;
use crate::run::{Ending, Run};

/// The losses of a run, and its repeated requests.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Accepted deliveries with another end than the right one.
    pub losses: Vec<String>,
    pub violations: Vec<String>,
    /// Requests beyond the attempts that are recorded.
    pub extra_sends: u64,
}

/// The lane's state, read once for all checks.
struct Evidence {
    deliveries: HashMap<String, Value>,
    hits: Vec<Hit>,
    batches: Vec<Batch>,
    calls: Vec<CallRecord>,
    /// Invocations whose calls to AWS failed.
    faulty: HashSet<u64>,
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn is_final(row: &Value) -> bool {
    matches!(text(row, "status"), "success" | "failed")
}

/// Judges a run after it has come to rest, or after its time is over.
pub async fn judge(run: &Run<'_>, has_settled: bool, most_attempts: usize) -> Verdict {
    let rows = run.lane.aws.dynamo.rows("deliveries");
    let evidence = Evidence {
        deliveries: rows.into_iter().map(|row| (text(&row, "id").to_owned(), row)).collect(),
        hits: run.lane.receiver.hits(),
        batches: run.lane.batches.all(),
        calls: run.lane.aws.faults.calls(),
        faulty: run.lane.aws.faults.disturbed_invocations(),
    };
    let mut verdict = Verdict::default();
    if !has_settled {
        let left = CONSUMED.map(|queue| (queue, run.lane.aws.sqs.depth(queue)));
        verdict.losses.push(format!("it did not come to rest; in the queues: {left:?}"));
    }
    let erased: HashSet<String> = run.notes().erased.iter().cloned().collect();
    promises(run, &evidence, &mut verdict);
    attempts(&evidence, &erased, most_attempts, &mut verdict);
    events(run, &evidence, &erased, &mut verdict);
    history(run, &mut verdict);
    bodies(&evidence.hits, &mut verdict);
    closed(run, &evidence, &mut verdict);
    half_made(run, &mut verdict);
    accounts(run).await;
    loops(run, &mut verdict);
    verdict.violations.extend(activity::contradictions(&run.lane.aws.dynamo));
    let refused = run.lane.aws.iam.take_refused();
    verdict.violations.extend(refused.iter().map(|refused| format!("the role does not allow it: {refused}")));
    verdict.violations.append(&mut run.notes().violations);
    verdict
}

/// Lambda ended no chain of our own messages as a recursive loop.
fn loops(run: &Run<'_>, verdict: &mut Verdict) {
    let ended = run.lane.aws.ended_loops.lock().unwrap_or_else(PoisonError::into_inner);
    verdict.violations.extend(ended.iter().map(|body| format!("Lambda ended a recursive loop at {body}")));
}

/// Every delivery that a 202 listed has ended as it should, and the receiver has each delivery that is called a success.
fn promises(run: &Run<'_>, evidence: &Evidence, verdict: &mut Verdict) {
    let sent = run.notes().sent.clone();
    for event in &sent {
        let listed: BTreeSet<&str> = event.listed.iter().map(|(id, _)| id.as_str()).collect();
        for id in &listed {
            let Some(row) = evidence.deliveries.get(*id) else {
                verdict.losses.push(format!("{id} was listed and has no row"));
                continue;
            };
            if !is_final(row) {
                verdict.losses.push(format!("{id} has not ended: {}", text(row, "status")));
            }
            let ended = match event.ending {
                Ending::Success => row["status"] == "success",
                Ending::Failed(reason) => row["status"] == "failed" && row["failure_reason"] == reason,
                Ending::Either => true,
            };
            if !ended {
                verdict.losses.push(format!("{id} should have ended {:?}: {row}", event.ending));
            }
            let arrived = |hit: &Hit| hit.delivery_id == *id && hit.status.is_some_and(|s| s / 100 == 2);
            if row["status"] == "success" && !evidence.hits.iter().any(arrived) {
                verdict.losses.push(format!("{id} is a success that no one received"));
            }
        }
        let logged: BTreeSet<&str> = evidence
            .deliveries
            .values()
            .filter(|row| row["event_id"] == event.event_id.as_str())
            .map(|row| text(row, "id"))
            .collect();
        if logged != listed {
            verdict.violations.push(format!("listed were {listed:?}, in the log are {logged:?}"));
        }
    }
}

/// The counts of attempts are right, and each request without a record has a reason.
fn attempts(evidence: &Evidence, erased: &HashSet<String>, most: usize, verdict: &mut Verdict) {
    let faulty = &evidence.faulty;
    let mut requests: BTreeMap<(&str, u32), Vec<&Hit>> = BTreeMap::new();
    for hit in &evidence.hits {
        requests.entry((&hit.delivery_id, hit.attempt)).or_default().push(hit);
    }
    for (id, row) in &evidence.deliveries {
        let listed = row["attempts"].as_array().map_or(&[][..], Vec::as_slice);
        let count = row["attempt_count"].as_u64().unwrap_or(u64::MAX);
        if count != listed.len() as u64 {
            verdict.violations.push(format!("{id}: {count} attempts counted, {} listed", listed.len()));
        }
        let automatic = listed.iter().filter(|attempt| attempt["triggered_by"] == "auto").count();
        if automatic > most {
            verdict.violations.push(format!("{id}: {automatic} automatic attempts"));
        }
        for (index, attempt) in listed.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            // On a busy machine a request can time out before it arrives; an answer cannot.
            let was_answered = attempt["http_status"].is_u64();
            if was_answered && !requests.contains_key(&(id.as_str(), number)) {
                verdict.violations.push(format!("{id}: attempt {number} is recorded and no one got it"));
            }
        }
    }
    for ((id, number), hits) in requests {
        // An attempt that was under way when its payload was erased is not recorded.
        if erased.contains(id) {
            continue;
        }
        let row = evidence.deliveries.get(id);
        let recorded = row.and_then(|row| row["attempt_count"].as_u64()).unwrap_or(0);
        let has_record = u64::from(number) <= recorded;
        let extra = hits.len() - usize::from(has_record);
        verdict.extra_sends += extra as u64;
        // The recorded request apart, each must come from an invocation that was disturbed or died.
        let disturbed = hits.iter().filter(|hit| was_disturbed(hit, &evidence.batches, faulty)).count();
        if disturbed < extra {
            verdict
                .violations
                .push(format!("{id}: attempt {number} was sent {} times without cause", hits.len()));
        }
    }
}

/// Nothing is sent for an event without a row: its producer got no 202, and nobody could look it up. A delivery without an
/// event has ended without an attempt, or waits for an event that nobody will send again.
fn events(run: &Run<'_>, evidence: &Evidence, erased: &HashSet<String>, verdict: &mut Verdict) {
    let events = run.lane.aws.dynamo.rows("events");
    let listed: HashSet<&str> = events
        .iter()
        .flat_map(|event| event["deliveries"].as_array().into_iter().flatten())
        .map(|delivery| text(delivery, "id"))
        .collect();
    for (id, row) in &evidence.deliveries {
        let is_given_up = row["failure_reason"] == "internal" && row["attempt_count"] == 0;
        if !listed.contains(id.as_str()) && !is_given_up && row["status"] != "pending" {
            verdict.violations.push(format!("{id} has no event and went on: {row}"));
        }
    }
    let unlisted =
        |hit: &&Hit| !listed.contains(hit.delivery_id.as_str()) && !erased.contains(&hit.delivery_id);
    for hit in evidence.hits.iter().filter(unlisted) {
        verdict.violations.push(format!("{} was sent without an event", hit.delivery_id));
    }
}

fn invocation_of<'a>(hit: &Hit, batches: &'a [Batch]) -> Option<&'a Batch> {
    batches.iter().find(|batch| {
        batch.started <= hit.at
            && hit.at <= batch.ended
            && batch.bodies.iter().any(|body| body.contains(&hit.delivery_id))
    })
}

fn was_disturbed(hit: &Hit, batches: &[Batch], faulty: &HashSet<u64>) -> bool {
    invocation_of(hit, batches).is_none_or(|batch| batch.why.is_some() || faulty.contains(&batch.invocation))
}

/// Only a manual retry and an erasure change a delivery that has ended. Counts go up one by one and never down.
fn history(run: &Run<'_>, verdict: &mut Verdict) {
    let retried = run.notes().retried.clone();
    let mut last: HashMap<String, Value> = HashMap::new();
    for version in run.lane.aws.dynamo.journal() {
        let row = version.row;
        let id = text(&row, "id").to_owned();
        if let Some(before) = last.get(&id) {
            let same = before["status"] == row["status"]
                && before["attempts"] == row["attempts"]
                && before["failure_reason"] == row["failure_reason"];
            let is_retry = retried.contains(&id) && row["triggered_by"] == "manual";
            let is_erasure = row["erased"] == true && before["status"] == row["status"];
            if is_final(before) && !same && !is_retry && !is_erasure {
                verdict.violations.push(format!("{id} had ended and changed: {before} to {row}"));
            }
            let (was, is) = (before["attempt_count"].as_u64(), row["attempt_count"].as_u64());
            if is < was || is > was.map(|was| was + 1) {
                verdict.violations.push(format!("{id}: attempts went from {was:?} to {is:?}"));
            }
        }
        last.insert(id, row);
    }
}

/// The same bytes on every attempt of a delivery.
fn bodies(hits: &[Hit], verdict: &mut Verdict) {
    let mut seen: HashMap<&str, &Bytes> = HashMap::new();
    for hit in hits {
        if *seen.entry(&hit.delivery_id).or_insert(&hit.body) != &hit.body {
            verdict.violations.push(format!("{}: other bytes on another attempt", hit.delivery_id));
        }
    }
}

/// No attempt whose endpoint was read after it was disabled or deleted.
fn closed(run: &Run<'_>, evidence: &Evidence, verdict: &mut Verdict) {
    let closed = run.notes().closed.clone();
    for closed in &closed {
        for hit in &evidence.hits {
            let row = evidence.deliveries.get(&hit.delivery_id);
            if row.is_none_or(|row| row["endpoint_id"] != closed.endpoint_id.as_str()) || hit.at < closed.at {
                continue;
            }
            let Some(batch) = invocation_of(hit, &evidence.batches) else { continue };
            let mut reads = evidence.calls.iter().filter(|call| {
                call.invocation == batch.invocation
                    && call.at < hit.at
                    && call.key.what.contains("endpoints")
                    && call.key.operation().ends_with("GetItem")
            });
            if reads.all(|read| read.at > closed.at) {
                verdict
                    .violations
                    .push(format!("{} was sent after its endpoint was closed", hit.delivery_id));
            }
        }
    }
}

/// No key, account or endpoint is half made.
fn half_made(run: &Run<'_>, verdict: &mut Verdict) {
    let dynamo = &run.lane.aws.dynamo;
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut active: BTreeMap<String, u64> = BTreeMap::new();
    for row in dynamo.rows("api_keys") {
        if row["status"] == "active" {
            *active.entry(text(&row, "project_id").to_owned()).or_default() += 1;
        }
        keys.insert(text(&row, "key_hash").to_owned(), text(&row, "status").to_owned());
    }
    let grants: BTreeMap<String, String> = dynamo
        .rows("api_key_hashes")
        .iter()
        .map(|row| (text(row, "key_hash").to_owned(), text(row, "status").to_owned()))
        .collect();
    if keys != grants {
        verdict.violations.push("the keys listed are not the keys that open".to_owned());
    }
    routes(run, verdict);
    let (counts, projects): (Vec<Value>, Vec<Value>) =
        dynamo.rows("projects").into_iter().partition(|row| text(row, "account_id").starts_with("count|"));
    for project in &projects {
        let keys = active.get(text(project, "id")).copied().unwrap_or(0);
        if project["active_key_count"].as_u64() != Some(keys) {
            verdict.violations.push(format!("{keys} keys, counted are {}", project["active_key_count"]));
        }
    }
    for account in dynamo.rows("accounts") {
        if !projects.iter().any(|project| project["account_id"] == account["id"]) {
            verdict.violations.push(format!("the account {} has no project", account["id"]));
        }
        let own = projects.iter().filter(|project| project["account_id"] == account["id"]).count() as u64;
        let key = format!("count|{}", text(&account, "id"));
        let added = counts.iter().find(|count| text(count, "account_id") == key);
        let added = added.and_then(|count| count["added"].as_u64()).unwrap_or(0);
        if own > 0 && own - 1 != added {
            verdict.violations.push(format!("{own} projects, counted are {added} beside the first"));
        }
    }
}

/// Each endpoint has both its rows, and each copy of its project's routing row agrees with its settings. Each project
/// has all copies.
fn routes(run: &Run<'_>, verdict: &mut Verdict) {
    let dynamo = &run.lane.aws.dynamo;
    let (settings, states): (Vec<Value>, Vec<Value>) =
        dynamo.rows("endpoints").into_iter().partition(|row| row["part"] == "settings");
    let ids = |rows: &[Value]| rows.iter().map(|row| text(row, "id").to_owned()).collect::<BTreeSet<_>>();
    if ids(&settings) != ids(&states) {
        verdict.violations.push("an endpoint has one of its two rows".to_owned());
    }
    let mut wanted: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for project in dynamo.rows("projects") {
        for copy in 0..project["shards"].as_u64().unwrap_or(0) {
            wanted.entry(format!("{}#{copy}", text(&project, "id"))).or_default();
        }
    }
    for row in &settings {
        let mut names: Vec<_> = row["events"].as_array().cloned().unwrap_or_default();
        names.sort_by_key(ToString::to_string);
        let filter = row["filter"].as_str().map(|text| STANDARD.encode(&Sha256::digest(text)[..16]));
        let entry = json!({ "n": names, "off": row["status"] == "disabled", "f": filter });
        for copy in 0..row["shards"].as_u64().unwrap_or(0) {
            let copy = wanted.entry(format!("{}#{copy}", text(row, "project_id"))).or_default();
            copy.insert(text(row, "id").to_owned(), entry.clone());
        }
    }
    let mut found: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for row in dynamo.rows("routes") {
        let entries = row["endpoints"].as_object().into_iter().flatten().map(|(id, entry)| {
            let mut names: Vec<_> = entry["n"].as_array().cloned().unwrap_or_default();
            names.sort_by_key(ToString::to_string);
            (id.clone(), json!({ "n": names, "off": entry["off"] == true, "f": entry["f"] }))
        });
        found.insert(text(&row, "copy").to_owned(), entries.collect());
    }
    if wanted != found {
        verdict.violations.push(format!("the routes are {found:?} instead of {wanted:?}"));
    }
}

/// A caller whose sign-up was answered, with 201 or 409, can log in and go on.
async fn accounts(run: &Run<'_>) {
    let accounts = run.notes().accounts.clone();
    for (email, password) in accounts {
        let login = serde_json::json!({ "email": email, "password": password });
        let answers = run.insist("POST", "/auth/login", &Auth::None, Some(&login), &[200]).await;
        let token = answers.last().map(|answer| answer.json()["access_token"].clone()).unwrap_or_default();
        let token = token.as_str().unwrap_or_default().to_owned();
        let body = serde_json::json!({ "name": "after" });
        let answers = run.insist("POST", "/v1/api-keys", &Auth::Bearer(&token), Some(&body), &[201]).await;
        let key = answers.last().map(|answer| answer.json()["key"].clone()).unwrap_or_default();
        let key = key.as_str().unwrap_or_default().to_owned();
        run.insist("GET", "/v1/api-keys", &Auth::Key(&key), None, &[200]).await;
    }
}
