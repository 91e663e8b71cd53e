//! The rows that each lane begins with: an account, a project with its key, and ten endpoints. They are made
//! once, through the API, and copied into each lane.

use std::io;

use serde_json::{Value, json};

use crate::dynamo::Dynamo;
use crate::gateway::HttpAnswer;
use crate::lane::{Auth, Lane, LaneSettings};

/// The receiver of the original's endpoints. Each lane's copy points at the lane's own receiver.
const NOWHERE: &str = "127.0.0.1:9";

pub const EMAIL: &str = "lane@example.com";
pub const PASSWORD: &str = "correct horse battery";

/// An event of the first name goes to the first endpoint alone, and one of the second name to all ten.
pub const ONE: &str = "call.started";
pub const TEN: &str = "call.summary";

#[derive(Debug, Clone)]
pub struct World {
    pub account_id: String,
    pub project_id: String,
    pub api_key: String,
    pub access_token: String,
    pub refresh_token: String,
    /// Ids in order of creation; endpoint `n` posts to the receiver's path `/n`.
    pub endpoints: Vec<String>,
    rows: Vec<(&'static str, Value)>,
}

fn expect(answer: &HttpAnswer, status: u16, what: &str) -> io::Result<Value> {
    if answer.status == status {
        return Ok(answer.json());
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(io::Error::other(format!("{what}: {} instead of {status}: {body}", answer.status)))
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The body of a sign-up.
#[must_use]
pub fn signup(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "first_name": "Ada", "last_name": "Lane",
        "business_name": "Lanes", "business_summary": "Side by side", "industry": "roads" })
}

impl World {
    /// Makes the original.
    ///
    /// # Errors
    /// When the API gives a wrong answer, although nothing fails.
    pub async fn make() -> io::Result<Self> {
        let lane = Lane::start(LaneSettings { name: "world".to_owned(), ..LaneSettings::default() }).await?;
        let answer = lane.call("POST", "/auth/signup", &Auth::None, Some(&signup(EMAIL))).await;
        let account = expect(&answer, 201, "sign-up")?;
        let project_id = string(&account["default_project"]["id"]);
        let api_key = string(&account["default_project"]["api_key"]);
        let mut endpoints = Vec::new();
        for n in 0..10 {
            let events = if n == 0 { json!([ONE, "call.ended", TEN]) } else { json!([TEN]) };
            let body = json!({ "url": format!("http://{NOWHERE}/{n}"), "events": events });
            let target = format!("/v1/projects/{project_id}/webhooks");
            let answer = lane.call("POST", &target, &Auth::Key(&api_key), Some(&body)).await;
            endpoints.push(string(&expect(&answer, 201, "endpoint")?["id"]));
        }
        let rows = Dynamo::tables()
            .flat_map(|table| lane.aws.dynamo.items(table).into_iter().map(move |item| (table, item)))
            .collect();
        Ok(Self {
            account_id: string(&account["user"]["id"]),
            project_id,
            api_key,
            access_token: string(&account["access_token"]),
            refresh_token: string(&account["refresh_token"]),
            endpoints,
            rows,
        })
    }

    /// Copies it into a lane.
    pub fn copy_to(&self, lane: &Lane) {
        let here = lane.receiver.address().to_string();
        for (table, item) in &self.rows {
            let item = item.to_string().replace(NOWHERE, &here);
            lane.aws.dynamo.put(table, &serde_json::from_str(&item).unwrap_or_default());
        }
    }

    /// A lane with this world in it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn lane(&self, settings: LaneSettings) -> io::Result<Lane> {
        let lane = Lane::start(settings).await?;
        self.copy_to(&lane);
        Ok(lane)
    }
}
