//! What a key with few scopes, or with an end, can do (contract §2).

use std::collections::BTreeSet;
use std::time::Duration;

use echo_tests::api::{Answer, Api};
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Account, Project};
use echo_tests::shape::{fields, text};
use echo_tests::time::{millis, now, rfc3339};
use echo_tests::wait::{PATIENCE, at_once, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::portal::opened;

const SCOPES: [&str; 4] = ["events:write", "read", "endpoints:write", "keys:write"];

/// A moment so long from now, as the service writes it.
fn in_time(duration: Duration) -> String {
    rfc3339(now() + millis(duration))
}

async fn create(api: &Api, more: Value) -> Answer {
    let mut body = json!({"name": "some"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    api.post("/v1/api-keys", &body).await
}

/// The project, called with a new key of these scopes.
async fn with_scopes(project: &Project, scopes: &[&str]) -> Project {
    let key = create(&project.api, json!({"scopes": scopes})).await.ok(201);
    Project::known(&project.id, text(&key, "key"))
}

fn names(answer: &Answer, scope: &str) {
    let message = answer.refused(403);
    assert!(message.ends_with(&format!(" {scope}")), "{}: {message}", answer.what);
}

#[tokio::test]
async fn a_producers_key_posts_events_and_does_nothing_else() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    let producer = with_scopes(&project, &["events:write"]).await;
    let accepted = producer.post_event(&json!({"event_name": "call.ended"})).await;
    let event = format!("/events/{}", text(&accepted, "event_id"));
    let webhook = format!("/webhooks/{}", endpoint.id);
    for path in
        ["/webhooks", &webhook, "/events", &event, "/deliveries", "/stats", &format!("{webhook}/stats")]
    {
        names(&producer.get(path).await, "read");
    }
    for path in ["/webhooks", &format!("{webhook}/test"), &format!("{webhook}/secret/rotate")] {
        names(&producer.post(path, &json!({})).await, "endpoints:write");
    }
    names(&producer.api.delete(&producer.path(&webhook)).await, "endpoints:write");
    names(&producer.api.get("/v1/api-keys").await, "keys:write");
    names(&producer.get("/audit").await, "keys:write");
    names(&create(&producer.api, json!({})).await, "keys:write");
    let shown = producer.get("").await.ok(200);
    assert_eq!(shown["id"], project.id, "its own project");
}

#[tokio::test]
async fn a_reading_key_gets_no_secret() {
    let project = Project::new().await;
    let body = json!({"url": "https://example.com/", "events": ["call.ended"], "headers": {"authorization": "Bearer s3cret"}});
    let created = project.post("/webhooks", &body).await.ok(201);
    let endpoint = Endpoint::new(&project, created.clone());
    let reader = with_scopes(&project, &["read"]).await;
    let mut masked = created;
    masked["signing_secret"] = Value::Null;
    assert_eq!(reader.get("/webhooks").await.ok(200), json!([masked]));
    assert_eq!(reader.get(&format!("/webhooks/{}", endpoint.id)).await.ok(200), masked);
    names(&reader.post("/events", &json!({"event_name": "call.ended"})).await, "events:write");
    names(
        &reader.api.patch(&endpoint.path(""), &json!({"url": "https://eve.example.com/"})).await,
        "endpoints:write",
    );
    let manager = with_scopes(&project, &["read", "endpoints:write"]).await;
    assert_eq!(
        manager.get(&format!("/webhooks/{}", endpoint.id)).await.ok(200)["signing_secret"],
        endpoint.secret
    );
}

/// A call that `/openapi.json` describes, for a project, with ids of nothing in the rest of its path.
struct Call {
    method: Method,
    path: String,
    /// The scopes that the description wants of each kind of credential; `None` when it does not let that kind in.
    by_key: Option<Vec<String>>,
    by_account: Option<Vec<String>>,
    in_portal: Option<Vec<String>>,
}

impl Call {
    fn new(project: &Project, (path, method): (&str, &str), security: &Value) -> Self {
        let named = |segment: &str| match segment {
            "{projectId}" => project.id.clone(),
            "{name}" => "order.paid".to_owned(),
            id if id.starts_with('{') => Uuid::now_v7().to_string(),
            other => other.to_owned(),
        };
        let path: Vec<String> = path.split('/').map(named).collect();
        let wants = |scheme: &str| {
            let ways = security.as_array().expect("credentials");
            let scopes = ways.iter().find_map(|way| way.get(scheme)?.as_array())?;
            Some(scopes.iter().map(|scope| scope.as_str().expect("a scope").to_owned()).collect())
        };
        Self {
            method: method.to_uppercase().parse().expect("a method"),
            path: path.join("/"),
            by_key: wants("apiKey"),
            by_account: wants("accessToken"),
            in_portal: wants("portalToken"),
        }
    }

    async fn by(&self, caller: &Project) -> Answer {
        let body = (self.method != Method::GET).then(|| b"{}".to_vec());
        caller.api.send(self.method.clone(), &self.path, body).await
    }
}

/// Every call below `/v1` that the description has.
async fn described(project: &Project) -> Vec<Call> {
    let document = Api::anonymous().get("/openapi.json").await.ok(200);
    let paths = document["paths"].as_object().expect("paths").iter();
    let calls = paths.filter(|(path, _)| path.starts_with("/v1/")).flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations").iter();
        operations.map(|(method, operation)| Call::new(project, (path, method), &operation["security"]))
    });
    calls.collect()
}

