//! A delivery and its attempts as the API shows them (contract §6).

use std::time::Duration;

use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape;
use echo_tests::shape::text;
use echo_tests::stack::stack;
use echo_tests::time::{now, timestamp};
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn a_success_is_shown_with_its_attempt() {
    let (project, receiver) =
        (Project::new().await, Receiver::answering(Reply::status(201).body("thanks")).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event_id = Uuid::new_v4();
    let event =
        json!({"event_id": event_id, "event_name": "call.summary", "customer_id": "c", "data": {"a": 1}});
    let before = now();
    let id = delivery_ids(&project.post_event(&event).await).remove(0);
    let delivery = endpoint.ended(&id, "success").await;

    assert_eq!(delivery["webhook_endpoint_id"], endpoint.id);
    assert_eq!(delivery["project_id"], project.id);
    assert_eq!(delivery["event_id"], json!(event_id));
    assert_eq!(delivery["event_name"], "call.summary");
    assert_eq!(delivery["attempt_count"], 1);
    assert_eq!(delivery["payload"], receiver.first().await.json());
    assert!((before..=now()).contains(&timestamp(&delivery["created_at"])), "{delivery}");

    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["triggered_by"], "auto");
    assert_eq!(attempt["http_status"], 201);
    assert_eq!(attempt["response_body"], "thanks");
    assert_eq!(attempt["success"], true);
    assert!(attempt["error_message"].is_null());

    let page = endpoint.deliveries("").await.ok(200);
    shape::fields(&page, &["data", "next_cursor"]);
    let mut listed = delivery.clone();
    listed.as_object_mut().expect("an object").remove("attempts");
    assert_eq!(page["data"], json!([listed]), "the list shows the same, without attempts");
}

