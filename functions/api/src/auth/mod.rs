//! The caller of a request, and the project that the request is about. Below `/v1` both are settled before routing, because
//! 401 and 403 come before 404 (contract §1). The route then says which scope a key needs.

pub mod grants;
pub mod passwords;
pub mod portals;
pub mod remembered;
pub mod reset;
pub mod secrets;
pub mod tokens;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use echo_shared::account::EmailKey;
use echo_shared::api_key::{ApiKey, ApiKeyStatus, CreatedBy, KeyGrant, Reach};
use echo_shared::audit::{Actor, Author};
use echo_shared::id::{AccountId, ProjectId};
use echo_shared::portal_link::PortalToken;
use echo_shared::scope::Scope;
use echo_shared::shards::Shards;
use echo_shared::time::Timestamp;
use tracing::Span;

use crate::app::{App, AppState};
use crate::auth::portals::PortalGrant;
use crate::auth::tokens::TokenType;
use crate::error::ApiError;
use crate::http::body;
use crate::http::request::{QueryValues, caller_address};

const API_KEY: &str = "x-api-key";

/// The caller of a request.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The holder of a key, which opens one project.
    Key(KeyGrant),
    /// The holder of an access token, which opens all projects of one account.
    Account(AccountId),
    /// The holder of a portal session, which opens a part of one project.
    Portal(PortalGrant),
}

/// The project that a request is about. Its caller may use it.
#[derive(Debug, Clone, Copy)]
pub struct InProject {
    pub id: ProjectId,
    pub account_id: AccountId,
    pub shards: Shards,
}

/// The project in the path.
#[derive(Debug, Clone, Copy)]
enum PathProject {
    Open(InProject),
    Malformed,
}

