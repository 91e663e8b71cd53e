//! Portal links: the reach of a link, its time, and its single use (contract §2).

use std::time::{Duration, Instant};

use echo_tests::api::{Answer, Api};
use echo_tests::aws::table_dump;
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, unique};
use echo_tests::receiver::Receiver;
use echo_tests::shape::{fields, hex_after, own_id, text};
use echo_tests::stack::stack;
use echo_tests::time::{now, timestamp};
use echo_tests::wait::{PATIENCE, at_once, eventually, throughout};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A link as its maker got it.
pub(crate) struct Link {
    pub id: String,
    pub code: String,
}

pub(crate) async fn made(project: &Project, body: Value) -> Link {
    let link = project.post("/portal-links", &body).await.ok(201);
    fields(&link, &["id", "url", "expires_at"]);
    own_id(&link["id"]);
    let (page, code) = text(&link, "url").split_once('#').expect("a code in the fragment");
    assert!(page.ends_with("/portal") && !page.contains('?'), "{page}");
    Link { id: text(&link, "id").to_owned(), code: code.to_owned() }
}

pub(crate) fn nonce() -> String {
    unique() + &unique()
}

pub(crate) async fn redeem(code: &str, nonce: &str) -> Answer {
    Api::anonymous().post("/auth/portal", &json!({"code": code, "nonce": nonce})).await
}

/// The project as the holder of a new link sees it.
pub(crate) async fn opened(project: &Project, body: Value) -> Project {
    let link = made(project, body).await;
    let session = redeem(&link.code, &nonce()).await.ok(201);
    Project { api: Api::anonymous().with_bearer(text(&session, "token")), ..project.clone() }
}

pub(crate) async fn listed(project: &Project) -> Vec<Value> {
    project.get("/portal-links").await.ok(200).as_array().expect("an array").clone()
}

