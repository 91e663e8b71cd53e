//! Portal links: a code opens one session, even if any answer is lost.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Path;
use super::accounts::refused_soon;
use crate::lane::Auth;
use crate::run::Run;

/// Makes a link, redeems its code twice with one nonce and once with another, and ends the link.
#[derive(Debug)]
pub(super) struct Redeem;

/// The answer to the last of the requests that `insist` sent.
async fn answer(
    run: &Run<'_>,
    call: (&str, &str),
    auth: &Auth<'_>,
    body: Option<&Value>,
    wanted: &[u16],
) -> Value {
    let answers = run.insist(call.0, call.1, auth, body, wanted).await;
    answers.last().filter(|answer| answer.status != 204).map(|answer| answer.json()).unwrap_or_default()
}

#[async_trait]
impl Path for Redeem {
    fn name(&self) -> &'static str {
        "redeem-link"
    }

    async fn set_up(&self, _: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        let links = run.project("/portal-links");
        let link = answer(run, ("POST", &links), &run.key(), Some(&json!({})), &[201]).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let code = text(&link["url"]).split_once('#').map(|(_, code)| code.to_owned()).unwrap_or_default();
        let opening = |nonce: &str| json!({ "code": code, "nonce": nonce.repeat(32) });
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let session =
                answer(run, ("POST", "/auth/portal"), &Auth::None, Some(&opening("a1")), &[201]).await;
            tokens.push(text(&session["token"]));
        }
        if tokens[0].is_empty() || tokens[0] != tokens[1] {
            run.violation("a code has more than one session".to_owned());
        }
        answer(run, ("POST", "/auth/portal"), &Auth::None, Some(&opening("b2")), &[401]).await;
        let bearer = Auth::Bearer(&tokens[0]);
        answer(run, ("GET", "/v1/projects"), &bearer, None, &[200]).await;
        let listed = answer(run, ("GET", &links), &run.key(), None, &[200]).await;
        let is_listed = listed.as_array().is_some_and(|listed| {
            listed.iter().any(|one| one["id"] == link["id"] && !one["redeemed_at"].is_null())
        });
        if !is_listed {
            run.violation("a redeemed link is not listed".to_owned());
        }
        let own = format!("{links}/{}", text(&link["id"]));
        answer(run, ("DELETE", &own), &run.key(), None, &[204, 404]).await;
        refused_soon(run, &bearer, "a session of an ended link").await;
    }
}
