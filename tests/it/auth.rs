//! Signing up, logging in, refreshing (contract §2).

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use echo_tests::api::Api;
use echo_tests::project::{Account, PASSWORD, random_email, signup_request};
use echo_tests::shape::{fields, hex_after, own_id, text};
use echo_tests::wait::at_once;
use serde_json::{Value, json};

const SIGNUP_FIELDS: [&str; 7] =
    ["email", "password", "first_name", "last_name", "business_name", "business_summary", "industry"];

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().expect("an object").remove(field);
    body
}

async fn sign_up(body: &Value) -> echo_tests::api::Answer {
    Api::anonymous().post("/auth/signup", body).await
}

async fn log_in(email: &str, password: &str) -> echo_tests::api::Answer {
    Api::anonymous().post("/auth/login", &json!({"email": email, "password": password})).await
}

/// The claims of a JWT, without a check of its signature.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn signup_gives_tokens_a_user_a_business_and_a_default_project_with_its_key() {
    let email = random_email();
    let answer = sign_up(&signup_request(&email)).await.ok(201);
    fields(&answer, &["access_token", "refresh_token", "user", "business", "default_project"]);
    fields(&answer["user"], &["id", "email", "first_name", "last_name"]);
    fields(&answer["business"], &["id", "name"]);
    fields(&answer["default_project"], &["id", "name", "api_key"]);
    for part in ["user", "business", "default_project"] {
        own_id(&answer[part]["id"]);
    }
    assert_eq!(answer["user"]["email"], email);
    assert_eq!(answer["user"]["first_name"], "Ada");
    assert_eq!(answer["user"]["last_name"], "Lovelace");
    assert_eq!(answer["business"]["name"], "Analytical Engines");
    assert_eq!(answer["default_project"]["name"], "default");
    hex_after(text(&answer["default_project"], "api_key"), "echo_", 64);
}

#[tokio::test]
async fn a_missing_signup_field_is_named() {
    for field in SIGNUP_FIELDS {
        sign_up(&without(signup_request(&random_email()), field)).await.refuses_field(field);
    }
}

#[tokio::test]
async fn a_signup_field_of_the_wrong_type_is_named() {
    for field in SIGNUP_FIELDS {
        for wrong in [json!(7), json!(true), json!(null), json!(["x"]), json!({"x": 1})] {
            sign_up(&with(signup_request(&random_email()), field, wrong)).await.refuses_field(field);
        }
    }
}

#[tokio::test]
async fn a_password_has_8_to_128_characters() {
    for (password, status) in [("é".repeat(8), 201), ("é".repeat(128), 201)] {
        let email = random_email();
        let _ = sign_up(&with(signup_request(&email), "password", password.as_str())).await.ok(status);
        let _ = log_in(&email, &password).await.ok(200);
    }
    for password in [String::new(), "1234567".to_owned(), "é".repeat(7), "x".repeat(129)] {
        sign_up(&with(signup_request(&random_email()), "password", password)).await.refuses_field("password");
    }
}

#[tokio::test]
async fn an_email_must_look_like_one() {
    for email in
        ["", "ada", "@example.com", "ada@", "ada example@example.com", "ada@exa mple.com", "ada@@example.com"]
    {
        sign_up(&signup_request(email)).await.refuses_field("email");
    }
}

#[tokio::test]
async fn an_email_is_taken_in_any_case() {
    let email = random_email();
    let _ = sign_up(&signup_request(&email)).await.ok(201);
    sign_up(&signup_request(&email)).await.refused(409);
    sign_up(&signup_request(&email.to_uppercase())).await.refused(409);
}

#[tokio::test]
async fn of_16_signups_at_once_with_one_email_one_succeeds() {
    let request = signup_request(&random_email());
    let answers = at_once(16, |_| sign_up(&request)).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[201][..], &[409; 15]].concat());
}

