use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Resource;
use super::operation::{Described, delete, post};
use super::values::{Email, Nonce, ResetToken};
use crate::routes::auth::{PortalOpenedBody, SignedInBody, SignedUpBody};

/// A new account.
#[derive(Debug, ToSchema)]
pub struct SignUp {
    #[schema(value_type = Email)]
    pub email: String,
    #[schema(min_length = 8, max_length = 128, format = Password)]
    pub password: String,
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub first_name: String,
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub last_name: String,
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub business_name: String,
    /// The business in a sentence or two.
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub business_summary: String,
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub industry: String,
}

/// The credentials of an account.
#[derive(Debug, ToSchema)]
pub struct LogIn {
    /// In any case.
    #[schema(min_length = 1, max_length = 254, pattern = r"\S")]
    pub email: String,
    #[schema(format = Password)]
    pub password: String,
}

/// A new password in place of the present one.
#[derive(Debug, ToSchema)]
pub struct PasswordChange {
    #[schema(format = Password)]
    pub current_password: String,
    #[schema(min_length = 8, max_length = 128, format = Password)]
    pub new_password: String,
}

/// A new password in place of a lost one.
#[derive(Debug, ToSchema)]
pub struct PasswordReset {
    #[schema(value_type = ResetToken)]
    pub token: String,
    #[schema(min_length = 8, max_length = 128, format = Password)]
    pub new_password: String,
}

/// The code of a portal link.
#[derive(Debug, ToSchema)]
pub struct PortalOpening {
    /// The fragment of the link, without `#`.
    #[schema(min_length = 1)]
    pub code: String,
    #[schema(value_type = Nonce)]
    pub nonce: String,
}

/// The password of an account, once more.
#[derive(Debug, ToSchema)]
pub struct Confirmation {
    #[schema(format = Password)]
    pub password: String,
}

/// Yes or no.
#[derive(Debug, ToSchema)]
pub struct Everywhere(pub bool);

pub(super) fn resource() -> Resource {
    let log_in = post("/auth/login", "logIn", "Log in")
        .about("An unknown e-mail is answered as a wrong password is. After 10 failures \
             within 15 minutes a caller has to wait before it tries that account again, and after 100 failures from all addresses so \
             does everyone.")
        .open()
        .takes::<LogIn>(json!({ "email": "ada@example.com", "password": "correct horse battery" }))
        .gives::<SignedInBody>(200, "Logged in.", signed_in())
        .refuses(&[401, 429, 500, 503]);
    let refresh = post("/auth/refresh", "refreshTokens", "Refresh tokens")
        .about(
            "Two new tokens for a refresh token. A body is not needed. A client that lost the answer, or two tabs with the same token, \
             send it again and get the same refresh token, until that one is used. After that the older token ends the session: \
             somebody uses a copy.",
        )
        .secured_only("refreshToken")
        .gives::<SignedInBody>(201, "New tokens.", signed_in())
        .refuses(&[400, 401, 413, 415, 500, 503]);
    let log_out = post("/auth/logout", "logOut", "Log out")
        .about(
            "Ends the token's session. Within 5 seconds its tokens open nothing. A body is not needed. The session of a portal ends with its \
             link, and takes no `everywhere`.",
        )
        .secured_only("sessionToken")
        .query::<Everywhere>("everywhere", "Ends all sessions of the account.")
        .answers_nothing(204, "The session has ended.")
        .refuses(&[400, 401, 413, 415, 500, 503]);
    let change = post("/auth/password", "changePassword", "Change the password")
        .about(
            "All sessions of the account end, this one too; the tokens in the answer belong to a new one. A wrong \
             `current_password` is a 400, and counts as a failed login.",
        )
        .secured_only("accessToken")
        .takes::<PasswordChange>(json!({
            "current_password": "correct horse battery",
            "new_password": "staple of another horse",
        }))
        .gives::<SignedInBody>(200, "Changed.", signed_in())
        .refuses(&[400, 401, 429, 500, 503]);
    let reset = post("/auth/reset", "resetPassword", "Set a new password")
        .about(
            "For people who lost their password. The operator makes the token; it is good for an hour, and for one new password. All \
             sessions of the account end.",
        )
        .open()
        .takes::<PasswordReset>(json!({
            "token": "1776012719.158776dee6992351d7768428b6a67291cd7b531367ee7a1f017fb10a6388b551.ada@example.com",
            "new_password": "staple of another horse",
        }))
        .answers_nothing(204, "The new password holds.")
        .refuses(&[401, 429, 500, 503]);
    let erase = delete("/auth/account", "eraseAccount", "Erase the account")
        .about(
            "With all of its projects and sessions. After the answer its tokens and keys open nothing, and its e-mail is free; the rows of its \
             projects are gone within 24 hours. After a 503, or no answer, send the same request again: a part may be erased. A wrong \
             `password` is a 400, and counts as a failed login.",
        )
        .secured_only("accessToken")
        .takes::<Confirmation>(json!({ "password": "correct horse battery" }))
        .answers_nothing(202, "The account is erased.")
        .refuses(&[401, 429, 500, 503]);
    Resource {
        tag: "Accounts",
        about: "Signing up, logging in, passwords, and the tokens that manage projects and API keys. Redeeming portal links.",
        routes: vec![sign_up(), log_in, refresh, log_out, change, reset, open_portal(), erase],
    }
}