/// Within five seconds the session opens nothing, whichever instance is asked.
pub(crate) async fn ends(api: &Api) {
    let end = Instant::now() + Duration::from_secs(5);
    eventually("five seconds are over", PATIENCE, || async {
        let _ = api.get("/v1/projects").await;
        (Instant::now() > end).then_some(())
    })
    .await;
    throughout(Duration::from_millis(500), || async {
        let answers = at_once(4, |_| api.get("/v1/projects")).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        if statuses.iter().all(|status| *status == 401) { Ok(()) } else { Err(format!("{statuses:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_link_opens_its_project_once() {
    let project = Project::new().await;
    let link = made(&project, json!({})).await;
    let first = nonce();
    let session = redeem(&link.code, &first).await.ok(201);
    fields(&session, &["token", "project_id", "read_only", "expires_at"]);
    hex_after(text(&session, "token"), "portal_", 128);
    assert_eq!((&session["project_id"], &session["read_only"]), (&json!(project.id), &json!(false)));
    let lasts = timestamp(&session["expires_at"]) - now();
    assert!((28_700_000..=28_800_000).contains(&lasts), "eight hours: {lasts}");
    assert_eq!(redeem(&link.code, &first).await.ok(201), session, "a lost answer is given again");
    let message = redeem(&link.code, &nonce()).await.refused(401);
    assert!(message.contains("has been used"), "{message}");
    let api = Api::anonymous().with_bearer(text(&session, "token"));
    let projects = api.get("/v1/projects").await.ok(200);
    assert_eq!(projects, json!([project.get("").await.ok(200)]), "its own project alone");
}

#[tokio::test]
async fn of_16_holders_at_once_one_gets_the_session() {
    let project = Project::new().await;
    // Each caller has ten tries, so eight holders send theirs twice and the budget leaves some without a try.
    for link in [made(&project, json!({})).await, made(&project, json!({})).await] {
        let nonces: Vec<String> = (0..4).map(|_| nonce()).collect();
        let answers = at_once(8, |n| redeem(&link.code, &nonces[n % 4])).await;
        let opened: Vec<usize> = (0..8).filter(|n| answers[*n].status == 201).collect();
        let [one, other] = opened.as_slice() else { panic!("{answers:?}") };
        assert_eq!(other - one, 4, "both have the same nonce");
        assert_eq!(answers[*one].json(), answers[*other].json());
        for (n, answer) in answers.iter().enumerate().filter(|(n, _)| !opened.contains(n)) {
            assert!(answer.refused(401).contains("has been used"), "{n}");
        }
    }
}

#[tokio::test]
async fn tries_of_a_link_are_counted() {
    let project = Project::new().await;
    let (link, other) = (made(&project, json!({})).await, made(&project, json!({})).await);
    let wrong = format!("{}{}", &link.code[..64], nonce());
    for _ in 0..10 {
        redeem(&wrong, &nonce()).await.refused(401);
    }
    assert!(redeem(&link.code, &nonce()).await.refused(429).contains("link"));
    let _ = redeem(&other.code, &nonce()).await.ok(201);
}

#[tokio::test]
async fn what_is_no_code_opens_nothing() {
    let project = Project::new().await;
    let link = made(&project, json!({})).await;
    let other = Project::new().await;
    let moved = format!("{}{}", other.id.replace('-', ""), &link.code[32..]);
    let unknown = format!("{}{}{}", &link.code[..32], unique(), &link.code[64..]);
    for code in ["", "x", &link.code[1..], &link.code.to_uppercase(), &moved, &unknown] {
        let message = redeem(code, &nonce()).await.refused(401);
        assert!(message.contains("ask for another one"), "{message}");
    }
    let post = |body: Value| async move { Api::anonymous().post("/auth/portal", &body).await };
    post(json!({"nonce": nonce()})).await.refuses_field("code");
    post(json!({"code": link.code})).await.refuses_field("nonce");
    for bad in ["", "a", &nonce().to_uppercase(), &nonce()[1..]] {
        redeem(&link.code, bad).await.refuses_field("nonce");
    }
    let _ = redeem(&link.code, &nonce()).await.ok(201);
}

#[tokio::test]
async fn every_call_that_a_link_does_not_open_is_403() {
    let (project, other) = (Project::new().await, Project::new().await);
    let portal = opened(&project, json!({})).await;
    let body = Some(json!({"event_name": "call.ended", "name": "x"}).to_string().into_bytes());
    let call = |method: Method, path: String| {
        let (api, body) = (portal.api.clone(), body.clone());
        async move { api.send(method, &path, body).await }
    };
    let id = Uuid::now_v7();
    for (method, path) in [
        (Method::POST, project.path("/events")),
        (Method::POST, project.path("/events/batch")),
        (Method::GET, "/v1/api-keys".to_owned()),
        (Method::POST, "/v1/api-keys".to_owned()),
        (Method::PATCH, format!("/v1/api-keys/{id}/revoke")),
        (Method::GET, project.path("/portal-links")),
        (Method::GET, project.path("/audit")),
        (Method::POST, project.path("/portal-links")),
        (Method::DELETE, project.path(&format!("/portal-links/{id}"))),
        (Method::DELETE, project.path(&format!("/events/{id}/payload"))),
        (Method::DELETE, project.path("")),
        (Method::POST, "/v1/projects".to_owned()),
        (Method::GET, other.path("")),
        (Method::GET, other.path("/webhooks")),
        (Method::POST, other.path("/webhooks")),
        (Method::GET, other.path("/events")),
    ] {
        call(method, path).await.refused(403);
    }
    for path in ["/auth/refresh", "/auth/password"] {
        call(Method::POST, path.to_owned()).await.refused(401);
    }
    portal.get("/nothing").await.refused(404);
    assert_eq!(project.get("/events").await.ok(200)["data"], json!([]), "nothing was posted");
}

#[tokio::test]
async fn a_customer_makes_an_endpoint_tests_it_retries_and_replays() {
    let project = Project::new().await;
    let portal = opened(&project, json!({})).await;
    let receiver = Receiver::start().await;
    let body = json!({"url": receiver.url(), "events": ["call.ended"]});
    let created = portal.post("/webhooks", &body).await.ok(201);
    let endpoint = Endpoint::new(&portal, created);
    let delivery = project.emit_one().await;
    endpoint.ended(&delivery, "success").await;
    assert!(endpoint.secret.starts_with("whsec_"), "the receiver's code needs the secret");
    let shown = portal.get("/events").await.ok(200);
    assert_eq!(shown["data"].as_array().map(Vec::len), Some(1), "{shown}");
    let _ = portal.post(&format!("/webhooks/{}/test", endpoint.id), &json!({})).await.ok(202);
    let _ = portal.api.post_nothing(&endpoint.path(&format!("/deliveries/{delivery}/retry"))).await.ok(202);
    endpoint.ended(&delivery, "success").await;
    let since = json!({"since": "2026-01-01T00:00:00Z", "status": "success"});
    let _ = portal.post(&format!("/webhooks/{}/replay", endpoint.id), &since).await.ok(202);
    let _ = endpoint.rotate().await;
    assert_eq!(portal.api.delete(&endpoint.path("")).await.status, 204);
}

#[tokio::test]
async fn a_portal_shows_no_value_of_a_header_and_sends_none_elsewhere() {
    let project = Project::new().await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let body = json!({"url": receiver.url(), "events": ["call.ended"], "headers": {"x-token": "s3cret"}});
    let endpoint = Endpoint::new(&project, project.post("/webhooks", &body).await.ok(201));
    let portal = opened(&project, json!({})).await;
    let path = endpoint.path("");
    let shown = portal.api.get(&path).await.ok(200);
    assert_eq!(shown["signing_secret"], json!(endpoint.secret));
    assert_eq!(shown["headers"], json!({"x-token": "********"}));
    // At an origin that many people share, another path may be somebody else's.
    for url in [receiver.url_of("/another"), elsewhere.url()] {
        for change in [json!({"url": url}), json!({"url": url, "headers": {"x-token": "********"}})] {
            portal.api.patch(&path, &change).await.refuses_field("headers");
        }
        let moved = json!({"url": url, "headers": {"x-token": "another"}});
        let _ = portal.api.patch(&path, &moved).await.ok(200);
    }
    let same = json!({"url": elsewhere.url(), "headers": {"x-token": "********"}});
    let _ = portal.api.patch(&path, &same).await.ok(200);
    // Keys and accounts change a path and keep the values.
    let _ = project.api.patch(&path, &json!({"url": elsewhere.url_of("/another")})).await.ok(200);
}

#[tokio::test]
async fn a_link_for_looking_changes_nothing_and_shows_no_secret() {
    let project = Project::new().await;
    let receiver = Receiver::start().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let delivery = project.emit_one().await;
    endpoint.ended(&delivery, "success").await;
    let portal = opened(&project, json!({"read_only": true})).await;
    let before = endpoint.show().await;
    let webhook = format!("/webhooks/{}", endpoint.id);
    for path in [
        webhook.clone(),
        format!("{webhook}/deliveries"),
        format!("{webhook}/deliveries/{delivery}"),
        "/events".to_owned(),
        "/stats".to_owned(),
        format!("{webhook}/stats"),
    ] {
        let shown = portal.get(&path).await;
        assert!(shown.status == 200 && !shown.text().contains("whsec_"), "{}", shown.text());
    }
    assert_eq!(portal.get(&webhook).await.ok(200)["signing_secret"], Value::Null);
    for (method, path) in [
        (Method::POST, "/webhooks".to_owned()),
        (Method::PATCH, webhook.clone()),
        (Method::DELETE, webhook.clone()),
        (Method::POST, format!("{webhook}/secret/rotate")),
        (Method::POST, format!("{webhook}/test")),
        (Method::POST, format!("{webhook}/replay")),
        (Method::POST, format!("{webhook}/deliveries/{delivery}/retry")),
    ] {
        let message = portal.api.send(method, &portal.path(&path), Some(b"{}".to_vec())).await.refused(403);
        assert!(message.ends_with(" endpoints:write"), "{message}");
    }
    assert_eq!(endpoint.show().await, before);
}

#[tokio::test]
async fn its_holder_ends_a_session() {
    let project = Project::new().await;
    let link = made(&project, json!({})).await;
    let one = nonce();
    let session = redeem(&link.code, &one).await.ok(201);
    let api = Api::anonymous().with_bearer(text(&session, "token"));
    api.post_nothing("/auth/logout?everywhere=true").await.refuses_field("everywhere");
    let wrong = format!("portal_{}", &link.code);
    assert_eq!(Api::anonymous().with_bearer(wrong).post_nothing("/auth/logout").await.status, 204);
    let _ = api.get("/v1/projects").await.ok(200);
    for _ in 0..2 {
        assert_eq!(api.post_nothing("/auth/logout").await.status, 204);
    }
    ends(&api).await;
    redeem(&link.code, &one).await.refused(401);
    assert_eq!(listed(&project).await.len(), 0);
}

#[tokio::test]
async fn no_table_holds_a_code_or_a_token() {
    let project = Project::new().await;
    let link = made(&project, json!({})).await;
    let session = redeem(&link.code, &nonce()).await.ok(201);
    let dump = table_dump("SessionsTable").await;
    assert!(dump.contains(&link.id), "the link is there");
    for secret in [&link.code[64..], &text(&session, "token")["portal_".len() + 64..]] {
        assert!(!dump.contains(secret));
    }
}

#[tokio::test]
async fn a_redeemed_link_leaves_no_address_among_the_counts_of_tries() {
    let project = Project::new().await;
    let link = made(&project, json!({})).await;
    let _ = redeem(&link.code, &nonce()).await.ok(201);
    assert!(!table_dump("LoginFailuresTable").await.contains(&link.id));
    redeem(&link.code, &nonce()).await.refused(401);
    assert!(table_dump("LoginFailuresTable").await.contains(&link.id), "a try that fails is counted");
}

#[tokio::test]
async fn the_page_is_the_consoles_under_a_policy_of_its_own() {
    for prefix in ["", "/api"] {
        let get = async |path: &str| {
            let answer = reqwest::get(format!("{}{prefix}{path}", stack().api_url)).await.expect("an answer");
            let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
            (policy, answer.text().await.expect("a page"))
        };
        let ((portal, page), (console, _)) = (get("/portal").await, get("/console").await);
        let sites = stack().parameters["PortalFrameAncestors"].replace(',', " ");
        let sites = if sites.is_empty() { "'none'".to_owned() } else { sites };
        assert!(console.contains("frame-ancestors 'none'"), "{console}");
        assert_eq!(portal, console.replace("frame-ancestors 'none'", &format!("frame-ancestors {sites}")));
        assert!(page.contains("console/") && page.contains("name=\"portal\""), "{page}");
    }
}
