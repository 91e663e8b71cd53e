use echo_shared::scope::Scope;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Resource;
use super::operation::{delete, get, post};
use crate::routes::portal_links::{NewPortalLinkBody, PortalLinkBody};

/// A portal link to make. Another field is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PortalLinkToMake {
    /// For how long the link can be redeemed.
    #[schema(default = 3_600, minimum = 60, maximum = 86_400)]
    pub expires_in_seconds: Option<u32>,
    /// How long its session lasts, from the moment in which the link is redeemed.
    #[schema(default = 28_800, minimum = 300, maximum = 86_400)]
    pub session_seconds: Option<u32>,
    /// Whether the session only looks, and gets no secrets.
    #[schema(default = false)]
    pub read_only: Option<bool>,
}

const LINKS: &str = "/v1/projects/{projectId}/portal-links";
const LINK: &str = "/v1/projects/{projectId}/portal-links/{portalLinkId}";

pub(super) fn resource() -> Resource {
    let create = post(LINKS, "createPortalLink", "Make a portal link")
        .needs(Scope::KeysWrite)
        .about(
            "Send the `url` to one person. It opens this project in the portal, once and in one browser, when that person presses a button: \
             endpoints with their signing secrets and without the values of their headers, deliveries, events, tests, retries and replays; \
             no keys, no posting of events, no other project. A key makes no link that opens more than its own scopes, and the link and its \
             session end with the key at the latest. An unknown field is a 400.",
        )
        .may_take::<PortalLinkToMake>(json!({ "session_seconds": 3_600, "read_only": true }))
        .gives::<NewPortalLinkBody>(201, "Made.", json!({
            "id": "0197c2a4-1c11-7d34-9a6b-64f1d0c7f2aa",
            "url": "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/portal#0197c2a41c11790fb01a1a8a16a36aad0197c2a41c117d349a6b64f1d0c7f2aa83ef33172e507644331b2915aede54ca4f0d895b61ff17a8412e8674160a277e",
            "expires_at": "2025-06-30T22:00:24.465Z",
        }));
    let list = get(LINKS, "listPortalLinks", "List portal links")
        .needs(Scope::KeysWrite)
        .about("Those that can still be redeemed or whose session lasts, newest first, and the newest 1,000 of them.")
        .lists::<PortalLinkBody>("The links.", link());
    let end = delete(LINK, "endPortalLink", "End a portal link")
        .needs(Scope::KeysWrite)
        .about("The link opens nothing any more, and within 5 seconds its session has ended everywhere.")
        .answers_nothing(204, "Ended.")
        .refuses(&[404]);
    Resource {
        tag: "Portal links",
        about: "Links with which the customer of a project sees and mends the project's endpoints, without an account.",
        routes: vec![create, list, end],
    }
}

fn link() -> Value {
    json!({
        "id": "0197c2a4-1c11-7d34-9a6b-64f1d0c7f2aa",
        "created_at": "2025-06-30T21:00:24.465Z",
        "expires_at": "2025-06-30T22:00:24.465Z",
        "session_seconds": 28_800,
        "read_only": false,
        "created_by": "account",
        "redeemed_at": "2025-06-30T21:02:10.120Z",
        "session_expires_at": "2025-07-01T05:02:10.120Z",
    })
}