fn sign_up() -> Described {
    post("/auth/signup", "signUp", "Sign up")
        .about(
            "Makes an account, its business and a first project with an API key, which is shown this once. By \
             the operator's choice (`SignupPolicy`), this is open to holders of the sign-up token, to anyone or to no one.",
        )
        .secured("signupToken")
        .open()
        .takes::<SignUp>(json!({
            "email": "ada@example.com",
            "password": "correct horse battery",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "business_name": "Analytical Engines",
            "business_summary": "Engines that compute",
            "industry": "Computing",
        }))
        .gives::<SignedUpBody>(201, "Signed up.", signed_up())
        .refuses(&[401, 403, 409, 500, 503])
}

fn open_portal() -> Described {
    post("/auth/portal", "openPortal", "Redeem a portal link")
        .about(
            "Opens the link's one session. The caller makes up the nonce. If the answer is lost, the same code and nonce give the same \
             session again; with another nonce a used code is refused. After 10 tries within 15 minutes a caller has to wait before it tries \
             that link again.",
        )
        .open()
        .takes::<PortalOpening>(json!({
            "code": format!("{LINK}83ef33172e507644331b2915aede54ca4f0d895b61ff17a8412e8674160a277e"),
            "nonce": "6f437a610fb0e3c1d1a94f7bb2f5d04a8e0c4a4b7f2d3c8f9d1e6a5b0c7d8e9f",
        }))
        .gives::<PortalOpenedBody>(201, "Opened.", json!({
            "token": format!("portal_{LINK}158776dee6992351d7768428b6a67291cd7b531367ee7a1f017fb10a6388b551"),
            "project_id": "0197c2a4-1c11-790f-b01a-1a8a16a36aad",
            "read_only": false,
            "expires_at": "2026-04-12T23:51:59.499Z",
        }))
        .refuses(&[401, 429, 500, 503])
}

/// The project and the link in a portal link's code.
const LINK: &str = "0197c2a41c11790fb01a1a8a16a36aad0197c2a41c117d349a6b64f1d0c7f2aa";

fn signed_in() -> Value {
    json!({
        "access_token": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXAiOiJhY2Nlc3MifQ.c2lnbmF0dXJl",
        "refresh_token": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXAiOiJyZWZyZXNoIn0.c2lnbmF0dXJl",
        "user": {
            "id": "0197c2a4-1c11-7b0e-8c5d-0d6f5b1d7a01",
            "email": "ada@example.com",
            "first_name": "Ada",
            "last_name": "Lovelace",
        },
    })
}

fn signed_up() -> Value {
    let mut body = signed_in();
    body["business"] = json!({ "id": "0197c2a4-1c11-7b0e-8c5d-0d6f5b1d7a02", "name": "Analytical Engines" });
    body["default_project"] = json!({
        "id": "0197c2a4-1c11-790f-b01a-1a8a16a36aad",
        "name": "default",
        "api_key": "echo_6f437a610fb0e3c1d1a94f7bb2f5d04a8e0c4a4b7f2d3c8f9d1e6a5b0c7d8e9f",
    });
    body
}