#[tokio::test]
async fn a_delivery_is_pending_while_its_first_attempt_is_under_way() {
    let hangs = Reply::status(200).after(stack().request_timeout() * 2);
    let (project, receiver) = (Project::new().await, Receiver::scripted([hangs], 200).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    receiver.first().await;
    let delivery = endpoint.delivery(&id).await;
    assert_eq!(delivery["status"], "pending");
    assert_eq!(delivery["attempt_count"], 0);
    assert_eq!(delivery["attempts"], json!([]));
    assert_eq!(endpoint.ended(&id, "success").await["attempt_count"], 2);
}

#[tokio::test]
async fn an_attempt_tells_when_it_began_and_how_long_it_took() {
    let project = Project::new().await;
    let receiver = Receiver::answering(Reply::status(200).after(Duration::from_millis(1_500))).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let ended = endpoint.ended(&id, "success").await;
    let took = ended["attempts"][0]["duration_ms"].as_u64().expect("a number");
    assert!((1_500..5_000).contains(&took), "duration_ms {took} of an answer that took 1.5 s");
    let begun = timestamp(&ended["attempts"][0]["created_at"]);
    let arrived = receiver.first().await.at;
    assert!((arrived - 5_000..=arrived).contains(&begun), "created_at is the start of the attempt: {ended}");
    assert!(timestamp(&ended["updated_at"]) >= begun + 1_500, "{ended}");
}

#[tokio::test]
async fn a_failed_attempt_is_shown_with_what_came_back_and_when_the_next_is_due() {
    let project = Project::new().await;
    let receiver = Receiver::answering(Reply::status(500).body("Internal Server Error")).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let retrying = |delivery: &serde_json::Value| delivery["status"] == "retrying";
    let delivery = endpoint.delivery_when(&id, "it is retrying", retrying).await;
    let attempts = delivery["attempts"].as_array().expect("attempts");
    let attempt = &attempts[attempts.len() - 1];
    assert_eq!(attempt["http_status"], 500);
    assert_eq!(attempt["response_body"], "Internal Server Error");
    assert_eq!(attempt["success"], false);
    assert!(attempt["error_message"].is_null(), "the whole answer came");
    let over = timestamp(&attempt["created_at"]) + attempt["duration_ms"].as_i64().expect("a number");
    assert!(timestamp(&delivery["next_retry_at"]) >= over + 1_000, "{delivery}");
}

#[tokio::test]
async fn any_2xx_is_success() {
    let project = Project::new().await;
    for status in [200, 201, 202, 204, 206, 226, 299] {
        let receiver = Receiver::answering(Reply::status(status).body("")).await;
        let endpoint = project.endpoint(&receiver.url()).await;
        let id = project.emit_one().await;
        let delivery = endpoint.ended(&id, "success").await;
        assert_eq!(delivery["attempts"][0]["http_status"], status);
        endpoint.delete().await;
    }
}

#[tokio::test]
async fn any_other_status_is_a_failure() {
    let project = Project::new().await;
    let mut waiting = Vec::new();
    for status in [300, 302, 304, 400, 401, 404, 418, 500, 502, 599] {
        let receiver = Receiver::answering(Reply::status(status).body("")).await;
        let endpoint = project.endpoint(&receiver.url()).await;
        let id = project.emit_one().await;
        let delivery = endpoint.attempted(&id, 1).await;
        let attempt = &delivery["attempts"][0];
        assert_eq!(attempt["http_status"], status);
        assert_eq!(attempt["success"], false, "{attempt}");
        assert!(attempt["error_message"].is_null(), "a whole answer came: {attempt}");
        assert_ne!(delivery["status"], "success");
        endpoint.set_status("disabled").await;
        waiting.push(receiver);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let project = Project::new().await;
    let target = Receiver::start().await;
    for status in [301, 302, 303, 307, 308] {
        let receiver =
            Receiver::answering(Reply::status(status).header("location", target.url()).body("")).await;
        let endpoint = project.endpoint(&receiver.url()).await;
        let id = project.emit_one().await;
        let delivery = endpoint.attempted(&id, 1).await;
        assert_eq!(delivery["attempts"][0]["http_status"], status);
        assert_eq!(delivery["attempts"][0]["success"], false);
        assert_eq!(delivery["attempts"][0]["location"], target.url());
        endpoint.set_status("disabled").await;
    }
    assert_eq!(target.count(), 0, "a redirect was followed");
}

#[tokio::test]
async fn a_response_body_is_cut_at_one_kib_between_characters() {
    let project = Project::new().await;
    let ascii = "0123456789".repeat(400);
    let cases = [
        ("a".repeat(1024), "a".repeat(1024)),
        (ascii.clone(), ascii[..1024].to_owned()),
        (format!("{}é", "a".repeat(1023)), "a".repeat(1023)),
        ("你".repeat(1000), "你".repeat(341)),
        ("📞".repeat(300), "📞".repeat(256)),
        ("short é".to_owned(), "short é".to_owned()),
    ];
    for (body, shown) in cases {
        let is_cut = body != shown;
        let receiver = Receiver::answering(Reply::status(200).body(body)).await;
        let endpoint = project.endpoint(&receiver.url()).await;
        let id = project.emit_one().await;
        let attempt = endpoint.ended(&id, "success").await["attempts"][0].clone();
        assert_eq!(attempt["response_body"], shown);
        assert_eq!(attempt["response_truncated"], is_cut, "{attempt}");
        endpoint.delete().await;
    }
}

#[tokio::test]
async fn each_attempt_tells_its_url_and_the_delivery_its_last_attempt() {
    let (project, receiver) = (Project::new().await, Receiver::answering(500).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    endpoint.attempted(&id, 1).await;
    let moved = receiver.url_of("/moved");
    endpoint.patch(&json!({"url": moved})).await;
    let ended = endpoint.ended(&id, "failed").await;
    let attempts = ended["attempts"].as_array().expect("attempts");
    let last = &attempts[attempts.len() - 1];
    assert_eq!((&attempts[0]["url"], &last["url"]), (&json!(receiver.url()), &json!(moved)));
    let told = json!({"http_status": 500, "error_message": null, "created_at": last["created_at"]});
    assert_eq!(ended["last_attempt"], told);
    let event = project.get(&format!("/events/{}", text(&ended, "event_id"))).await.ok(200);
    assert_eq!(event["deliveries"][0]["last_attempt"], told);
}

#[tokio::test]
async fn a_list_has_only_the_fields_that_are_asked_for() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let whole = endpoint.ended(&id, "success").await;

    let page = endpoint.deliveries("?fields=status,id,last_attempt").await.ok(200);
    let asked = ["id", "status", "last_attempt"].map(|name| (name.to_owned(), whole[name].clone()));
    assert_eq!(page["data"][0], json!(serde_json::Map::from_iter(asked)));
    let page = endpoint.deliveries("?fields=payload").await.ok(200);
    assert_eq!(page["data"][0], json!({"payload": whole["payload"]}));
    let page = project.get("/events?fields=event_id,skipped").await.ok(200);
    assert_eq!(page["data"][0], json!({"event_id": whole["event_id"], "skipped": []}));

    for query in ["?fields=", "?fields=id,", "?fields=attempts", "?fields=id&fields=status"] {
        endpoint.deliveries(query).await.refuses_field("fields");
        project.get(&format!("/events{query}")).await.refuses_field("fields");
    }
}

#[tokio::test]
async fn an_unknown_delivery_is_404() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    let unknown = endpoint.path(&format!("/deliveries/{}", Uuid::now_v7()));
    project.api.get(&unknown).await.refused(404);
    project.api.post_nothing(&format!("{unknown}/retry")).await.refused(404);
    project.api.get(&endpoint.path(&format!("/deliveries/{}", Uuid::new_v4()))).await.refused(404);
}

#[tokio::test]
async fn a_delivery_is_found_under_its_own_endpoint_only() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
    let other = project.endpoint(&receiver.url()).await;
    let path = other.path(&format!("/deliveries/{id}"));
    project.api.get(&path).await.refused(404);
    project.api.post_nothing(&format!("{path}/retry")).await.refused(404);
    assert_eq!(other.deliveries("").await.ok(200), json!({"data": [], "next_cursor": null}));
    assert_eq!(endpoint.delivery(&id).await["attempt_count"], 1);
}

#[tokio::test]
async fn ids_of_deliveries_and_attempts_tell_their_times() {
    let project = Project::new().await;
    let receiver = Receiver::scripted([500], 200).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let delivery = endpoint.ended(&id, "success").await;
    let times: Vec<i64> = [&delivery, &delivery["attempts"][0], &delivery["attempts"][1]]
        .map(|made| shape::own_id(&made["id"]))
        .to_vec();
    assert!(times.is_sorted() && times[1] + 1_000 <= times[2], "{times:?}");
    assert_ne!(text(&delivery["attempts"][0], "id"), text(&delivery["attempts"][1], "id"));
}