#[tokio::test]
async fn every_described_call_wants_the_scope_that_the_description_names() {
    let project = Project::new().await;
    let mut seen = BTreeSet::new();
    let calls = described(&project).await;
    for call in &calls {
        assert_eq!(call.by_account, Some(Vec::new()), "{} {}: no account gets in", call.method, call.path);
    }
    for scope in SCOPES {
        let others: Vec<&str> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        let (lacking, having) = (with_scopes(&project, &others).await, with_scopes(&project, &[scope]).await);
        for call in &calls {
            match call.by_key.as_deref() {
                Some([wanted]) if wanted == scope => {
                    names(&call.by(&lacking).await, scope);
                    let let_in = call.by(&having).await;
                    let is_refused = let_in.text().contains(&format!("lacks the scope {scope}\""));
                    assert!(let_in.status != 401 && !is_refused, "{}: {}", let_in.what, let_in.text());
                    seen.insert(scope);
                }
                Some([_]) => {}
                Some([]) => {
                    let let_in = call.by(&having).await;
                    assert!([200, 404].contains(&let_in.status), "{}: {}", let_in.what, let_in.text());
                }
                Some(several) => panic!("{}: {several:?}", call.path),
                None => {
                    let message = call.by(&having).await.refused(401);
                    assert!(message.contains("an API key is not enough"), "{}: {message}", call.path);
                }
            }
        }
    }
    assert_eq!(seen, BTreeSet::from(SCOPES));
    for call in calls.iter().filter(|call| call.by_key.is_none()) {
        call.by(&project).await.refused(401);
    }
}

#[tokio::test]
async fn every_described_call_opens_to_portal_links_as_the_description_says() {
    let project = Project::new().await;
    let whole = opened(&project, json!({})).await;
    let looking = opened(&project, json!({"read_only": true})).await;
    let mut seen = BTreeSet::new();
    for call in described(&project).await {
        match call.in_portal.as_deref() {
            None => {
                for portal in [&whole, &looking] {
                    call.by(portal).await.refused(403);
                }
            }
            Some([scope]) if scope != "read" => names(&call.by(&looking).await, scope),
            Some(_) => {
                let let_in = call.by(&looking).await;
                assert!(![401, 403].contains(&let_in.status), "{}: {}", let_in.what, let_in.text());
            }
        }
        seen.insert(call.in_portal);
    }
    let scopes = |scope: &str| Some(vec![scope.to_owned()]);
    assert_eq!(seen, BTreeSet::from([None, Some(Vec::new()), scopes("read"), scopes("endpoints:write")]));
}

