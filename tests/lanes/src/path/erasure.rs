//! Projects, accounts and payloads that are erased. A request that got no answer is sent again, and may then be
//! refused, because the erased rows are gone.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Path;
use super::accounts::refused_soon;
use crate::dynamo::Dynamo;
use crate::gateway::{CALLER, HttpRequest};
use crate::lane::{Auth, INTAKE, PARKED};
use crate::receiver::Behaviour;
use crate::run::{CUSTOMER_ID, Ending, Run};
use crate::sqs::Outgoing;
use crate::wait;
use crate::world::{EMAIL, ONE, PASSWORD, TEN};

const SETTLES: Duration = Duration::from_secs(30);

/// What an event says that comes in after the erasure.
const MARK: &str = "said too late";

/// The address of a customer who comes by portal links.
const CUSTOMER: &str = "203.0.113.77";

/// Each row of any table in which one of these texts stands is a violation.
pub fn find_nothing_of(run: &Run<'_>, texts: &[String]) {
    for table in Dynamo::tables() {
        for row in run.lane.aws.dynamo.rows(table) {
            let written = row.to_string();
            for left in texts.iter().filter(|text| written.contains(text.as_str())) {
                run.violation(format!("{left} is left in {table}: {row}"));
            }
        }
    }
}

/// The ids of the world's project, and of all that belongs to it.
pub fn ids_of_project(run: &Run<'_>) -> Vec<String> {
    [vec![run.world.project_id.clone()], run.world.endpoints.clone()].concat()
}

/// Leaves the events to the erasure: they owe nothing any more.
pub fn forget_events(run: &Run<'_>) {
    let mut notes = run.notes();
    let listed = std::mem::take(&mut notes.sent).into_iter().flat_map(|sent| sent.listed);
    let ids: Vec<String> = listed.map(|(delivery, _)| delivery).collect();
    notes.erased.extend(ids);
}

/// A project with everything that a project can have: deliveries that ended and one that waits, an endpoint that is deleted
/// while its deliveries and a replay are there, and a delivery of it and of another endpoint whose event was never accepted.
pub async fn fill_project(run: &mut Run<'_>) {
    let ordered = json!({ "ordered": "customer_id" });
    run.insist("PATCH", &run.endpoint(3, ""), &run.key(), Some(&ordered), &[200]).await;
    if let Some(sent) = run.post_event(TEN, &json!({ "n": 1 }), Ending::Either).await {
        run.notes().retried.extend(sent.listed.into_iter().map(|(id, _)| id));
    }
    run.lane.settle(SETTLES).await;
    let since = json!({ "since": "2026-01-01T00:00:00.000Z", "status": "success" });
    run.insist("POST", &run.endpoint(5, "/replay"), &run.key(), Some(&since), &[202, 409]).await;
    run.lane.settle(SETTLES).await;
    let deliveries = run.lane.aws.dynamo.items("deliveries");
    for n in [4, 5] {
        let of_endpoint = |row: &&Value| row["endpoint_id"]["S"] == run.world.endpoints[n].as_str();
        let Some(row) = deliveries.iter().find(of_endpoint) else { continue };
        let mut row = row.clone();
        // The last two bytes of the id stay, because they name the partition.
        let id = row["id"]["S"].as_str().unwrap_or_default().to_owned();
        row["id"]["S"] = json!(format!("01a20259-3a57-7c63-9fb6-0c94e1b{n}{}", &id[32..]));
        row["event_id"]["S"] = json!(uuid::Uuid::new_v4().to_string());
        run.lane.aws.dynamo.put("deliveries", &row);
    }
    run.insist("DELETE", &run.endpoint(5, ""), &run.key(), None, &[204]).await;
    run.lane.receiver.set("/0", Behaviour::Answer(500));
    run.post_event(ONE, &json!({ "n": 2 }), Ending::Either).await;
    let has_failed = || run.lane.receiver.hits().iter().any(|hit| hit.status == Some(500));
    if !wait::until(SETTLES, || has_failed() && !run.lane.delivery.is_busy()).await {
        run.violation("the attempt that fails was not made".to_owned());
    }
}

