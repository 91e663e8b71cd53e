//! Endpoints whose deliveries also carry an Ed25519 signature (contract §3, §5).

use echo_tests::api::Api;
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, unique};
use echo_tests::receiver::{Received, Receiver};
use echo_tests::shape::text;
use echo_tests::signature::{self, entries, is_by, standard};
use serde_json::{Value, json};

async fn asked_for(project: &Project, receiver: &Receiver) -> Endpoint {
    let wanted = json!({"url": receiver.url(), "events": ["call.ended"], "ed25519": true});
    Endpoint::new(project, project.post("/webhooks", &wanted).await.ok(201))
}

/// The public key of an endpoint that has one.
fn public_key(shown: &Value) -> String {
    assert_eq!(shown["ed25519"], true, "{shown}");
    text(shown, "public_key").to_owned()
}

fn without_key(shown: &Value) {
    assert_eq!((&shown["ed25519"], &shown["public_key"]), (&json!(false), &Value::Null), "{shown}");
}

/// Checks that exactly these secrets and then these keys sign, the newest first.
fn check(request: &Received, secrets: &[&str], public_keys: &[&str]) {
    let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let by_secrets = secrets.iter().map(|secret| standard(secret, id, timestamp, &request.body));
    let found = entries(&request.headers);
    let (symmetric, asymmetric) = found.split_at(secrets.len().min(found.len()));
    assert_eq!(symmetric, by_secrets.collect::<Vec<_>>());
    assert_eq!(asymmetric.len(), public_keys.len(), "{found:?}");
    for (entry, key) in asymmetric.iter().zip(public_keys) {
        assert!(is_by(key, entry, id, timestamp, &request.body), "{entry} is not by {key}");
        let other = [&request.body[..], b" "].concat();
        assert!(!is_by(key, entry, id, timestamp, &other), "it is a signature of these bytes alone");
    }
}

#[tokio::test]
async fn an_endpoint_that_asks_for_it_gets_a_signature_that_its_public_key_verifies() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = asked_for(&project, &receiver).await;
    let key = public_key(&endpoint.created);
    assert_eq!(endpoint.show().await, endpoint.created);
    project.emit_one().await;
    let request = receiver.first().await;
    check(&request, &[&endpoint.secret], &[&key]);
    assert_eq!(request.header("x-echo-signature"), signature::echo(&endpoint.secret, &request.body));
}

#[tokio::test]
async fn each_endpoint_has_a_key_pair_of_its_own_and_none_unless_it_asks() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let keys = [asked_for(&project, &receiver).await, asked_for(&project, &receiver).await];
    assert_ne!(public_key(&keys[0].created), public_key(&keys[1].created));
    for body in [json!({}), json!({"ed25519": false}), json!({"ed25519": null})] {
        let mut wanted = json!({"url": "https://example.com/hook", "events": ["call.ended"]});
        wanted.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
        without_key(&project.post("/webhooks", &wanted).await.ok(201));
    }
}

#[tokio::test]
async fn a_rotation_makes_a_new_key_and_the_one_before_still_signs() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = asked_for(&project, &receiver).await;
    let mut keys = vec![public_key(&endpoint.created)];
    let mut secrets = vec![endpoint.secret.clone()];
    for _ in 0..2 {
        secrets.insert(0, endpoint.rotate().await);
        keys.insert(0, public_key(&endpoint.show().await));
    }
    assert_ne!(keys[0], keys[1]);
    project.emit_one().await;
    // Only the one previous key still signs.
    check(&receiver.first().await, &[&secrets[0], &secrets[1]], &[&keys[0], &keys[1]]);
}

#[tokio::test]
async fn it_is_turned_on_and_off_by_a_change_and_each_time_on_makes_a_new_key() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let change = async |on: bool| endpoint.patch(&json!({"ed25519": on})).await;
    let first = public_key(&change(true).await);
    assert_eq!(public_key(&change(true).await), first, "it has a key already");
    let second_secret = endpoint.rotate().await;
    let second = public_key(&endpoint.patch(&json!({"description": "kept"})).await);
    assert_ne!(second, first);
    without_key(&change(false).await);
    without_key(&change(false).await);
    project.emit_one().await;
    check(&receiver.first().await, &[&second_secret, &endpoint.secret], &[]);
    let third = public_key(&change(true).await);
    assert!(third != second && third != first);
    project.emit_one().await;
    // The keys that were deleted do not come back with the overlap of the secrets.
    check(&receiver.received(2).await[1], &[&second_secret, &endpoint.secret], &[&third]);
}

#[tokio::test]
async fn only_true_and_false_are_allowed() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = asked_for(&project, &receiver).await;
    for bad in [json!("true"), json!(1), json!({})] {
        let wanted = json!({"url": receiver.url(), "events": ["call.ended"], "ed25519": bad});
        project.post("/webhooks", &wanted).await.refuses_field("ed25519");
        project.api.patch(&endpoint.path(""), &json!({"ed25519": bad})).await.refuses_field("ed25519");
    }
    project.api.patch(&endpoint.path(""), &json!({"ed25519": null})).await.refuses_field("ed25519");
    assert_eq!(endpoint.show().await, endpoint.created);
}

#[tokio::test]
async fn everyone_who_sees_the_endpoint_sees_its_public_key_and_nobody_its_private_one() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = asked_for(&project, &receiver).await;
    let key = public_key(&endpoint.created);
    let made = project.post("/portal-links", &json!({"read_only": true})).await.ok(201);
    let code = text(&made, "url").split_once('#').expect("a code").1;
    let session = Api::anonymous()
        .post("/auth/portal", &json!({"code": code, "nonce": unique() + &unique()}))
        .await
        .ok(201);
    let portal = Project { api: Api::anonymous().with_bearer(text(&session, "token")), ..project.clone() };
    let seen = portal.get(&format!("/webhooks/{}", endpoint.id)).await.ok(200);
    assert_eq!((&seen["signing_secret"], text(&seen, "public_key")), (&Value::Null, key.as_str()));
    for reader in [&project, &portal] {
        let listed = reader.get("/webhooks").await.text();
        assert!(listed.contains(&key) && !listed.contains("whsk_"), "{listed}");
    }
}
