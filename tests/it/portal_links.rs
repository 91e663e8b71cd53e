//! Portal links as their makers list, make and end them (contract §2).

use std::collections::BTreeSet;
use std::time::Duration;

use echo_tests::api::{Answer, Api};
use echo_tests::project::{Account, Project};
use echo_tests::shape::{fields, text};
use echo_tests::time::{millis, now, rfc3339, timestamp};
use echo_tests::wait::{PATIENCE, at_once, eventually};
use serde_json::{Value, json};

use crate::portal::{ends, listed, made, nonce, redeem};

#[tokio::test]
async fn sixteen_links_made_at_once_are_all_made() {
    let project = Project::new().await;
    let body = json!({});
    let answers = at_once(16, |_| project.post("/portal-links", &body)).await;
    let made: BTreeSet<String> =
        answers.iter().map(|answer| text(&answer.ok(201), "id").to_owned()).collect();
    let links = listed(&project).await;
    let listed: BTreeSet<String> = links.iter().map(|link| text(link, "id").to_owned()).collect();
    assert_eq!((made.len(), made), (16, listed));
}

#[tokio::test]
async fn links_are_listed_and_ended_one_by_one() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let key_id = text(&project.api.get("/v1/api-keys").await.ok(200)[0], "id").to_owned();
    let of_key = made(&project, json!({"expires_in_seconds": 60, "session_seconds": 300})).await;
    let by_account = Project { api: account.bearer(), ..project.clone() };
    let of_account = made(&by_account, json!({"read_only": true})).await;
    let session = redeem(&of_key.code, &nonce()).await.ok(201);
    let api = Api::anonymous().with_bearer(text(&session, "token"));
    let _ = api.get("/v1/projects").await.ok(200);

    let links = listed(&project).await;
    let names = [
        "id",
        "created_at",
        "expires_at",
        "session_seconds",
        "read_only",
        "created_by",
        "redeemed_at",
        "session_expires_at",
    ];
    links.iter().for_each(|link| fields(link, &names));
    let shown =
        |link: &Value| json!([link["id"], link["session_seconds"], link["read_only"], link["created_by"]]);
    assert_eq!(shown(&links[0]), json!([of_account.id, 28_800, true, "account"]), "the newest first");
    assert_eq!(shown(&links[1]), json!([of_key.id, 300, false, key_id]));
    assert_eq!((&links[0]["redeemed_at"], &links[0]["session_expires_at"]), (&Value::Null, &Value::Null));
    assert_eq!(links[1]["session_expires_at"], session["expires_at"]);
    assert_eq!(timestamp(&links[1]["expires_at"]) - timestamp(&links[1]["created_at"]), 60_000);

    let path = |id: &str| project.path(&format!("/portal-links/{id}"));
    assert_eq!(project.api.delete(&path(&of_key.id)).await.status, 204);
    project.api.delete(&path(&of_key.id)).await.refused(404);
    assert!(redeem(&of_key.code, &nonce()).await.refused(401).contains("ended"));
    ends(&api).await;
    assert_eq!(listed(&project).await.len(), 1);
    assert_eq!(by_account.api.delete(&path(&of_account.id)).await.status, 204);
    redeem(&of_account.code, &nonce()).await.refused(401);
    assert_eq!(listed(&project).await.len(), 0);
    let other = Project::new().await;
    let others = made(&other, json!({})).await;
    project.api.delete(&path(&others.id)).await.refused(404);
    project.api.delete(&path("x")).await.refuses_field("portalLinkId");
    let _ = redeem(&others.code, &nonce()).await.ok(201);
}

#[tokio::test]
async fn a_key_makes_no_link_that_opens_more_or_for_longer_than_itself() {
    let project = Project::new().await;
    let with = |scopes: Value, expires_at: Value| {
        let project = project.clone();
        async move {
            let body = json!({"name": "some", "scopes": scopes, "expires_at": expires_at});
            let key = project.api.post("/v1/api-keys", &body).await.ok(201);
            Project::known(&project.id, text(&key, "key"))
        }
    };
    let names =
        |answer: &Answer, scope: &str| assert!(answer.refused(403).contains(scope), "{}", answer.text());
    names(
        &with(json!(["read", "endpoints:write"]), Value::Null).await.post("/portal-links", &json!({})).await,
        "keys:write",
    );
    names(
        &with(json!(["keys:write"]), Value::Null)
            .await
            .post("/portal-links", &json!({"read_only": true}))
            .await,
        "read",
    );
    let end = rfc3339(now() + millis(Duration::from_secs(15)));
    let reader = with(json!(["keys:write", "read"]), json!(end)).await;
    names(&reader.post("/portal-links", &json!({})).await, "endpoints:write");
    let link = reader.post("/portal-links", &json!({"read_only": true})).await.ok(201);
    assert_eq!(link["expires_at"], end);
    let (_, code) = text(&link, "url").split_once('#').expect("a code");
    let session = redeem(code, &nonce()).await.ok(201);
    assert_eq!(session["expires_at"], end);
    let api = Api::anonymous().with_bearer(text(&session, "token"));
    eventually("the session ends with the key", PATIENCE, || async {
        (api.get("/v1/projects").await.status == 401).then_some(())
    })
    .await;
    assert!(rfc3339(now()) >= end, "not before");
    redeem(code, &nonce()).await.refused(401);
}

#[tokio::test]
async fn what_a_link_cannot_be_is_named() {
    let project = Project::new().await;
    for (field, bad) in [
        ("expires_in_seconds", json!(59)),
        ("expires_in_seconds", json!(86_401)),
        ("session_seconds", json!(299)),
        ("session_seconds", json!("300")),
        ("read_only", json!("yes")),
        ("readonly", json!(true)),
    ] {
        project.post("/portal-links", &json!({field: bad})).await.refuses_field(field);
    }
    let _ = project.api.post_nothing(&project.path("/portal-links")).await.ok(201);
    project.get("/portal-links?limit=1").await.refuses_field("limit");
}