/// Two portal links that a customer redeemed and then tried in another browser. One of them has been ended.
async fn use_links(run: &Run<'_>) {
    for is_ended in [false, true] {
        let links = run.project("/portal-links");
        let made = run.insist("POST", &links, &run.key(), Some(&json!({})), &[201]).await;
        let link = made.last().map(|answer| answer.json()).unwrap_or_default();
        let [id, url] = ["id", "url"].map(|name| link[name].as_str().unwrap_or_default().to_owned());
        for (nonce, wanted) in [("a1", 201), ("b2", 401)] {
            let code = url.split_once('#').map_or("", |(_, code)| code);
            let body = json!({ "code": code, "nonce": nonce.repeat(32) });
            let request = HttpRequest {
                method: "POST".to_owned(),
                target: "/auth/portal".to_owned(),
                headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
                body: Some(body.to_string().into()),
                source_ip: Some(CUSTOMER.to_owned()),
            };
            let status = run.lane.gateway.call(request).await.status;
            if status != wanted {
                run.violation(format!("a link was redeemed: {status} instead of {wanted}"));
            }
        }
        if is_ended {
            run.insist("DELETE", &format!("{links}/{id}"), &run.key(), None, &[204]).await;
        }
        run.notes().ids.push(id);
    }
}

/// What no table may have once the world's project is erased.
fn erased_with_project(run: &Run<'_>) -> Vec<String> {
    [ids_of_project(run), run.notes().ids.clone(), vec![CUSTOMER.to_owned()]].concat()
}

#[derive(Debug)]
pub(super) struct Project;

