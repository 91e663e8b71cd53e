//! `/auth`: signing up, logging in and refreshing tokens (contract §2).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use echo_shared::account::{Account, EMAIL_CHARS, EmailKey};
use echo_shared::api_key::{ApiKey, ApiKeyRecord};
use echo_shared::fields::{NAME_CHARS, string};
use echo_shared::id::{AccountId, BusinessId, ProjectId};
use echo_shared::project::Project;
use echo_shared::shards::Shards;
use echo_shared::store::{LoginBudget, SignedUp};
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::app::{App, AppState};
use crate::auth::bearer;
use crate::auth::passwords;
use crate::auth::tokens::TokenType;
use crate::config::SignupPolicy;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{FromNetwork, QueryValues};
use crate::openapi::values;

const SUMMARY_CHARS: usize = 2_000;

/// The person who signed up.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserBody {
    #[schema(value_type = values::Id)]
    id: AccountId,
    #[schema(value_type = values::Email)]
    email: String,
    first_name: String,
    last_name: String,
}

/// An account's tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInBody {
    /// For `/v1`; lasts one hour.
    #[schema(value_type = values::Token)]
    access_token: String,
    /// For `/auth/refresh`; lasts 30 days.
    #[schema(value_type = values::Token)]
    refresh_token: String,
    user: UserBody,
}

/// The business, as named at sign-up.
#[derive(Serialize, ToSchema)]
#[schema(as = Business)]
pub struct BusinessBody {
    #[schema(value_type = values::Id)]
    id: BusinessId,
    name: String,
}

/// The project that comes with an account.
#[derive(Serialize, ToSchema)]
#[schema(as = DefaultProject)]
pub struct DefaultProjectBody {
    #[schema(value_type = values::Id)]
    id: ProjectId,
    name: String,
    #[schema(value_type = values::ApiKey)]
    api_key: String,
}

/// A new account.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedUp)]
pub struct SignedUpBody {
    #[serde(flatten)]
    signed_in: SignedInBody,
    business: BusinessBody,
    default_project: DefaultProjectBody,
}

