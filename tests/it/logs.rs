//! The functions' logs: they say enough to follow a request (contract §1), and contain no secret.

use std::net::IpAddr;

use echo_tests::api::{Answer, Api};
use echo_tests::aws::logged;
use echo_tests::project::{Account, PASSWORD, Project, random_email, signup_request, unique};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::reset::reset_token;
use echo_tests::shape::text;
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn a_requests_logs_carry_its_id() {
    let project = Account::sign_up().await.default_project();
    for answer in
        [project.get("/webhooks").await, project.get("/nothing").await, Api::anonymous().get("/v1/x").await]
    {
        let id = answer.headers["x-request-id"].to_str().expect("text");
        eventually(format!("request {id} is logged"), PATIENCE, || async {
            (!logged("Api", id).await.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn no_log_holds_a_secret_a_payload_or_an_answer() {
    let (password, payload, response) = (unique(), unique(), unique());
    let email = random_email();
    let mut request = signup_request(&email);
    request["password"] = json!(password);
    let account = Api::anonymous().post("/auth/signup", &request).await.ok(201);
    let _ = Api::anonymous()
        .post("/auth/login", &json!({"email": email, "password": password, "x": payload}))
        .await
        .ok(200);
    let project = &account["default_project"];
    let project = Project::known(text(project, "id"), text(project, "api_key"));
    let receiver = Receiver::scripted(
        [Reply::status(500).body(response.clone())],
        Reply::status(200).body(response.clone()),
    )
    .await;
    let endpoint = project.endpoint(&receiver.url_of(&format!("/hook?token={payload}"))).await;
    let accepted = project
        .post_event(
            &json!({"event_name": "call.ended", "customer_id": payload, "data": {payload.clone(): payload}}),
        )
        .await;
    let id = echo_tests::project::delivery_ids(&accepted).remove(0);
    endpoint.ended(&id, "success").await;
    let rotated = endpoint.rotate().await;
    project
        .post("/events", &json!({"event_name": "call.unknown", "data": {"a": payload}}))
        .await
        .refused(400);
    project.api.with_key(format!("{}0", project.key)).get("/v1/api-keys").await.refused(401);

    // Once both attempts are logged, all lines are there, and the test can search them for secrets.
    eventually("both attempts are logged", PATIENCE, || async {
        (logged("Delivery", &id).await.len() >= 2).then_some(())
    })
    .await;
    let secrets = [
        ("the password", password.as_str()),
        ("the API key", &project.key),
        ("the access token", text(&account, "access_token")),
        ("the refresh token", text(&account, "refresh_token")),
        ("the signing secret", &endpoint.secret),
        ("the new signing secret", &rotated),
        ("the payload, or the receiver's query", &payload),
        ("the receiver's answer", &response),
    ];
    for (what, secret) in secrets {
        for function in ["Api", "Delivery"] {
            let lines = logged(function, secret).await;
            assert!(lines.is_empty(), "{what} is logged by {function}: {lines:?}");
        }
    }
}

/// The log line of the request that posts this event.
async fn said_of_event(project: &Project, event: &Value) -> Value {
    let answer = project.post("/events", event).await;
    let line = line_of(&answer).await;
    assert_eq!(line["span"]["event_id"], answer.json()["event_id"], "{line}");
    assert_eq!(line["span"]["project_id"], project.id.as_str(), "{line}");
    line
}

/// The log line of a request that got this answer.
async fn line_of(answer: &Answer) -> Value {
    let id = answer.headers["x-request-id"].to_str().expect("text").to_owned();
    let line = eventually(format!("request {id} is logged"), PATIENCE, || async {
        logged("Api", &id).await.into_iter().find(|line| line.contains("request answered"))
    });
    serde_json::from_str(&line.await).expect("JSON")
}

#[tokio::test]
async fn a_change_names_the_key_the_account_or_the_portal_link_and_the_callers_address() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let key_id = text(&project.api.get("/v1/api-keys").await.ok(200)[0], "id").to_owned();
    let hook = json!({"url": "https://example.com/hook", "events": ["call.ended"]});
    let by_key = project.post("/webhooks", &hook).await;
    let by_account = account.bearer().post("/v1/projects", &json!({"name": "second"})).await;
    let look = project.get("/webhooks").await;
    let link = project.post("/portal-links", &json!({})).await.ok(201);
    let code = text(&link, "url").split_once('#').expect("a code").1.to_owned();
    let opening =
        Api::anonymous().post("/auth/portal", &json!({"code": code, "nonce": unique() + &unique()})).await;
    let session = opening.ok(201);
    let in_portal = Api::anonymous().with_bearer(text(&session, "token"));
    let by_link = in_portal.post(&project.path("/webhooks"), &hook).await;
    let leaving = in_portal.post_nothing("/auth/logout").await;
    for (answer, field) in
        [(&opening, "portal_link_id"), (&by_link, "by_portal_link"), (&leaving, "by_portal_link")]
    {
        let line = line_of(answer).await;
        assert_eq!(
            (&line["span"][field], &line["span"]["project_id"]),
            (&link["id"], &json!(project.id)),
            "{line}"
        );
    }
    for secret in [&code[64..], text(&session, "token")] {
        assert_eq!(logged("Api", secret).await, [""; 0], "a log shows a code or a token of the portal");
    }
    for (answer, field, id) in [
        (&by_key, "by_key", key_id.as_str()),
        (&by_account, "by_account", text(&account.signup["user"], "id")),
    ] {
        let line = line_of(answer).await;
        assert_eq!(line["span"][field], id, "{line}");
        let from = line["from"].as_str().and_then(|from| from.parse::<IpAddr>().ok());
        assert!(from.is_some(), "{line}");
    }
    let line = line_of(&look).await;
    assert_eq!((line.get("from"), line["span"].get("by_key")), (None, None), "{line}");
}

#[tokio::test]
async fn a_change_below_auth_names_its_account_and_the_callers_address() {
    let email = random_email();
    let signed_up = Api::anonymous().post("/auth/signup", &signup_request(&email)).await;
    let id = text(&signed_up.ok(201)["user"], "id").to_owned();
    let log_in = async || {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = Api::anonymous().post("/auth/login", &body).await;
        let session = Api::anonymous().with_bearer(text(&answer.ok(200), "access_token"));
        (answer, session)
    };
    let (logged_in, first) = log_in().await;
    let refresh = Api::anonymous().with_bearer(text(&logged_in.json(), "refresh_token"));
    let refreshed = refresh.post_nothing("/auth/refresh").await;
    let logged_out = first.post_nothing("/auth/logout").await;
    let (_, second) = log_in().await;
    let everywhere = second.post_nothing("/auth/logout?everywhere=true").await;
    let (_, third) = log_in().await;
    let body = json!({"current_password": PASSWORD, "new_password": PASSWORD});
    let changed = third.post("/auth/password", &body).await;
    let token = reset_token(&email, 60).await;
    let body = json!({"token": token, "new_password": PASSWORD});
    let reset = Api::anonymous().post("/auth/reset", &body).await;
    let (_, last) = log_in().await;
    let wrong = last.delete_with("/auth/account", &json!({"password": "not the password"})).await;
    wrong.refused(400);
    let erased = last.delete_with("/auth/account", &json!({"password": PASSWORD})).await;
    for answer in [signed_up, logged_in, refreshed, logged_out, everywhere, changed, reset, wrong, erased] {
        let line = line_of(&answer).await;
        assert_eq!(line["span"]["by_account"], id, "{}: {line}", answer.what);
        assert!(line["from"].as_str().is_some_and(|from| from.parse::<IpAddr>().is_ok()), "{line}");
    }
    // The caller of a login that fails need not have the account.
    let body = json!({"email": email, "password": PASSWORD});
    let refused = Api::anonymous().post("/auth/login", &body).await;
    refused.refused(401);
    assert_eq!(line_of(&refused).await["span"].get("by_account"), None);
}

#[tokio::test]
async fn a_new_event_is_counted_once_on_its_requests_line() {
    let project = Project::new().await;
    let event = json!({"event_name": "call.ended", "event_id": uuid::Uuid::new_v4().to_string()});
    let first = said_of_event(&project, &event).await;
    // The template's metric filter looks for these fields.
    assert_eq!((&first["accepted"], &first["stack"]), (&json!(1), &json!("echo-webhooks")), "{first}");
    assert_eq!(first.get("duplicate"), None, "{first}");
    let again = said_of_event(&project, &event).await;
    assert_eq!((again.get("accepted"), again.get("stack")), (None, None), "{again}");
    assert_eq!(again["duplicate"], json!(true), "{again}");
}

#[tokio::test]
async fn a_batchs_line_counts_its_new_events_and_names_all_that_are_durable() {
    let project = Project::new().await;
    let event = json!({"event_name": "call.ended", "event_id": uuid::Uuid::new_v4().to_string()});
    let events = [event.clone(), json!({"event_name": "call.ended"}), json!({}), event];
    let answer = project.post("/events/batch", &json!({ "events": events })).await;
    let results = answer.ok(200)["results"].clone();
    let id = answer.headers["x-request-id"].to_str().expect("text");
    let line = eventually(format!("request {id} is logged"), PATIENCE, || async {
        logged("Api", id).await.into_iter().find(|line| line.contains("request answered"))
    });
    let line: Value = serde_json::from_str(&line.await).expect("JSON");
    assert_eq!((&line["accepted"], &line["stack"]), (&json!(2), &json!("echo-webhooks")), "{line}");
    for place in [0, 1, 3] {
        let logged = text(&line, "event_ids").contains(text(&results[place], "event_id"));
        assert!(logged, "event {place} is not named: {line}");
    }
}

/// Waits until an invocation of the delivery function has logged its metrics, and gives its lines and the metrics.
async fn invocation(request_id: &str) -> (Vec<Value>, Value) {
    eventually(format!("the metrics of {request_id} are logged"), PATIENCE, || async {
        let lines = logged("Delivery", request_id).await;
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let (mut metrics, others): (Vec<_>, Vec<_>) = lines.partition(|line| line.get("_aws").is_some());
        assert!(metrics.len() <= 1, "one line an invocation: {metrics:?}");
        metrics.pop().map(|metrics| (others, metrics))
    })
    .await
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn each_invocation_counts_its_attempts_in_one_line() {
    let receiver = Receiver::scripted([Reply::status(500)], Reply::status(200)).await;
    let project = Project::new().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "success").await;
    let attempts = eventually("both attempts are logged", PATIENCE, || async {
        let lines = logged("Delivery", &id).await;
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut attempts: Vec<Value> = lines.filter(|line| line["message"] == "attempted").collect();
        // The emulator writes the lines of an invocation down at its end.
        attempts.sort_by_key(|line| line["attempt"].as_u64());
        (attempts.len() == 2).then_some(attempts)
    })
    .await;

    for (attempt, counted) in attempts.iter().zip(["Retried", "Delivered"]) {
        let span = &attempt["span"];
        assert_eq!(
            (text(span, "delivery_id"), text(span, "endpoint_id")),
            (id.as_str(), endpoint.id.as_str())
        );
        let (lines, metrics) = invocation(text(span, "request_id")).await;
        let directive = &metrics["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "EchoWebhooks");
        assert_eq!(directive["Dimensions"], json!([["Stack"]]));
        assert_eq!(metrics["Stack"], "echo-webhooks");
        for definition in directive["Metrics"].as_array().expect("metrics") {
            assert!(metrics.get(text(definition, "Name")).is_some(), "{metrics}");
        }
        assert!(metrics[counted].as_u64() >= Some(1), "{counted} in {metrics}");

        // The batch may also have contained deliveries of other tests.
        let attempted: Vec<&Value> = lines.iter().filter(|line| line["message"] == "attempted").collect();
        let durations = attempted.iter().filter_map(|line| line["duration_ms"].as_u64()).collect();
        let values = |name: &str| {
            metrics[name].as_array().into_iter().flatten().filter_map(Value::as_u64).collect::<Vec<_>>()
        };
        assert_eq!(sorted(values("AttemptDuration")), sorted(durations), "{metrics}");
        let of = |name: &str| metrics[name].as_u64().unwrap_or(0);
        let ended = lines.iter().filter(|line| line["message"] == "a delivery ended without an attempt");
        let all = of("Delivered") + of("Failed") + of("Retried");
        assert_eq!(all, (attempted.len() + ended.count()) as u64, "{metrics}");
        let first = attempted.iter().filter(|line| line["attempt"] == 1).count();
        let latencies = values("FirstAttemptLatency");
        assert_eq!(latencies.len(), first, "{metrics}");
        assert!(latencies.iter().all(|latency| *latency < 60_000), "{metrics}");
    }
}
