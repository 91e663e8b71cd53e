//! `/auth`: signing up and logging in, the tokens of a session, and new passwords (contract §2).

mod erase;
mod new_password;
mod portal;
mod tokens;

pub use self::erase::erase_account;
pub use self::new_password::{change_password, reset_password};
pub use self::portal::{PortalOpenedBody, open_portal};
pub use self::tokens::{log_out, refresh};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use echo_shared::account::{Account, CallerNetwork, EMAIL_CHARS, EmailKey, PasswordHash};
use echo_shared::api_key::{ApiKey, ApiKeyRecord};
use echo_shared::audit::{Action, Actor, Author};
use echo_shared::fields::{NAME_CHARS, string};
use echo_shared::id::{AccountId, BusinessId, ProjectId, SessionSetId};
use echo_shared::project::Project;
use echo_shared::session::Session;
use echo_shared::shards::Shards;
use echo_shared::store::{Guessed, LoginBudget, SignedUp};
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::app::{App, AppState};
use crate::auth::passwords;
use crate::config::SignupPolicy;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::observe::note_account;
use crate::http::request::{FromAddress, QueryValues};
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
    /// For `/v1`; lasts 15 minutes.
    #[schema(value_type = values::Token)]
    access_token: String,
    /// For `/auth/refresh`; lasts 30 days, but no longer than its session.
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
    FromAddress(from): FromAddress,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<SignedUpBody>), ApiError> {
    check_policy(&app, &headers).await?;
    query.only(&[])?;
    let fields = body.fields()?;
    let email = fields.required("email", "an e-mail address such as ada@example.com", email)?;
    let password = fields.required("password", PASSWORD_ALLOWED, password)?;
    let now = Timestamp::now();
    let mut account = Account {
        email_key: EmailKey::of(&email),
        id: AccountId::new(now),
        email,
        password_hash: PasswordHash(String::new()),
        session_set: SessionSetId::new(now),
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
    let session = Session::new(&account, now);
    let signed_in = signed_in(&app, &account, &session, now).await?;
    let author = Author { actor: Actor::Account(account.id), from, kept_for: app.settings.retention };
    let entry = author.entry(&project.id, Action::ProjectCreated, project.id.as_uuid(), now);
    if app.registry.sign_up(&account, &session, &project, &record, &entry).await? == SignedUp::EmailTaken {
        return Err(ApiError::conflict("email is already signed up"));
    }
    note_account(&account.id);
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
    from: FromAddress,
    query: QueryValues,
    body: RequestBody,
) -> Result<Json<SignedInBody>, ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    let email = EmailKey::of(&fields.text("email", EMAIL_CHARS)?);
    let password = fields.required("password", "a string", string)?;
    let now = Timestamp::now();
    take_try(&app, Guessed::Password, &email, &from.network(), now).await?;
    let account = app.registry.account(&email).await?;
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let is_right = passwords::verify(password, stored).await?;
    let account = account.filter(|_| is_right).ok_or_else(ApiError::login_refused)?;
    note_account(&account.id);
    app.registry.clear_login_failures(Guessed::Password, &email, &from.network()).await?;
    // The session is in the set of the row whose password was checked. If the password has been changed since, it never lives.
    let session = Session::new(&account, now);
    if !app.registry.begin_session(&account, &session, now).await? {
        return Err(ApiError::login_refused());
    }
    Ok(Json(signed_in(&app, &account, &session, now).await?))
}

/// # Errors
/// When the caller or all callers have tried this account too often.
pub(super) async fn take_try(
    app: &App,
    of: Guessed,
    email: &EmailKey,
    from: &CallerNetwork,
    now: Timestamp,
) -> Result<(), ApiError> {
    match app.registry.take_login_try(of, email, from, now).await? {
        LoginBudget::Allowed => Ok(()),
        LoginBudget::Spent { until } => Err(ApiError::too_many_tries(until.since(now).as_secs() + 1)),
    }
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

/// The newest tokens of a session.
async fn signed_in(
    app: &App,
    account: &Account,
    session: &Session,
    now: Timestamp,
) -> Result<SignedInBody, ApiError> {
    let tokens = &app.secrets.derived().await?.tokens;
    Ok(SignedInBody {
        access_token: tokens.access(account, session, now)?,
        refresh_token: tokens.refresh(account, session)?,
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

const PASSWORD_ALLOWED: &str = "a string of 8 to 128 characters";

/// A password that is to be kept.
fn password(value: &RawValue) -> Option<String> {
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
        for (text, taken) in [("1234567", false), ("12345678", true), ("pässwörd", true), ("pässwör", false)]
        {
            assert_eq!(password(&json(text)).is_some(), taken, "{text}");
        }
        assert!(password(&json(&"é".repeat(128))).is_some());
        assert!(password(&json(&"é".repeat(129))).is_none());
    }
}