/// `POST /auth/signup`
pub async fn sign_up(
    State(app): State<AppState>,
    headers: HeaderMap,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<SignedUpBody>), ApiError> {
    check_policy(&app, &headers).await?;
    query.only(&[])?;
    let fields = body.fields()?;
    let email = fields.required("email", "an e-mail address such as ada@example.com", email)?;
    let password = fields.required("password", "a string of 8 to 128 characters", new_password)?;
    let now = Timestamp::now();
    let mut account = Account {
        email_key: EmailKey::of(&email),
        id: AccountId::new(now),
        email,
        password_hash: echo_shared::account::PasswordHash(String::new()),
        first_name: fields.text("first_name", NAME_CHARS)?,
        last_name: fields.text("last_name", NAME_CHARS)?,
        business_id: BusinessId::new(now),
        business_name: fields.text("business_name", NAME_CHARS)?,
        business_summary: fields.text("business_summary", SUMMARY_CHARS)?,
        industry: fields.text("industry", NAME_CHARS)?,
        created_at: now,
    };
    account.password_hash = passwords::hash(password).await?;
    let project = Project::new(account.id, "default".to_owned(), Shards::ONE, now);
    let key = ApiKey::generate();
    let record = ApiKeyRecord::new(account.id, project.id, project.shards, "default".to_owned(), &key, now);
    // The answer is made before anything is stored: an account that was stored without an answer would have no key.
    let signed_in = sign_in(&app, &account, now).await?;
    if app.registry.sign_up(&account, &project, &record).await? == SignedUp::EmailTaken {
        return Err(ApiError::conflict("email is already signed up"));
    }
    let body = SignedUpBody {
        signed_in,
        business: BusinessBody { id: account.business_id, name: account.business_name },
        default_project: DefaultProjectBody {
            id: project.id,
            name: project.name,
            api_key: key.expose().to_owned(),
        },
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// `POST /auth/login`
pub async fn log_in(
    State(app): State<AppState>,
    FromNetwork(from): FromNetwork,
    query: QueryValues,
    body: RequestBody,
) -> Result<Json<SignedInBody>, ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    let email = EmailKey::of(&fields.text("email", EMAIL_CHARS)?);
    let password = fields.required("password", "a string", string)?;
    let now = Timestamp::now();
    if let LoginBudget::Spent { until } = app.registry.take_login_try(&email, &from, now).await? {
        return Err(ApiError::too_many_logins(until.since(now).as_secs() + 1));
    }
    let account = app.registry.account(&email).await?;
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let is_right = passwords::verify(password, stored).await?;
    let account = account.filter(|_| is_right).ok_or_else(ApiError::login_refused)?;
    app.registry.clear_login_failures(&email, &from).await?;
    Ok(Json(sign_in(&app, &account, now).await?))
}

/// `POST /auth/refresh`
pub async fn refresh(
    State(app): State<AppState>,
    headers: HeaderMap,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<SignedInBody>), ApiError> {
    let token = bearer(&headers).ok_or_else(ApiError::refresh_token_refused)?;
    let now = Timestamp::now();
    let claims = app.secrets.derived().await?.tokens.verify(TokenType::Refresh, token, now);
    let claims = claims.ok_or_else(ApiError::refresh_token_refused)?;
    let account = app.registry.account(&EmailKey::of(&claims.email)).await?;
    let account =
        account.filter(|account| account.id == claims.sub).ok_or_else(ApiError::refresh_token_refused)?;
    body.check()?;
    query.only(&[])?;
    Ok((StatusCode::CREATED, Json(sign_in(&app, &account, now).await?)))
}

async fn check_policy(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    match app.settings.signup_policy {
        SignupPolicy::Open => Ok(()),
        SignupPolicy::Closed => Err(ApiError::signup_closed()),
        SignupPolicy::Token => {
            let offered = headers.get("x-signup-token").and_then(|token| token.to_str().ok());
            let offered = offered.ok_or_else(ApiError::signup_token_refused)?;
            let token = &app.secrets.derived().await?.signup_token;
            if token.is(offered) { Ok(()) } else { Err(ApiError::signup_token_refused()) }
        }
    }
}

async fn sign_in(app: &App, account: &Account, now: Timestamp) -> Result<SignedInBody, ApiError> {
    let tokens = &app.secrets.derived().await?.tokens;
    Ok(SignedInBody {
        access_token: tokens.issue(TokenType::Access, account, now)?,
        refresh_token: tokens.issue(TokenType::Refresh, account, now)?,
        user: UserBody {
            id: account.id,
            email: account.email.clone(),
            first_name: account.first_name.clone(),
            last_name: account.last_name.clone(),
        },
    })
}

/// Refuses texts that cannot be an e-mail address. Only a mail server knows whether an address exists.
fn email(value: &RawValue) -> Option<String> {
    let email = string(value)?;
    let (local, domain) = email.split_once('@')?;
    let untidy = |c: char| c.is_whitespace() || c.is_control() || c == '@';
    let has_dot = domain.split_once('.').is_some_and(|(name, rest)| !name.is_empty() && !rest.is_empty());
    let is_email = !local.is_empty()
        && has_dot
        && !domain.ends_with('.')
        && !local.contains(untidy)
        && !domain.contains(untidy)
        && email.chars().count() <= EMAIL_CHARS;
    is_email.then_some(email)
}

fn new_password(value: &RawValue) -> Option<String> {
    string(value).filter(|password| (8..=128).contains(&password.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Box<RawValue> {
        serde_json::value::to_raw_value(text).expect("a string")
    }

    #[test]
    fn an_email_looks_like_one() {
        for good in ["ada@example.com", "Ada.L+x@mail.example.co.uk", "ü@exämple.de"] {
            assert_eq!(email(&json(good)).as_deref(), Some(good));
        }
        let long = format!("{}@example.com", "a".repeat(243));
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@example",
            "ada@.com",
            "ada@example.",
            "a b@example.com",
            " ada@example.com",
            "ada@exam\nple.com",
            "a@b@example.com",
            long.as_str(),
        ] {
            assert_eq!(email(&json(bad)), None, "{bad}");
        }
    }

    #[test]
    fn a_passwords_length_is_in_characters() {
        for (password, taken) in
            [("1234567", false), ("12345678", true), ("pässwörd", true), ("pässwör", false)]
        {
            assert_eq!(new_password(&json(password)).is_some(), taken, "{password}");
        }
        assert!(new_password(&json(&"é".repeat(128))).is_some());
        assert!(new_password(&json(&"é".repeat(129))).is_none());
    }
}
