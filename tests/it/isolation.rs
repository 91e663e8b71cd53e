//! Two projects on every route: neither may see the other (contract §1).

use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Account, Project};
use echo_tests::receiver::Receiver;
use echo_tests::shape::text;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A project with an endpoint, a delivery and a key, and its state to compare with later.
struct Victim {
    account: Account,
    project: Project,
    endpoint: Endpoint,
    receiver: Receiver,
    delivery: String,
    event: String,
    key_id: String,
}

impl Victim {
    async fn new() -> Self {
        let account = Account::sign_up().await;
        let (project, receiver) = (account.default_project(), Receiver::start().await);
        let endpoint = project.endpoint(&receiver.url()).await;
        let delivery = project.emit_one().await;
        let ended = endpoint.ended(&delivery, "success").await;
        let event = text(&ended, "event_id").to_owned();
        let keys = project.api.get("/v1/api-keys").await.ok(200);
        let key_id = text(&keys[0], "id").to_owned();
        Self { account, project, endpoint, receiver, delivery, event, key_id }
    }

    async fn state(&self) -> Value {
        json!([
            self.project.get("").await.ok(200),
            self.project.get("/webhooks").await.ok(200),
            self.project.get("/events").await.ok(200),
            self.endpoint.delivery(&self.delivery).await,
            self.project.api.get("/v1/api-keys").await.ok(200),
        ])
    }

    /// Every route below a project, with a body that its owner could send.
    fn routes(&self) -> Vec<(Method, String, Option<Value>)> {
        let webhook = format!("/webhooks/{}", self.endpoint.id);
        let delivery = format!("{webhook}/deliveries/{}", self.delivery);
        vec![
            (
                Method::POST,
                "/webhooks".to_owned(),
                Some(json!({"url": self.receiver.url(), "events": ["call.ended"]})),
            ),
            (Method::GET, "/webhooks".to_owned(), None),
            (Method::POST, "/events".to_owned(), Some(json!({"event_name": "call.ended"}))),
            (Method::GET, "/events".to_owned(), None),
            (Method::GET, format!("/events/{}", self.event), None),
            (Method::DELETE, format!("/events/{}/payload", self.event), None),
            (Method::GET, "/deliveries".to_owned(), None),
            (Method::GET, "/stats".to_owned(), None),
            (Method::GET, "/audit".to_owned(), None),
            (Method::GET, format!("{webhook}/stats"), None),
            (Method::GET, format!("/deliveries/{}", self.delivery), None),
            (Method::GET, webhook.clone(), None),
            (Method::PATCH, webhook.clone(), Some(json!({"status": "disabled"}))),
            (Method::POST, format!("{webhook}/secret/rotate"), None),
            (Method::POST, format!("{webhook}/test"), None),
            (
                Method::POST,
                format!("{webhook}/replay"),
                Some(json!({"since": "2026-01-01T00:00:00Z", "status": "success"})),
            ),
            (Method::GET, format!("{webhook}/replays"), None),
            (Method::GET, format!("{webhook}/replays/{}", Uuid::now_v7()), None),
            (Method::POST, format!("{webhook}/filter/test"), Some(json!({"filter": null, "event": {}}))),
            (Method::GET, format!("{webhook}/deliveries"), None),
            (Method::GET, delivery.clone(), None),
            (Method::POST, format!("{delivery}/retry"), None),
            (Method::DELETE, webhook, None),
        ]
    }
}

fn bytes(body: Option<Value>) -> Option<Vec<u8>> {
    body.map(|body| body.to_string().into_bytes())
}

#[tokio::test]
async fn a_key_opens_no_route_of_another_project_and_learns_nothing() {
    let (victim, intruder) = (Victim::new().await, Project::new().await);
    let before = victim.state().await;
    for (method, route, body) in victim.routes() {
        let theirs =
            intruder.api.send(method.clone(), &victim.project.path(&route), bytes(body.clone())).await;
        theirs.refused(403);
        // The answer for a project that does not exist is the same, so it does not tell which projects exist.
        let nowhere = format!("/v1/projects/{}{route}", Uuid::now_v7());
        let none = intruder.api.send(method, &nowhere, bytes(body)).await;
        none.refused(403);
        assert_eq!(theirs.json(), none.json());
    }
    let path = victim.project.path("");
    intruder.api.get(&path).await.refused(403);
    assert_eq!(victim.state().await, before);
    assert_eq!(victim.receiver.count(), 1);
}