/// Adds the caller and the project to the request.
///
/// # Errors
/// When the credential is not valid, or not for the project in the path.
pub async fn authenticate(app: &App, request: &mut Request) -> Result<(), ApiError> {
    let (caller, email) = identify(app, request.headers()).await?;
    if let Some(email) = email {
        request.extensions_mut().insert(AccountEmail(email));
    }
    if let Some(id) = project_in(request.uri().path()) {
        let project = match ProjectId::parse(id) {
            Ok(id) => PathProject::Open(caller.enter(app, id).await?),
            Err(_) => PathProject::Malformed,
        };
        request.extensions_mut().insert(project);
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// The project's segment of a path below `/v1`.
pub(crate) fn project_in(path: &str) -> Option<&str> {
    path.strip_prefix("/projects/")?.split('/').next().filter(|segment| !segment.is_empty())
}

/// The key that a request carries, if it has the form of a key.
pub(crate) fn api_key(headers: &HeaderMap) -> Option<ApiKey> {
    headers.get(API_KEY)?.to_str().ok().and_then(|text| ApiKey::parse(text).ok())
}

/// The text after `Bearer` in the authorization header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The caller, and the e-mail of its account if it has an access token.
async fn identify(app: &App, headers: &HeaderMap) -> Result<(Caller, Option<EmailKey>), ApiError> {
    if headers.contains_key(API_KEY) {
        let key = api_key(headers).ok_or_else(ApiError::api_key_refused)?;
        return Ok((Caller::Key(grant(app, &key).await?), None));
    }
    let token = bearer(headers).ok_or_else(ApiError::credential_missing)?;
    if PortalToken::is_meant(token) {
        return Ok((Caller::Portal(portal_grant(app, token).await?), None));
    }
    let (id, email) = account(app, token).await?;
    Ok((Caller::Account(id), Some(email)))
}

/// The account whose living session the access token belongs to.
async fn account(app: &App, token: &str) -> Result<(AccountId, EmailKey), ApiError> {
    let now = Timestamp::now();
    let claims = app.secrets.derived().await?.tokens.verify(TokenType::Access, token, now);
    let claims = claims.ok_or_else(ApiError::access_token_refused)?;
    let (session, email) = ((claims.sub, claims.sid), EmailKey::of(&claims.email));
    if app.sessions.get(&session, now).is_none() {
        let lives = app.registry.session(&email, &claims.sub, &claims.sid, now).await?;
        lives.ok_or_else(ApiError::access_token_refused)?;
        app.sessions.put(session, (), now);
    }
    Ok((claims.sub, email))
}

async fn grant(app: &App, key: &ApiKey) -> Result<KeyGrant, ApiError> {
    let hash = key.hash();
    let now = Timestamp::now();
    let works = |grant: &KeyGrant| grant.status == ApiKeyStatus::Active && !grant.reach.has_ended(now);
    if let Some(grant) = app.grants.get(&hash, now).filter(works) {
        return Ok(grant);
    }
    if app.grants.is_refused(&hash) {
        return Err(ApiError::api_key_refused());
    }
    let Some(grant) = app.registry.grant(&hash).await?.filter(works) else {
        app.grants.refuse(hash);
        return Err(ApiError::api_key_refused());
    };
    app.grants.put(grant.clone(), now);
    Ok(grant)
}

/// The part of a project that a portal session's token opens.
async fn portal_grant(app: &App, token: &str) -> Result<PortalGrant, ApiError> {
    let token = PortalToken::parse(token).ok_or_else(ApiError::portal_session_refused)?;
    let now = Timestamp::now();
    if let Some(grant) = app.portals.get(&token.link_id(), now).filter(|grant| grant.is_of(&token, now)) {
        return Ok(grant);
    }
    let link = app.registry.portal_link(&token.project_id(), &token.link_id()).await?;
    let grant = link.and_then(|link| PortalGrant::of(&link, &token, now));
    let grant = grant.ok_or_else(ApiError::portal_session_refused)?;
    app.portals.put(grant.link_id, grant.clone(), now);
    Ok(grant)
}

/// A layer of routes that need this scope.
pub async fn require(State(scope): State<Scope>, request: Request, next: Next) -> Result<Response, ApiError> {
    let caller = request.extensions().get::<Caller>();
    let caller = caller.ok_or_else(|| ApiError::internal("a route that needs a scope has no caller"))?;
    if !caller.reach().scopes.contains(scope) {
        return Err(caller.lacks(scope));
    }
    Ok(next.run(request).await)
}

/// A layer of routes that no portal session opens, although it has their scope.
pub async fn outside_the_portal(request: Request, next: Next) -> Result<Response, ApiError> {
    if request.extensions().get::<Caller>().is_some_and(Caller::is_portal) {
        return Err(ApiError::not_in_the_portal());
    }
    Ok(next.run(request).await)
}

impl Caller {
    #[must_use]
    pub const fn reach(&self) -> Reach {
        match self {
            Self::Key(grant) => grant.reach,
            Self::Account(_) => Reach::WHOLE,
            Self::Portal(grant) => Reach { scopes: grant.scopes, ends_at: Some(grant.ends_at) },
        }
    }

    /// The account whose things the caller sees.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        match self {
            Self::Key(grant) => grant.account_id,
            Self::Account(account_id) => *account_id,
            Self::Portal(grant) => grant.owner_id,
        }
    }

    /// Whether the caller gets the signing secrets of endpoints.
    #[must_use]
    pub const fn sees_secrets(&self) -> bool {
        self.reach().scopes.contains(Scope::EndpointsWrite)
    }

    #[must_use]
    pub const fn is_portal(&self) -> bool {
        matches!(self, Self::Portal(_))
    }

    /// # Errors
    /// When the caller is in a portal, which makes neither keys nor links.
    pub fn as_maker(&self) -> Result<CreatedBy, ApiError> {
        match self {
            Self::Key(grant) => Ok(CreatedBy::Key(grant.api_key_id)),
            Self::Account(_) => Ok(CreatedBy::Account),
            Self::Portal(_) => Err(self.lacks(Scope::KeysWrite)),
        }
    }

    /// The caller's name in the activity list.
    #[must_use]
    pub const fn as_actor(&self) -> Actor {
        match self {
            Self::Key(grant) => Actor::ApiKey(grant.api_key_id),
            Self::Account(account_id) => Actor::Account(*account_id),
            Self::Portal(grant) => Actor::PortalLink(grant.link_id),
        }
    }

    fn lacks(&self, scope: Scope) -> ApiError {
        if self.is_portal() { ApiError::outside_the_portal(scope) } else { ApiError::scope_missing(scope) }
    }

    /// # Errors
    /// When the caller may not use the project, whether or not it exists.
    async fn enter(&self, app: &App, id: ProjectId) -> Result<InProject, ApiError> {
        let opened = match self {
            Self::Key(grant) => (grant.project_id == id).then_some((grant.account_id, grant.shards)),
            Self::Portal(grant) => (grant.project_id == id).then_some((grant.owner_id, grant.shards)),
            Self::Account(account_id) => {
                let project = app.registry.project(account_id, &id).await?;
                project.map(|project| (project.account_id, project.shards))
            }
        };
        let (account_id, shards) = opened.ok_or_else(ApiError::foreign_project)?;
        Span::current().record("project_id", tracing::field::display(id));
        Ok(InProject { id, account_id, shards })
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        caller(parts)
    }
}