#[tokio::test]
async fn a_missing_scope_comes_after_anothers_project_and_before_a_404() {
    let (project, other) = (Project::new().await, Project::new().await);
    let producer = with_scopes(&project, &["events:write"]).await;
    let unknown = "/webhooks/01a20259-3a57-7c63-9fb6-0c94e1b2e2ff";
    names(&producer.get(unknown).await, "read");
    names(&producer.get("/webhooks/x").await, "read");
    names(
        &producer.api.post_raw(&project.path("/webhooks"), vec![b'x'; 300 * 1024]).await,
        "endpoints:write",
    );
    producer.get("/nothing").await.refused(404);
    let message = producer.api.get(&other.path("/webhooks")).await.refused(403);
    assert!(!message.contains("scope"), "{message}");
}

#[tokio::test]
async fn a_key_shows_its_scopes_its_maker_and_its_end() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let end = in_time(Duration::from_secs(3_600));
    let created =
        create(&project.api, json!({"scopes": ["read", "events:write"], "expires_at": end})).await.ok(201);
    fields(
        &created,
        &["id", "name", "key", "key_prefix", "status", "created_at", "scopes", "created_by", "expires_at"],
    );
    let by_account = create(&account.bearer(), json!({"scopes": null, "expires_at": null})).await.ok(201);
    let listed = project.api.get("/v1/api-keys").await.ok(200);
    let shown = |key: &Value| json!([key["scopes"], key["created_by"], key["expires_at"]]);
    assert_eq!(shown(&listed[0]), json!([SCOPES, "account", null]), "made at sign-up");
    assert_eq!(shown(&listed[1]), json!([["events:write", "read"], listed[0]["id"], end]));
    assert_eq!(shown(&listed[2]), json!([SCOPES, "account", null]));
    assert_eq!([shown(&created), shown(&by_account)], [shown(&listed[1]), shown(&listed[2])]);
}

#[tokio::test]
async fn a_key_makes_none_that_reaches_further() {
    let project = Project::new().await;
    let (soon, later) = (in_time(Duration::from_secs(600)), in_time(Duration::from_secs(601)));
    let scopes = ["read", "keys:write"];
    let maker = create(&project.api, json!({"scopes": scopes, "expires_at": soon})).await.ok(201);
    let maker = project.api.with_key(text(&maker, "key"));
    let made = create(&maker, json!({"scopes": ["keys:write"], "expires_at": soon})).await.ok(201);
    assert_eq!(made["scopes"], json!(["keys:write"]));
    for (more, named) in [
        (json!({"expires_at": soon}), "events:write"),
        (json!({"scopes": ["read", "endpoints:write"], "expires_at": soon}), "endpoints:write"),
        (json!({"scopes": scopes}), "expires_at"),
        (json!({"scopes": scopes, "expires_at": later}), "expires_at"),
    ] {
        let message = create(&maker, more.clone()).await.refused(403);
        assert!(message.contains(named), "{more}: {message}");
    }
}

#[tokio::test]
async fn scopes_and_an_end_that_are_no_such_are_named() {
    let project = Project::new().await;
    for wrong in [json!([]), json!("read"), json!(["write"]), json!([7]), json!({"read": true})] {
        create(&project.api, json!({"scopes": wrong})).await.refuses_field("scopes");
    }
    for wrong in [json!("tomorrow"), json!(7), json!("2026-01-01T00:00:00.000Z")] {
        create(&project.api, json!({"expires_at": wrong})).await.refuses_field("expires_at");
    }
}

#[tokio::test]
async fn a_key_that_has_ended_opens_nothing() {
    let project = Project::new().await;
    let end = in_time(Duration::from_secs(8));
    let key = create(&project.api, json!({"expires_at": end})).await.ok(201);
    let api = project.api.with_key(text(&key, "key"));
    assert!(matches!(api.get("/v1/projects").await.status, 200 | 401));
    eventually("the key ends", PATIENCE, || async {
        (api.get("/v1/projects").await.status == 401).then_some(())
    })
    .await;
    let answers = at_once(6, |_| api.get("/v1/projects")).await;
    assert!(answers.iter().all(|answer| answer.status == 401), "in every instance");
    let listed = project.api.get("/v1/api-keys").await.ok(200);
    assert_eq!(listed[1]["expires_at"], end);
}