#[tokio::test]
async fn anothers_endpoint_is_not_found_in_ones_own_project() {
    let (victim, intruder) = (Victim::new().await, Project::new().await);
    let before = victim.state().await;
    for (method, route, body) in victim.routes() {
        if route.contains(&victim.endpoint.id) {
            intruder.api.send(method, &intruder.path(&route), bytes(body)).await.refused(404);
        }
    }
    assert_eq!(intruder.get("/webhooks").await.ok(200), json!([]));
    assert_eq!(victim.state().await, before);
}

#[tokio::test]
async fn anothers_delivery_is_not_found_under_ones_own_endpoint() {
    let (victim, intruder) = (Victim::new().await, Project::new().await);
    let own = intruder.endpoint(&victim.receiver.url()).await;
    let path = own.path(&format!("/deliveries/{}", victim.delivery));
    intruder.api.get(&path).await.refused(404);
    intruder.api.post_nothing(&format!("{path}/retry")).await.refused(404);
    intruder.get(&format!("/deliveries/{}", victim.delivery)).await.refused(404);
    assert_eq!(own.deliveries("").await.ok(200)["data"], json!([]));
}

#[tokio::test]
async fn anothers_keys_are_neither_listed_nor_revoked() {
    let (victim, intruder) = (Victim::new().await, Account::sign_up().await);
    let own = intruder.default_project();
    let path = format!("/v1/api-keys/{}/revoke", victim.key_id);
    own.api.patch(&path, &json!({})).await.refused(404);
    intruder.bearer().patch(&path, &json!({})).await.refused(404);
    let listed = own.api.get("/v1/api-keys").await.text();
    assert!(!listed.contains(&victim.key_id) && !listed.contains(&victim.project.key[..16]), "{listed}");
    let _ = victim.project.get("/webhooks").await.ok(200);
}

#[tokio::test]
async fn a_token_opens_no_other_accounts_projects() {
    let (victim, intruder) = (Victim::new().await, Account::sign_up().await);
    let bearer = intruder.bearer();
    let query = format!("?project_id={}", victim.project.id);
    bearer.get(&victim.project.path("")).await.refused(403);
    bearer.get(&format!("/v1/api-keys{query}")).await.refused(403);
    bearer.post(&format!("/v1/api-keys{query}"), &json!({"name": "x"})).await.refused(403);
    bearer.patch(&format!("/v1/api-keys/{}/revoke{query}", victim.key_id), &json!({})).await.refused(403);
    let listed = bearer.get("/v1/projects").await.text();
    assert!(!listed.contains(&victim.project.id), "{listed}");
    let theirs = victim.account.bearer().get("/v1/projects").await.text();
    assert!(!theirs.contains(&intruder.default_project().id), "{theirs}");
}

#[tokio::test]
async fn a_key_lists_only_its_own_projects_keys_whatever_it_asks_for() {
    let (victim, intruder) = (Victim::new().await, Project::new().await);
    let answer = intruder.api.get(&format!("/v1/api-keys?project_id={}", victim.project.id)).await;
    assert!(!answer.text().contains(&victim.key_id), "{}", answer.text());
}

#[tokio::test]
async fn a_cursor_from_another_project_is_refused() {
    let (victim, intruder) = (Victim::new().await, Project::new().await);
    let second = victim.project.emit_one().await;
    victim.endpoint.ended(&second, "success").await;
    let page = victim.endpoint.deliveries("?limit=1").await.ok(200);
    let own = intruder.endpoint(&victim.receiver.url()).await;
    own.deliveries(&format!("?cursor={}", text(&page, "next_cursor"))).await.refuses_field("cursor");
}

#[tokio::test]
async fn an_event_reaches_its_own_projects_endpoints_only() {
    let (victim, intruder) = (Victim::new().await, Project::new().await);
    let receiver = Receiver::start().await;
    let own = intruder.endpoint(&receiver.url()).await;
    let accepted = intruder.post_event(&json!({"event_name": "call.ended"})).await;
    assert_eq!(accepted["deliveries"].as_array().map(Vec::len), Some(1));
    assert_eq!(accepted["deliveries"][0]["webhook_endpoint_id"], own.id);
    receiver.first().await;
    victim.receiver.no_more_than(1, std::time::Duration::from_secs(2)).await;
}