#[tokio::test]
async fn login_gives_tokens_and_the_user_whatever_the_emails_case() {
    let account = Account::sign_up().await;
    for email in [account.email.clone(), account.email.to_uppercase()] {
        let answer = log_in(&email, PASSWORD).await.ok(200);
        fields(&answer, &["access_token", "refresh_token", "user"]);
        assert_eq!(answer["user"], account.signup["user"]);
        let bearer = Api::anonymous().with_bearer(text(&answer, "access_token"));
        let _ = bearer.get("/v1/projects").await.ok(200);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_email_are_refused_in_the_same_words() {
    let account = Account::sign_up().await;
    let wrong = log_in(&account.email, "not the password").await;
    let unknown = log_in(&random_email(), "not the password").await;
    wrong.refused(401);
    unknown.refused(401);
    assert_eq!(wrong.json(), unknown.json());
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_email_take_the_same_time() {
    // The shortest of several tries is a login's own cost. The rest of a try's time is other work of the machine, and
    // more tries see less of it.
    let (mut wrong, mut unknown) = (Duration::MAX, Duration::MAX);
    for _ in 0..6 {
        // Each round has its own account: after ten failed logins the service would refuse more of them.
        let account = Account::sign_up().await;
        for _ in 0..6 {
            for (email, least) in [(account.email.clone(), &mut wrong), (random_email(), &mut unknown)] {
                let begun = Instant::now();
                log_in(&email, "not the password").await.refused(401);
                *least = begun.elapsed().min(*least);
            }
        }
        let ratio = wrong.as_secs_f64() / unknown.as_secs_f64();
        if (0.6..1.67).contains(&ratio) {
            return;
        }
    }
    panic!("wrong password {wrong:?}, unknown e-mail {unknown:?}");
}

#[tokio::test]
async fn a_login_field_that_is_missing_or_of_the_wrong_type_is_named() {
    let api = Api::anonymous();
    let whole = json!({"email": random_email(), "password": PASSWORD});
    for field in ["email", "password"] {
        api.post("/auth/login", &without(whole.clone(), field)).await.refuses_field(field);
        api.post("/auth/login", &with(whole.clone(), field, 7)).await.refuses_field(field);
    }
}

#[tokio::test]
async fn ten_failed_logins_close_the_account_for_a_while_even_to_the_right_password() {
    let (account, other) = (Account::sign_up().await, Account::sign_up().await);
    for _ in 0..10 {
        log_in(&account.email, "not the password").await.refused(401);
    }
    let refused = log_in(&account.email, "not the password").await;
    refused.refused(429);
    let wait: u64 = refused.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=15 * 60).contains(&wait), "retry-after: {wait}");
    log_in(&account.email, PASSWORD).await.refused(429);
    log_in(&account.email.to_uppercase(), PASSWORD).await.refused(429);
    let _ = log_in(&other.email, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn an_address_that_a_caller_makes_up_opens_no_other_budget() {
    let email = random_email();
    let body = json!({"email": email, "password": "not the password"});
    let from = |n: u32| Api::anonymous().with_header("x-forwarded-for", format!("203.0.113.{n}"));
    for n in 0..10 {
        from(n).post("/auth/login", &body).await.refused(401);
    }
    from(10).post("/auth/login", &body).await.refused(429);
}

#[tokio::test]
async fn an_unknown_email_meets_the_same_limit() {
    let email = random_email();
    for _ in 0..10 {
        log_in(&email, "not the password").await.refused(401);
    }
    log_in(&email, "not the password").await.refused(429);
}

#[tokio::test]
async fn nine_failed_logins_leave_the_account_open() {
    let account = Account::sign_up().await;
    for _ in 0..9 {
        log_in(&account.email, "not the password").await.refused(401);
    }
    let _ = log_in(&account.email, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn a_refresh_token_gives_new_tokens() {
    let account = Account::sign_up().await;
    let refresh = |token: &str| {
        let api = Api::anonymous().with_bearer(token);
        async move { api.post_nothing("/auth/refresh").await }
    };
    let answer = refresh(&account.refresh_token).await.ok(201);
    fields(&answer, &["access_token", "refresh_token", "user"]);
    assert_eq!(answer["user"], account.signup["user"]);
    let bearer = Api::anonymous().with_bearer(text(&answer, "access_token"));
    let _ = bearer.get("/v1/projects").await.ok(200);
    let _ = refresh(text(&answer, "refresh_token")).await.ok(201);
}

#[tokio::test]
async fn only_a_refresh_token_refreshes() {
    let account = Account::sign_up().await;
    let api = Api::anonymous();
    api.post_nothing("/auth/refresh").await.refused(401);
    api.with_bearer(&account.access_token).post_nothing("/auth/refresh").await.refused(401);
    for token in ["", "x", "a.b.c"] {
        api.with_bearer(token).post_nothing("/auth/refresh").await.refused(401);
    }
}

#[tokio::test]
async fn a_refresh_token_opens_nothing_else() {
    let account = Account::sign_up().await;
    let api = Api::anonymous().with_bearer(&account.refresh_token);
    api.get("/v1/projects").await.refused(401);
    api.get("/v1/api-keys").await.refused(401);
}

#[tokio::test]
async fn an_access_token_lives_15_minutes_and_a_refresh_token_30_days() {
    let account = Account::sign_up().await;
    for (token, seconds) in [(&account.access_token, 15 * 60), (&account.refresh_token, 30 * 86_400)] {
        let claims = claims(token);
        let lives = claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat");
        assert_eq!(lives, seconds, "{claims}");
    }
}

#[tokio::test]
async fn an_altered_token_is_refused() {
    let (account, other) = (Account::sign_up().await, Account::sign_up().await);
    let parts: Vec<&str> = account.access_token.split('.').collect();
    let others: Vec<&str> = other.access_token.split('.').collect();
    assert_eq!(parts.len(), 3, "a JWT has three parts");
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut later = claims(&account.access_token);
    later["exp"] = json!(4_000_000_000_u64);
    let unsigned = encode(json!({"alg": "none", "typ": "JWT"}));
    let forged = [
        format!("{}.{}.{}", parts[0], others[1], parts[2]),
        format!("{}.{}.{}", parts[0], encode(later), parts[2]),
        format!("{unsigned}.{}.", parts[1]),
        format!("{unsigned}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
    ];
    for token in forged {
        Api::anonymous().with_bearer(&token).get("/v1/projects").await.refused(401);
    }
}

#[tokio::test]
async fn unknown_request_fields_are_ignored() {
    let request = with(signup_request(&random_email()), "favourite_colour", "green");
    let _ = sign_up(&request).await.ok(201);
}
