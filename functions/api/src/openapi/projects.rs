use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Resource;
use super::auth::Confirmation;
use super::operation::{delete, get, post};
use crate::routes::projects::{NewProjectBody, ProjectBody};

/// A project to make.
#[derive(Debug, ToSchema)]
#[schema(as = ProjectToMake)]
pub struct NewProject {
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub name: String,
    /// Over how many partitions its events and deliveries are spread. It cannot be changed later. One takes some hundred
    /// events a second.
    #[schema(default = 1, minimum = 1, maximum = 64)]
    pub shards: Option<u8>,
}

pub(super) fn resource() -> Resource {
    let mut with_key = project();
    with_key["api_key"] = json!("echo_6f437a610fb0e3c1d1a94f7bb2f5d04a8e0c4a4b7f2d3c8f9d1e6a5b0c7d8e9f");
    let create = post("/v1/projects", "createProject", "Create a project")
        .about(
            "With a first API key, which is shown this once. An API key is not enough to create a project. An account has at most 100 \
             projects (the setting `MaxProjectsPerAccount`).",
        )
        .secured_only("accessToken")
        .takes::<NewProject>(json!({ "name": "staging" }))
        .gives::<NewProjectBody>(201, "Created.", with_key)
        .refuses(&[403, 409]);
    let list = get("/v1/projects", "listProjects", "List projects")
        .for_any_key()
        .about(
            "With an access token those of the account, oldest first; with an API key the one that it opens.",
        )
        .lists::<ProjectBody>("The projects.", project());
    let show = get("/v1/projects/{projectId}", "getProject", "Show a project")
        .for_any_key()
        .gives::<ProjectBody>(200, "The project.", project());
    let erase = delete("/v1/projects/{projectId}", "eraseProject", "Erase a project")
        .about(
            "With its keys, endpoints, events and deliveries. After the answer it is as if it had never been: its keys open nothing, \
             waiting deliveries are not sent, and events that still come in for it are dropped. Its rows are gone within 24 hours. An API key is not \
             enough. A wrong `password` is a 400, and counts as a failed login.",
        )
        .secured_only("accessToken")
        .takes::<Confirmation>(json!({ "password": "correct horse battery" }))
        .answers_nothing(202, "The project is erased.")
        .refuses(&[429]);
    Resource {
        tag: "Projects",
        about: "A project has endpoints, events and keys. An account starts with one project.",
        routes: vec![create, list, show, erase],
    }
}

fn project() -> Value {
    json!({
        "id": "0197c2a4-1c11-790f-b01a-1a8a16a36aad",
        "name": "staging",
        "created_at": "2025-06-30T21:00:24.465Z",
        "updated_at": "2025-06-30T21:00:24.465Z",
        "shards": 1,
    })
}
