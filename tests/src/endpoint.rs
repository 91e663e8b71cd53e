//! A webhook endpoint and its deliveries.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::project::Project;
use crate::shape;
use crate::shape::text;
use crate::wait::{PATIENCE, eventually};

#[derive(Debug, Clone)]
pub struct Endpoint {
    pub id: String,
    pub secret: String,
    /// The object in the answer to its creation.
    pub created: Value,
    path: String,
    api: Api,
}

impl Endpoint {
    #[must_use]
    pub fn new(project: &Project, created: Value) -> Self {
        shape::endpoint(&created);
        let id = text(&created, "id").to_owned();
        let path = project.path(&format!("/webhooks/{id}"));
        Self {
            secret: text(&created, "signing_secret").to_owned(),
            id,
            created,
            path,
            api: project.api.clone(),
        }
    }

    /// A path below this endpoint: `path("/deliveries")`.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("{}{rest}", self.path)
    }

    /// The endpoint as the API shows it now.
    pub async fn show(&self) -> Value {
        let shown = self.api.get(&self.path).await.ok(200);
        shape::endpoint(&shown);
        shown
    }

    pub async fn patch(&self, change: &Value) -> Value {
        let changed = self.api.patch(&self.path, change).await.ok(200);
        shape::endpoint(&changed);
        changed
    }

    pub async fn set_status(&self, status: &str) {
        let changed = self.patch(&json!({"status": status})).await;
        assert_eq!(changed["status"], status, "{changed}");
    }

    pub async fn delete(&self) {
        let answer = self.api.delete(&self.path).await;
        assert_eq!(answer.status, 204, "{}: {}", answer.what, answer.text());
    }

    /// Rotates the secret and gives the new one.
    pub async fn rotate(&self) -> String {
        let answer = self.api.post_nothing(&self.path("/secret/rotate")).await.ok(200);
        shape::fields(&answer, &["signing_secret"]);
        shape::hex_after(text(&answer, "signing_secret"), "whsec_", 64);
        text(&answer, "signing_secret").to_owned()
    }

    /// Asks for a page of deliveries: `deliveries("?limit=3")`.
    pub async fn deliveries(&self, query: &str) -> Answer {
        self.api.get(&self.path(&format!("/deliveries{query}"))).await
    }

    /// A delivery as the API shows it now, with its attempts.
    pub async fn delivery(&self, id: &str) -> Value {
        let delivery = self.api.get(&self.path(&format!("/deliveries/{id}"))).await.ok(200);
        shape::delivery_with_attempts(&delivery);
        assert_eq!(delivery["id"], id);
        delivery
    }

    /// Asks for a manual attempt. A delivery that has just failed answers 503 until its failure is counted.
    pub async fn retry(&self, id: &str) -> Answer {
        self.api.post_until_served(&self.path(&format!("/deliveries/{id}/retry")), None).await
    }

    /// Waits until a delivery fulfils `wanted`.
    pub async fn delivery_when(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.delivery_within(PATIENCE, id, what, wanted).await
    }

    async fn delivery_within(
        &self,
        patience: Duration,
        id: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let wanted = &wanted;
        let seen = &std::cell::RefCell::new(Value::Null);
        let what = Latest { what, seen };
        eventually(what, patience, || async move {
            let delivery = self.delivery(id).await;
            if wanted(&delivery) {
                return Some(delivery);
            }
            seen.replace(delivery);
            None
        })
        .await
    }

    /// Waits until a delivery has ended, and checks its status.
    ///
    /// # Panics
    /// When the delivery ends with another status or does not end.
    pub async fn ended(&self, id: &str, status: &str) -> Value {
        let ended = |delivery: &Value| matches!(text(delivery, "status"), "success" | "failed");
        let delivery = self.delivery_when(id, "the delivery ends", ended).await;
        assert_eq!(delivery["status"], status, "{delivery}");
        delivery
    }

    /// Waits until a delivery has at least this many attempts, successful or not.
    pub async fn attempted(&self, id: &str, attempts: u64) -> Value {
        let enough = |delivery: &Value| delivery["attempt_count"].as_u64() >= Some(attempts);
        self.delivery_when(id, &format!("attempt {attempts} is recorded"), enough).await
    }

    /// Waits until the endpoint fulfils `wanted`.
    pub async fn when(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = &wanted;
        let seen = &std::cell::RefCell::new(Value::Null);
        let what = Latest { what, seen };
        eventually(what, PATIENCE, || async move {
            let shown = self.show().await;
            if wanted(&shown) {
                return Some(shown);
            }
            seen.replace(shown);
            None
        })
        .await
    }
}

/// The condition that a test waited for, and the last state that it saw.
struct Latest<'a> {
    what: &'a str,
    seen: &'a std::cell::RefCell<Value>,
}

impl std::fmt::Display for Latest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; at last: {}", self.what, self.seen.borrow())
    }
}
