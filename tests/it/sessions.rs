//! Sessions: their tokens and their ends (contract §2).

use std::time::{Duration, Instant};

use echo_tests::api::{Answer, Api};
use echo_tests::project::{Account, PASSWORD, random_email};
use echo_tests::reset::reset_token;
use echo_tests::shape::{fields, text};
use echo_tests::wait::{PATIENCE, at_once, eventually, throughout};
use serde_json::{Value, json};

const OTHER_PASSWORD: &str = "staple of another horse";

/// The tokens of one session.
#[derive(Clone)]
struct Session {
    access: String,
    refresh: String,
}

impl Session {
    fn of(signed_in: &Value) -> Self {
        let token = |name| text(signed_in, name).to_owned();
        Self { access: token("access_token"), refresh: token("refresh_token") }
    }

    async fn begin(account: &Account) -> Self {
        Self::of(&log_in(&account.email, PASSWORD).await.ok(200))
    }

    fn api(&self) -> Api {
        Api::anonymous().with_bearer(&self.access)
    }

    async fn goes_on(&self) {
        let _ = self.api().get("/v1/projects").await.ok(200);
        let _ = refresh(&self.refresh).await.ok(201);
    }
}

async fn log_in(email: &str, password: &str) -> Answer {
    Api::anonymous().post("/auth/login", &json!({"email": email, "password": password})).await
}

async fn refresh(token: &str) -> Answer {
    Api::anonymous().with_bearer(token).post_nothing("/auth/refresh").await
}

async fn log_out(token: &str, query: &str) -> Answer {
    Api::anonymous().with_bearer(token).post_nothing(&format!("/auth/logout{query}")).await
}

async fn change_password(api: &Api, current: &str, new: &str) -> Answer {
    api.post("/auth/password", &json!({"current_password": current, "new_password": new})).await
}

async fn reset_password(token: &str, new: &str) -> Answer {
    Api::anonymous().post("/auth/reset", &json!({"token": token, "new_password": new})).await
}

