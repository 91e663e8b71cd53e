//! A fresh account with its project. Each test starts from its own, so no test sees another test's data.

use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::endpoint::Endpoint;
use crate::shape::text;

pub const ALL_EVENTS: [&str; 3] = ["call.started", "call.ended", "call.summary"];
pub const PASSWORD: &str = "correct horse battery";

/// Random lower-case hex, for names that nothing else uses.
#[must_use]
pub fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[must_use]
pub fn random_email() -> String {
    format!("{}@example.com", unique())
}

/// A complete and valid sign-up request.
#[must_use]
pub fn signup_request(email: &str) -> Value {
    json!({
        "email": email,
        "password": PASSWORD,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "business_name": "Analytical Engines",
        "business_summary": "Engines that compute",
        "industry": "Computing",
    })
}

/// A new account, with a default project and its key.
#[derive(Debug, Clone)]
pub struct Account {
    pub email: String,
    pub access_token: String,
    pub refresh_token: String,
    /// The answer to the sign-up.
    pub signup: Value,
}

impl Account {
    pub async fn sign_up() -> Self {
        let email = random_email();
        let signup = Api::anonymous().post("/auth/signup", &signup_request(&email)).await.ok(201);
        let token = |name| text(&signup, name).to_owned();
        Self { access_token: token("access_token"), refresh_token: token("refresh_token"), email, signup }
    }

    /// A caller with the account owner's access token.
    #[must_use]
    pub fn bearer(&self) -> Api {
        Api::anonymous().with_bearer(&self.access_token)
    }

    /// The project that the sign-up made.
    #[must_use]
    pub fn default_project(&self) -> Project {
        let project = &self.signup["default_project"];
        Project::known(text(project, "id"), text(project, "api_key"))
    }
}

/// A project, called with its API key.
#[derive(Debug, Clone)]
pub struct Project {
    pub id: String,
    pub key: String,
    pub api: Api,
}

impl Project {
    /// Makes a project that no other test uses.
    pub async fn new() -> Self {
        Account::sign_up().await.default_project()
    }

    /// Makes a project whose events and deliveries are spread over so many partitions.
    pub async fn with_shards(shards: u8) -> Self {
        let body = json!({"name": "spread", "shards": shards});
        let created = Account::sign_up().await.bearer().post("/v1/projects", &body).await.ok(201);
        Self::known(text(&created, "id"), text(&created, "api_key"))
    }

    #[must_use]
    pub fn known(id: &str, key: &str) -> Self {
        Self { id: id.to_owned(), key: key.to_owned(), api: Api::anonymous().with_key(key) }
    }

    /// A path below this project: `path("/webhooks")`.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/projects/{}{rest}", self.id)
    }

    pub async fn get(&self, rest: &str) -> Answer {
        self.api.get(&self.path(rest)).await
    }

    pub async fn post(&self, rest: &str, body: &Value) -> Answer {
        self.api.post(&self.path(rest), body).await
    }

    /// Makes an endpoint that is subscribed to all events.
    pub async fn endpoint(&self, url: &str) -> Endpoint {
        self.endpoint_for(url, &ALL_EVENTS).await
    }

    pub async fn endpoint_for(&self, url: &str, events: &[&str]) -> Endpoint {
        let created = self.post("/webhooks", &json!({"url": url, "events": events})).await.ok(201);
        Endpoint::new(self, created)
    }

    /// Posts an event and gives the body of the 202. If the event has an id of its own, a 503 asks for a second post.
    pub async fn post_event(&self, event: &Value) -> Value {
        let path = self.path("/events");
        if event["event_id"].is_null() {
            self.api.post(&path, event).await.ok(202)
        } else {
            self.api.post_until_served(&path, Some(event)).await.ok(202)
        }
    }

    /// Posts events in one batch and gives their results. Each event finds the endpoints as they are before the batch's
    /// first attempt.
    ///
    /// # Panics
    /// When an event of the batch is not accepted.
    pub async fn post_together(&self, events: &[Value]) -> Vec<Value> {
        let answer = self.post("/events/batch", &json!({ "events": events })).await.ok(200);
        let results = answer["results"].as_array().cloned().expect("results");
        assert!(results.iter().all(|result| result["status"] == 202), "{answer}");
        results
    }

    /// Posts an event with this name and gives the ids of its deliveries.
    pub async fn emit(&self, event_name: &str) -> Vec<String> {
        let accepted =
            self.post_event(&json!({"event_name": event_name, "data": {"call_id": unique()}})).await;
        delivery_ids(&accepted)
    }

    /// Posts a `call.ended` to which exactly one endpoint is subscribed, and gives the id of its delivery.
    ///
    /// # Panics
    /// When the event does not have exactly one delivery.
    pub async fn emit_one(&self) -> String {
        let ids = self.emit("call.ended").await;
        assert_eq!(ids.len(), 1, "one delivery was expected: {ids:?}");
        ids.into_iter().next().unwrap_or_default()
    }
}

/// The delivery ids in the 202 to an event.
///
/// # Panics
/// When the body has no deliveries.
#[must_use]
pub fn delivery_ids(accepted: &Value) -> Vec<String> {
    let deliveries = accepted["deliveries"].as_array().expect("deliveries");
    deliveries.iter().map(|delivery| text(delivery, "id").to_owned()).collect()
}
