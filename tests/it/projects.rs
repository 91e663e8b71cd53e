//! An account's projects (contract §2).

use echo_tests::api::Api;
use echo_tests::cap;
use echo_tests::project::{Account, Project};
use echo_tests::shape::{fields, hex_after, made, text};
use echo_tests::stack::stack;
use echo_tests::time::timestamp;
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_project_comes_with_a_key_of_its_own() {
    let account = Account::sign_up().await;
    let created = account.bearer().post("/v1/projects", &json!({"name": "second"})).await.ok(201);
    fields(&created, &["id", "name", "api_key", "created_at", "updated_at", "shards"]);
    made(&created);
    assert_eq!(created["name"], "second");
    assert_eq!(timestamp(&created["updated_at"]), timestamp(&created["created_at"]));
    hex_after(text(&created, "api_key"), "echo_", 64);

    let project = Project::known(text(&created, "id"), text(&created, "api_key"));
    assert_eq!(project.get("/webhooks").await.ok(200), json!([]));
    project.api.get(&account.default_project().path("/webhooks")).await.refused(403);
}

#[tokio::test]
async fn a_project_needs_a_name_that_is_a_string() {
    let bearer = Account::sign_up().await.bearer();
    for body in [json!({}), json!({"name": 7}), json!({"name": null}), json!({"name": ["x"]})] {
        bearer.post("/v1/projects", &body).await.refuses_field("name");
    }
}

#[tokio::test]
async fn a_project_has_the_number_of_shards_that_it_was_made_with() {
    let account = Account::sign_up().await;
    assert_eq!(account.default_project().get("").await.ok(200)["shards"], 1);
    let bearer = account.bearer();
    for (body, shards) in [
        (json!({"name": "plain"}), 1),
        (json!({"name": "null", "shards": null}), 1),
        (json!({"name": "one", "shards": 1}), 1),
        (json!({"name": "most", "shards": 64}), 64),
    ] {
        let created = bearer.post("/v1/projects", &body).await.ok(201);
        assert_eq!(created["shards"], shards, "{body}");
        let path = format!("/v1/projects/{}", text(&created, "id"));
        assert_eq!(bearer.get(&path).await.ok(200)["shards"], shards, "{body}");
    }
    for shards in [json!(0), json!(65), json!(-1), json!(1.5), json!("2"), json!([2])] {
        bearer.post("/v1/projects", &json!({"name": "x", "shards": shards})).await.refuses_field("shards");
    }
}

#[tokio::test]
async fn the_accounts_projects_are_listed_without_their_keys() {
    let account = Account::sign_up().await;
    let created = account.bearer().post("/v1/projects", &json!({"name": "second"})).await.ok(201);
    let listed = account.bearer().get("/v1/projects").await.ok(200);
    let listed = listed.as_array().expect("an array");
    for project in listed {
        fields(project, &["id", "name", "created_at", "updated_at", "shards"]);
        made(project);
    }
    let mut found: Vec<(&str, &str)> =
        listed.iter().map(|each| (text(each, "id"), text(each, "name"))).collect();
    found.sort_unstable();
    let default = account.default_project();
    let mut wanted = [(default.id.as_str(), "default"), (text(&created, "id"), "second")];
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_project_is_shown_to_its_key_and_to_its_owner() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let by_key = project.get("").await.ok(200);
    fields(&by_key, &["id", "name", "created_at", "updated_at", "shards"]);
    made(&by_key);
    assert_eq!((text(&by_key, "id"), text(&by_key, "name")), (project.id.as_str(), "default"));
    assert_eq!(account.bearer().get(&project.path("")).await.ok(200), by_key);
}

#[tokio::test]
async fn a_key_lists_the_one_project_that_it_opens() {
    let account = Account::sign_up().await;
    let second = account.bearer().post("/v1/projects", &json!({"name": "second"})).await;
    assert_eq!(second.status, 201);
    let project = account.default_project();
    let listed = project.api.get("/v1/projects").await.ok(200);
    assert_eq!(listed, json!([project.get("").await.ok(200)]));
    project.api.post("/v1/projects", &json!({"name": "x"})).await.refused(401);
}

#[tokio::test]
async fn an_account_has_at_most_so_many_projects_even_when_made_16_at_once() {
    let bearer = Account::sign_up().await.bearer();
    let most = usize::try_from(stack().max_projects()).expect("a small number");
    let body = json!({"name": "one of many"});
    let create = || bearer.post("/v1/projects", &body);
    // The sign-up made one project.
    cap::meet(most - 9, &format!("{most} projects"), create).await;
    let listed = bearer.get("/v1/projects").await.ok(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(most));
}

#[tokio::test]
async fn projects_are_not_listed_without_a_credential() {
    let account = Account::sign_up().await;
    let api = Api::anonymous();
    api.get("/v1/projects").await.refused(401);
    api.post("/v1/projects", &json!({"name": "x"})).await.refused(401);
    api.with_bearer("x").get("/v1/projects").await.refused(401);
    let listed: Value = account.bearer().get("/v1/projects").await.ok(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
}