/// Five seconds from now on, the tokens open nothing, whichever instance is asked. A refresh token gives nothing at once.
async fn end(sessions: &[&Session]) {
    for session in sessions {
        refresh(&session.refresh).await.refused(401);
    }
    let five_seconds = Instant::now() + Duration::from_secs(5);
    let get = |session: &Session| {
        let api = session.api();
        async move { api.get("/v1/projects").await.status }
    };
    eventually("five seconds are over", PATIENCE, || async {
        // Each instance that has seen the tokens may remember them until then.
        for session in sessions {
            let _ = get(session).await;
        }
        (Instant::now() > five_seconds).then_some(())
    })
    .await;
    throughout(Duration::from_millis(500), || async {
        let statuses = at_once(sessions.len() * 4, |n| get(sessions[n % sessions.len()])).await;
        if statuses.iter().all(|status| *status == 401) { Ok(()) } else { Err(format!("{statuses:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_gives_one_successor_until_that_one_is_used() {
    let account = Account::sign_up().await;
    let first = account.refresh_token.clone();
    let next = |answer: Answer| text(&answer.ok(201), "refresh_token").to_owned();
    let second = next(refresh(&first).await);
    assert_ne!(second, first);
    let again = refresh(&first).await.ok(201);
    assert_eq!(text(&again, "refresh_token"), second, "a lost answer is given again");
    let _ = Api::anonymous().with_bearer(text(&again, "access_token")).get("/v1/projects").await.ok(200);
    let third = next(refresh(&second).await);
    assert_eq!(next(refresh(&second).await), third);
    // The first token is used by somebody that has a copy, and so the session is over for all.
    refresh(&first).await.refused(401);
    let latest = Session { access: account.access_token.clone(), refresh: third };
    end(&[&latest]).await;
    let _ = log_in(&account.email, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn of_16_refreshes_at_once_all_get_the_same_successor() {
    let account = Account::sign_up().await;
    let answers = at_once(16, |_| refresh(&account.refresh_token)).await;
    let successor = text(&answers[0].ok(201), "refresh_token").to_owned();
    for answer in answers {
        assert_eq!(text(&answer.ok(201), "refresh_token"), successor);
    }
    let _ = refresh(&successor).await.ok(201);
}

#[tokio::test]
async fn either_token_ends_its_session_and_no_other() {
    let account = Account::sign_up().await;
    let (one, two, three) =
        (Session::begin(&account).await, Session::begin(&account).await, Session::begin(&account).await);
    one.goes_on().await;
    assert_eq!(log_out(&one.access, "").await.status, 204);
    assert_eq!(log_out(&two.refresh, "?everywhere=false").await.status, 204);
    assert_eq!(log_out(&two.refresh, "").await.status, 204, "again");
    end(&[&one, &two]).await;
    three.goes_on().await;
    log_out(&one.access, "?everywhere=true").await.refused(401);
    three.goes_on().await;
}

#[tokio::test]
async fn all_sessions_of_an_account_end_at_once() {
    let (account, other) = (Account::sign_up().await, Account::sign_up().await);
    let by_signup = Session { access: account.access_token.clone(), refresh: account.refresh_token.clone() };
    for with_access in [true, false] {
        let (one, two) = (Session::begin(&account).await, Session::begin(&account).await);
        one.goes_on().await;
        let token = if with_access { &two.access } else { &two.refresh };
        assert_eq!(log_out(token, "?everywhere=true").await.status, 204);
        end(&[&one, &two, &by_signup]).await;
    }
    Session::begin(&account).await.goes_on().await;
    let others = Session { access: other.access_token.clone(), refresh: other.refresh_token.clone() };
    others.goes_on().await;
    let _ = account.default_project().get("/webhooks").await.ok(200);
}

#[tokio::test]
async fn only_a_token_logs_out() {
    let account = Account::sign_up().await;
    Api::anonymous().post_nothing("/auth/logout").await.refused(401);
    log_out("a.b.c", "").await.refused(401);
    account.default_project().api.post_nothing("/auth/logout").await.refused(401);
    log_out(&account.access_token, "?everywhere=yes").await.refuses_field("everywhere");
    let _ = account.bearer().get("/v1/projects").await.ok(200);
}

#[tokio::test]
async fn a_new_password_ends_all_older_sessions() {
    let account = Account::sign_up().await;
    let (own, other) = (Session::begin(&account).await, Session::begin(&account).await);
    other.goes_on().await;
    let changed = change_password(&own.api(), PASSWORD, OTHER_PASSWORD).await.ok(200);
    fields(&changed, &["access_token", "refresh_token", "user"]);
    assert_eq!(changed["user"], account.signup["user"]);
    log_in(&account.email, PASSWORD).await.refused(401);
    let _ = log_in(&account.email, OTHER_PASSWORD).await.ok(200);
    end(&[&own, &other]).await;
    Session::of(&changed).goes_on().await;
}

#[tokio::test]
async fn a_password_changes_by_the_present_one_and_an_access_token() {
    let account = Account::sign_up().await;
    let api = account.bearer();
    change_password(&api, OTHER_PASSWORD, OTHER_PASSWORD).await.refuses_field("current_password");
    change_password(&api, PASSWORD, "short").await.refuses_field("new_password");
    api.post("/auth/password", &json!({"new_password": OTHER_PASSWORD}))
        .await
        .refuses_field("current_password");
    for api in [
        Api::anonymous(),
        Api::anonymous().with_bearer(&account.refresh_token),
        account.default_project().api,
    ] {
        change_password(&api, PASSWORD, OTHER_PASSWORD).await.refused(401);
    }
    let _ = log_in(&account.email, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn guesses_of_the_present_password_count_as_failed_logins() {
    let account = Account::sign_up().await;
    for _ in 0..5 {
        change_password(&account.bearer(), "not the password", OTHER_PASSWORD)
            .await
            .refuses_field("current_password");
        log_in(&account.email, "not the password").await.refused(401);
    }
    change_password(&account.bearer(), PASSWORD, OTHER_PASSWORD).await.refused(429);
    log_in(&account.email, PASSWORD).await.refused(429);
}

#[tokio::test]
async fn a_login_that_meets_a_change_of_password_leaves_no_session_of_the_old_one() {
    let account = Account::sign_up().await;
    let api = account.bearer();
    let answers = at_once(9, |n| {
        let (api, email) = (api.clone(), account.email.clone());
        async move {
            if n == 4 {
                change_password(&api, PASSWORD, OTHER_PASSWORD).await
            } else {
                log_in(&email, PASSWORD).await
            }
        }
    })
    .await;
    let changed = Session::of(&answers[4].ok(200));
    let logins = answers.iter().enumerate().filter(|(n, answer)| *n != 4 && answer.status == 200);
    let old: Vec<Session> = logins.map(|(_, answer)| Session::of(&answer.json())).collect();
    if !old.is_empty() {
        end(&old.iter().collect::<Vec<_>>()).await;
    }
    changed.goes_on().await;
}

#[tokio::test]
async fn of_changes_at_once_one_is_made() {
    let account = Account::sign_up().await;
    let passwords: Vec<String> = (0..4).map(|n| format!("{OTHER_PASSWORD} {n}")).collect();
    let api = account.bearer();
    let answers = at_once(4, |n| change_password(&api, PASSWORD, &passwords[n])).await;
    let made: Vec<usize> = (0..4).filter(|n| answers[*n].status == 200).collect();
    let [made] = made.as_slice() else { panic!("{answers:?}") };
    for (n, password) in passwords.iter().enumerate() {
        let wanted = if n == *made { 200 } else { 401 };
        assert_eq!(log_in(&account.email, password).await.status, wanted, "{n}");
    }
    Session::of(&answers[*made].json()).goes_on().await;
}

#[tokio::test]
async fn a_reset_token_sets_one_new_password_and_ends_all_sessions() {
    let account = Account::sign_up().await;
    let session = Session::begin(&account).await;
    let token = reset_token(&account.email, 3_600).await;
    assert_eq!(reset_password(&token, OTHER_PASSWORD).await.status, 204);
    log_in(&account.email, PASSWORD).await.refused(401);
    reset_password(&token, "a third password").await.refused(401);
    Session::of(&log_in(&account.email, OTHER_PASSWORD).await.ok(200)).goes_on().await;
    end(&[&session]).await;
}

#[tokio::test]
async fn any_other_reset_token_is_refused() {
    let (account, other) = (Account::sign_up().await, Account::sign_up().await);
    let good = reset_token(&account.email, 3_600).await;
    let of_other = reset_token(&other.email, 3_600).await;
    let stranger = random_email();
    let wrong = [
        reset_token(&account.email, -1).await,
        of_other.replace(&other.email, &account.email),
        good.replace(&account.email, &stranger),
        good.replace(&account.email, ""),
        "x".to_owned(),
        String::new(),
    ];
    for token in wrong {
        reset_password(&token, OTHER_PASSWORD).await.refused(401);
    }
    let api = Api::anonymous();
    api.post("/auth/reset", &json!({"token": 7, "new_password": OTHER_PASSWORD}))
        .await
        .refuses_field("token");
    api.post("/auth/reset", &json!({"new_password": OTHER_PASSWORD})).await.refuses_field("token");
    reset_password(&good, "short").await.refuses_field("new_password");
    let _ = log_in(&account.email, PASSWORD).await.ok(200);
    assert_eq!(reset_password(&good, OTHER_PASSWORD).await.status, 204, "and this one is still good");
}

#[tokio::test]
async fn whoever_forgot_a_password_and_tried_many_can_still_reset_it_and_log_in() {
    let account = Account::sign_up().await;
    for _ in 0..10 {
        log_in(&account.email, "not the password").await.refused(401);
    }
    log_in(&account.email, PASSWORD).await.refused(429);
    let token = reset_token(&account.email, 3_600).await;
    assert_eq!(reset_password(&token, OTHER_PASSWORD).await.status, 204);
    let _ = log_in(&account.email, OTHER_PASSWORD).await.ok(200);
}

#[tokio::test]
async fn ten_wrong_reset_tokens_close_the_reset_for_a_while_and_not_the_login() {
    let account = Account::sign_up().await;
    let good = reset_token(&account.email, 3_600).await;
    for n in 0..10 {
        let token = format!("{}.{}.{}", 4_000_000_000_u64 + n, "00".repeat(32), account.email);
        reset_password(&token, OTHER_PASSWORD).await.refused(401);
    }
    reset_password(&good, OTHER_PASSWORD).await.refused(429);
    let _ = log_in(&account.email, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn answers_with_secrets_are_kept_out_of_caches() {
    let account = Account::sign_up().await;
    let project = account.default_project();
    let endpoint = project.endpoint("https://example.com/").await;
    let session = Session::begin(&account).await;
    let key = json!({"name": "ci"});
    for answer in [
        log_in(&account.email, PASSWORD).await,
        refresh(&session.refresh).await,
        change_password(&session.api(), PASSWORD, PASSWORD).await,
        project.api.post("/v1/api-keys", &key).await,
        project.get("/webhooks").await,
        project.api.get(&endpoint.path("")).await,
        project.api.post_nothing(&endpoint.path("/secret/rotate")).await,
    ] {
        assert!(answer.status < 300, "{}: {}", answer.what, answer.text());
        let control = answer.headers.get("cache-control").map(|value| value.to_str().unwrap_or_default());
        assert_eq!(control, Some("no-store"), "{}", answer.what);
    }
}
