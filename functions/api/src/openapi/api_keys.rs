use echo_shared::scope::Scope;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Resource;
use super::operation::{Described, get, patch, post};
use super::values::{GivenId, GivenTime, ScopeName};
use crate::routes::api_keys::{ApiKeyBody, NewApiKeyBody};

/// Something by its name.
#[derive(Debug, ToSchema)]
pub struct Named {
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub name: String,
}

/// A new API key.
#[derive(Debug, ToSchema)]
pub struct NewKey {
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub name: String,
    /// What the key may do; everything when absent.
    #[schema(value_type = Option<Vec<ScopeName>>, min_items = 1)]
    pub scopes: Option<Vec<String>>,
    /// A time in the future, from which on the key opens nothing.
    #[schema(value_type = Option<GivenTime>)]
    pub expires_at: Option<String>,
}

pub(super) fn resource() -> Resource {
    let create = post("/v1/api-keys", "createApiKey", "Create an API key")
        .needs(Scope::KeysWrite)
        .about(
            "The key is shown this once; the service keeps only a hash. A project has at most 100 active keys. A key makes no key \
             with more scopes or a later end than its own.",
        )
        .takes::<NewKey>(json!({ "name": "production", "scopes": ["events:write"] }))
        .gives::<NewApiKeyBody>(201, "Created.", created())
        .refuses(&[409]);
    let list = get("/v1/api-keys", "listApiKeys", "List API keys")
        .needs(Scope::KeysWrite)
        .about("Oldest first. Of those revoked within the retention time the newest 1,000 are included.")
        .lists::<ApiKeyBody>("The keys.", key("active"));
    let revoke = patch("/v1/api-keys/{apiKeyId}/revoke", "revokeApiKey", "Revoke an API key")
        .needs(Scope::KeysWrite)
        .about("It stops working within 5 seconds everywhere. Revoking a revoked key changes nothing.")
        .gives::<ApiKeyBody>(200, "Revoked.", key("revoked"))
        .refuses(&[404, 413, 415]);
    Resource {
        tag: "API keys",
        about: "The keys that producers and tools send with each call. To replace a lost key, log in and create another.",
        routes: [create, list, revoke].into_iter().map(of_a_project).collect(),
    }
}

/// A key belongs to one project. A caller with an access token may have to name the project.
fn of_a_project(route: Described) -> Described {
    let about = "The project, for a caller whose account has several; otherwise it is the key's own or the account's only one.";
    route.query::<GivenId>("project_id", about).refuses(&[403])
}

fn key(status: &str) -> Value {
    json!({
        "id": "0197c2a4-1c11-7d34-9a6b-64f1d0c7f2aa",
        "name": "production",
        "key_prefix": "echo_6f437a610fb",
        "status": status,
        "created_at": "2025-06-30T21:00:24.465Z",
        "updated_at": "2025-06-30T21:00:24.465Z",
        "scopes": ["events:write"],
        "created_by": "account",
        "expires_at": null,
    })
}

fn created() -> Value {
    json!({
        "id": "0197c2a4-1c11-7d34-9a6b-64f1d0c7f2aa",
        "name": "production",
        "key": "echo_6f437a610fb0e3c1d1a94f7bb2f5d04a8e0c4a4b7f2d3c8f9d1e6a5b0c7d8e9f",
        "key_prefix": "echo_6f437a610fb",
        "status": "active",
        "created_at": "2025-06-30T21:00:24.465Z",
        "scopes": ["events:write"],
        "created_by": "account",
        "expires_at": null,
    })
}