#[async_trait]
impl Path for Project {
    fn name(&self) -> &'static str {
        "erase-project"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        vec![("RETRY_DELAYS_SECONDS", "5,1,1".to_owned())]
    }

    /// Portal links of the project have been used. Another project of the account stays.
    async fn set_up(&self, run: &mut Run<'_>) {
        let access = run.log_in(PASSWORD).await.access;
        let body = json!({ "name": "stays" });
        run.insist("POST", "/v1/projects", &Auth::Bearer(&access), Some(&body), &[201]).await;
        use_links(run).await;
        fill_project(run).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let access = run.session(0).access;
        let bearer = Auth::Bearer(&access);
        let body = json!({ "password": PASSWORD });
        let done = run.insist("DELETE", &run.project(""), &bearer, Some(&body), &[202, 403]).await;
        if done.len() == 1 && done[0].status == 403 {
            run.violation("the project was gone before it was erased".to_owned());
        }
        run.insist("GET", &run.project("/webhooks"), &bearer, None, &[403]).await;
        refused_soon(run, &run.key(), "a key of an erased project").await;
        for data in [json!({ "n": MARK }), json!([MARK])] {
            let event = json!({ "project_id": run.world.project_id, "event_name": ONE, "data": data });
            let outgoing = Outgoing { body: event.to_string(), group: None, delay: Duration::ZERO };
            assert!(run.lane.aws.sqs.send(INTAKE, outgoing).is_ok(), "the queue is there");
        }
    }

    async fn check(&self, run: &Run<'_>) {
        forget_events(run);
        find_nothing_of(run, &erased_with_project(run));
        for kept in run.lane.aws.sqs.bodies(PARKED).iter().filter(|body| body.contains(MARK)) {
            run.violation(format!("an event of an erased project is parked: {kept}"));
        }
        let dynamo = &run.lane.aws.dynamo;
        let projects = dynamo.rows("projects");
        let Some(stays) = projects.iter().find(|row| row["name"] == "stays") else {
            return run.violation("the other project is gone".to_owned());
        };
        // The account goes on, with its own rows and those of the project that stays.
        let stays = stays["id"].as_str().unwrap_or_default();
        for table in Dynamo::tables().filter(|table| !["accounts", "sessions", "projects"].contains(table)) {
            for row in dynamo.rows(table) {
                let written = row.to_string();
                if written.contains(&run.world.account_id) && !written.contains(stays) {
                    run.violation(format!("the account's id is left in {table}: {row}"));
                }
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Account;

#[async_trait]
impl Path for Account {
    fn name(&self) -> &'static str {
        "erase-account"
    }

    /// A second project, a second session, used portal links, and somebody who guessed the password.
    async fn set_up(&self, run: &mut Run<'_>) {
        let access = run.log_in(PASSWORD).await.access;
        let body = json!({ "name": "second" });
        let second = run.insist("POST", "/v1/projects", &Auth::Bearer(&access), Some(&body), &[201]).await;
        let second = second.last().map(|answer| answer.json()).unwrap_or_default();
        run.notes().ids.push(second["id"].as_str().unwrap_or_default().to_owned());
        use_links(run).await;
        for name in ["order.paid", "order.sent"] {
            let target = format!("/v1/event-types/{name}");
            run.insist("PUT", &target, &Auth::Bearer(&access), Some(&json!({})), &[200]).await;
        }
        run.log_in(PASSWORD).await;
        let wrong = json!({ "email": EMAIL, "password": "not the password" });
        run.insist("POST", "/auth/login", &Auth::None, Some(&wrong), &[401]).await;
        run.post_event(ONE, &json!({ "n": 1 }), Ending::Either).await;
        run.lane.settle(SETTLES).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let (own, other) = (run.session(0), run.session(1));
        let body = json!({ "password": PASSWORD });
        let bearer = Auth::Bearer(&own.access);
        let done = run.insist("DELETE", "/auth/account", &bearer, Some(&body), &[202, 401]).await;
        if done.len() == 1 && done[0].status == 401 {
            run.violation("the account was gone before it was erased".to_owned());
        }
        for session in [&own, &other] {
            refused_soon(run, &Auth::Bearer(&session.access), "a token of an erased account").await;
            run.insist("POST", "/auth/refresh", &Auth::Bearer(&session.refresh), None, &[401]).await;
        }
        refused_soon(run, &run.key(), "a key of an erased account").await;
    }

    async fn check(&self, run: &Run<'_>) {
        forget_events(run);
        // The account's id stands in its own rows, and in the routes, keys and links of its projects.
        let own = [run.world.account_id.as_str(), EMAIL, CALLER].map(str::to_owned);
        find_nothing_of(run, &[&erased_with_project(run)[..], &own].concat());
        // Nobody else has an account, so no row is left at all but counts of events, which expire.
        for table in Dynamo::tables().filter(|table| *table != "budgets") {
            for row in run.lane.aws.dynamo.rows(table) {
                run.violation(format!("left in {table}: {row}"));
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Payload;

#[async_trait]
impl Path for Payload {
    fn name(&self) -> &'static str {
        "erase-payload"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        vec![("RETRY_DELAYS_SECONDS", "5,1,1".to_owned())]
    }

    /// Nine deliveries have ended, one waits, and the endpoint of another is deleted.
    async fn set_up(&self, run: &mut Run<'_>) {
        run.lane.receiver.set("/0", Behaviour::Script(vec![500, 200]));
        run.post_event(TEN, &json!({ "n": 1 }), Ending::Either).await;
        let all_hit = || run.lane.receiver.hits().len() >= 10;
        if !wait::until(SETTLES, || all_hit() && !run.lane.delivery.is_busy()).await {
            run.violation("not every first attempt was made".to_owned());
        }
        run.insist("DELETE", &run.endpoint(5, ""), &run.key(), None, &[204]).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let event_id = super::first(run).event_id;
        let target = run.project(&format!("/events/{event_id}/payload"));
        run.insist("DELETE", &target, &run.key(), None, &[204]).await;
        let again = json!({ "event_id": event_id, "event_name": TEN, "customer_id": CUSTOMER_ID, "data": { "n": 1 } });
        run.insist("POST", &run.project("/events"), &run.key(), Some(&again), &[409]).await;
    }

    async fn check(&self, run: &Run<'_>) {
        let listed = super::first(run).listed.into_iter().map(|(id, _)| id);
        run.notes().erased.extend(listed);
        let dynamo = &run.lane.aws.dynamo;
        for row in dynamo.rows("events") {
            if row["payload"] != Value::Null || row["content_hash"] != "" {
                run.violation(format!("an erased event says more than it may: {row}"));
            }
        }
        for row in dynamo.rows("deliveries") {
            let answers = row["attempts"].as_array().into_iter().flatten();
            let has_answer = answers.into_iter().any(|attempt| attempt["response_body"] != Value::Null);
            let ended =
                row["status"] == "success" || row["status"] == "failed" && row["failure_reason"] == "erased";
            if row["payload"] != Value::Null || has_answer || row["erased"] != true || !ended {
                run.violation(format!("an erased delivery says more than it may: {row}"));
            }
        }
    }
}