fn caller(parts: &Parts) -> Result<Caller, ApiError> {
    let caller = parts.extensions.get::<Caller>().cloned();
    caller.ok_or_else(|| ApiError::internal("a route that wants a caller has no layer that finds it"))
}

/// The caller of a change, and the caller's name in the activity list.
#[derive(Debug, Clone)]
pub struct By {
    pub caller: Caller,
    pub author: Author,
}

impl FromRequestParts<AppState> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let caller = caller(parts)?;
        let (actor, from) = (caller.as_actor(), caller_address(&parts.extensions));
        Ok(Self { caller, author: Author { actor, from, kept_for: app.settings.retention } })
    }
}

impl<S: Sync> FromRequestParts<S> for InProject {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match parts.extensions.get::<PathProject>() {
            Some(PathProject::Open(project)) => Ok(*project),
            _ => {
                Err(body::invalid(parts.extensions.get(), "projectId in the path must be a hyphenated UUID"))
            }
        }
    }
}

/// The e-mail in the caller's access token: the key of the account's row.
#[derive(Debug, Clone)]
struct AccountEmail(EmailKey);

/// A caller with an access token, for routes that a key does not open.
#[derive(Debug, Clone)]
pub struct AccountCaller {
    pub id: AccountId,
    pub email: EmailKey,
}

impl<S: Sync> FromRequestParts<S> for AccountCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match caller(parts)? {
            Caller::Account(id) => {
                let email = parts.extensions.get::<AccountEmail>().cloned();
                let AccountEmail(email) =
                    email.ok_or_else(|| ApiError::internal("an access token without an e-mail"))?;
                Ok(Self { id, email })
            }
            Caller::Key(_) => Err(ApiError::access_token_needed()),
            Caller::Portal(_) => Err(ApiError::not_in_the_portal()),
        }
    }
}

/// The project of a route that has none in its path: the project of the key, or the one that `project_id` in the query
/// names, or the account's only one.
#[derive(Debug, Clone, Copy)]
pub struct ChosenProject(pub InProject);

impl FromRequestParts<AppState> for ChosenProject {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let caller = caller(parts)?;
        let query = QueryValues::from_request_parts(parts, app).await?;
        let named = query.optional("project_id", "a hyphenated UUID", |text| ProjectId::parse(text).ok())?;
        let id = match (named, &caller) {
            (Some(id), _) => id,
            (None, Caller::Key(grant)) => grant.project_id,
            (None, Caller::Portal(grant)) => grant.project_id,
            (None, Caller::Account(account_id)) => {
                match app.registry.projects(account_id).await?.as_slice() {
                    [only] => only.id,
                    _ => {
                        return Err(
                            query.invalid("project_id is required when the account has several projects")
                        );
                    }
                }
            }
        };
        let project = caller.enter(app, id).await?;
        query.only(&["project_id"])?;
        Ok(Self(project))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_the_segment_after_projects() {
        assert_eq!(project_in("/projects/a/webhooks"), Some("a"));
        assert_eq!(project_in("/projects/a"), Some("a"));
        for path in ["/projects", "/projects/", "/projects//webhooks", "/api-keys/projects/a", "/projectsx/a"]
        {
            assert_eq!(project_in(path), None, "{path}");
        }
    }

    #[test]
    fn bearer_is_read_in_any_case() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with("Bearer a.b.c"), Some("a.b.c".to_owned()));
        assert_eq!(with("bearer  a.b.c"), Some("a.b.c".to_owned()));
        assert_eq!(with("Basic abc"), None);
        assert_eq!(with("Bearer"), None);
    }
}
