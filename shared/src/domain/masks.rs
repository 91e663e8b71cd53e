//! The values of an endpoint's headers and the secret of its `auth` never come back from the API (contract §3). A
//! caller sees [`MASK`] in their place, and sends it to keep a value.

use url::Url;

use crate::custom_headers::{CustomHeaders, MAX_TOTAL_CHARS};
use crate::endpoint::Endpoint;
use crate::fields::Refused;
use crate::receiver_auth::{Auth, ReceiverAuth};

/// The text in place of a secret value.
pub const MASK: &str = "********";

/// How far a URL may move with the secret values that it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keeps {
    /// Within scheme, host and port.
    #[default]
    Origin,
    /// Nowhere. At an origin that many people share, such as one of a service for automation, each path may be somebody else's.
    Url,
}

/// The parts of a change that secret values depend on, as its caller sent them; `None` leaves a field as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    pub url: Option<&'a str>,
    pub headers: Option<&'a CustomHeaders>,
    /// The inner `None` removes it.
    pub auth: Option<Option<&'a ReceiverAuth>>,
    pub keeps: Keeps,
}

/// Whether a new endpoint may have these headers and this `auth`: it has no value that a mask could keep.
///
/// # Errors
/// When a value is the mask, or both set one header.
pub fn allowed_at_first(
    url: &str,
    headers: &CustomHeaders,
    auth: Option<&ReceiverAuth>,
) -> Result<(), Refused> {
    if let Some(name) = masked(headers).next() {
        return Err(Refused::new(format!(
            "headers must give a value for {name}: {MASK} keeps a value, and a new endpoint has none"
        )));
    }
    match auth {
        Some(auth) if is_masked(auth) => Err(nothing_to_keep(auth, "a new endpoint")),
        auth => {
            encrypted(url, auth.is_some_and(Auth::needs_tls))?;
            apart(headers.expose().keys(), auth.and_then(Auth::header))
        }
    }
}

/// Whether a change may be made at this endpoint. If the URL or the token URL moves further than [`Keeps`] says, no secret
/// moves with it: the caller may not know the secrets, and must not be able to send them to a host of its own.
///
/// # Errors
/// When a mask stands where no value can be kept, or headers and `auth` would set one header.
pub fn allowed_at(endpoint: &Endpoint, change: &Change<'_>) -> Result<(), Refused> {
    let moves = moves(endpoint, change);
    match change.headers {
        Some(headers) => kept_headers(endpoint, headers, moves)?,
        None if endpoint.headers.is_empty() => {}
        None => moves.map_or(Ok(()), |field| Err(moved("headers", "every value", field)))?,
    }
    match (change.auth, &endpoint.auth) {
        (Some(Some(auth)), before) if is_masked(auth) => {
            if before.as_ref().is_none_or(|before| auth.secret_like(before).is_none()) {
                return Err(nothing_to_keep(auth, "the endpoint"));
            }
            moves.map_or(Ok(()), |field| Err(moved("auth", auth.secret_name(), field)))?;
        }
        (None, Some(auth)) => moves.map_or(Ok(()), |field| Err(moved("auth", auth.secret_name(), field)))?,
        _ => {}
    }
    let (header, needs_tls) = match (change.auth, &endpoint.auth) {
        (Some(auth), _) => (auth.and_then(Auth::header), auth.is_some_and(Auth::needs_tls)),
        (None, auth) => (auth.as_ref().and_then(Auth::header), auth.as_ref().is_some_and(Auth::needs_tls)),
    };
    encrypted(change.url.unwrap_or(&endpoint.url), needs_tls)?;
    match change.headers {
        Some(headers) => apart(headers.expose().keys(), header),
        None => apart(endpoint.headers.0.keys(), header),
    }
}

/// Whether the URL is one of https, where `auth` needs TLS.
fn encrypted(url: &str, needs_tls: bool) -> Result<(), Refused> {
    let is_plain = Url::parse(url).is_ok_and(|url| url.scheme() == "http");
    if needs_tls && is_plain {
        return Err(Refused::new(
            "auth of this type needs a url of https: there is no certificate in plain http",
        ));
    }
    Ok(())
}

/// Whether `auth` sets no header that the endpoint has of its own.
fn apart<'a>(mut own: impl Iterator<Item = &'a String>, header: Option<&str>) -> Result<(), Refused> {
    match header.filter(|header| own.any(|name| name == header)) {
        None => Ok(()),
        Some(header) => Err(Refused::new(format!(
            "headers cannot have {header} beside auth of this type, which sends its token there"
        ))),
    }
}

/// The field that moves too far for its secrets, and where to.
fn moves(endpoint: &Endpoint, change: &Change<'_>) -> Option<&'static str> {
    let told = |origin, url| if change.keeps == Keeps::Origin { origin } else { url };
    if change.url.is_some_and(|url| !change.keeps.covers(&endpoint.url, url)) {
        return Some(told("url moves to another origin", "a portal session changes url"));
    }
    let (before, after) = (endpoint.auth.as_ref()?.token_url()?, change.auth??.token_url()?);
    let told = told("auth.token_url moves to another origin", "a portal session changes auth.token_url");
    (!change.keeps.covers(before, after)).then_some(told)
}

fn kept_headers(
    endpoint: &Endpoint,
    headers: &CustomHeaders,
    moves: Option<&'static str>,
) -> Result<(), Refused> {
    let mut kept = 0;
    for name in masked(headers) {
        let Some(value) = endpoint.headers.0.get(name) else {
            return Err(Refused::new(format!(
                "headers must give a value for {name}: {MASK} keeps a value, and the endpoint has no such header"
            )));
        };
        if let Some(field) = moves {
            return Err(moved("headers", "every value", field));
        }
        kept += value.plain_bytes() - MASK.len().min(value.plain_bytes());
    }
    if headers.total() + kept > MAX_TOTAL_CHARS {
        return Err(Refused::new(format!(
            "headers must have names and values of at most {MAX_TOTAL_CHARS} characters together, with the values that {MASK} keeps"
        )));
    }
    Ok(())
}

fn moved(field: &str, secrets: &str, moving: &str) -> Refused {
    Refused::new(format!(
        "{field} must be sent with {secrets} again, or as null, because {moving}: {MASK} keeps no value there"
    ))
}

fn is_masked(auth: &ReceiverAuth) -> bool {
    auth.secret().expose() == MASK
}

fn nothing_to_keep(auth: &ReceiverAuth, endpoint: &str) -> Refused {
    let name = auth.secret_name();
    Refused::new(format!("auth.{name} must be given: {MASK} keeps a value, and {endpoint} has none"))
}

/// The names that have the mask for a value.
fn masked(headers: &CustomHeaders) -> impl Iterator<Item = &str> {
    headers.expose().iter().filter(|(_, value)| *value == MASK).map(|(name, _)| name.as_str())
}

impl Keeps {
    /// Whether secret values stay with a URL that changes like this.
    fn covers(self, before: &str, after: &str) -> bool {
        match (Url::parse(before), Url::parse(after)) {
            (Ok(before), Ok(after)) if self == Self::Origin => before.origin() == after.origin(),
            (Ok(before), Ok(after)) => before == after,
            _ => before == after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EndpointId, ProjectId};
    use crate::receiver_auth::{Mtls, OAuth2};
    use crate::sealed::{KeyId, NONCE_BYTES, Sealed, SealedHeaders};
    use crate::shards::Shards;
    use crate::time::Timestamp;

    const URL: &str = "https://example.com/a";
    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn sealed(length: usize) -> Sealed {
        Sealed::new(&KeyId::parse("k").expect("an id"), &[0; NONCE_BYTES], &vec![0; length + 16])
    }

    /// An endpoint with the header `x-a`, whose value has this length.
    fn endpoint(length: usize) -> Endpoint {
        let (project, id) = (ProjectId::new(NOW), EndpointId::new(NOW));
        let url = URL.to_owned();
        let headers = SealedHeaders([("x-a".to_owned(), sealed(length))].into());
        Endpoint { headers, ..Endpoint::new(project, id, Shards::ONE, url, Vec::new(), sealed(70), NOW) }
    }

    fn of<'a>(headers: Option<&'a CustomHeaders>, url: Option<&'a str>) -> Change<'a> {
        Change { headers, url, ..Change::default() }
    }

    fn client(token_url: &str, client_secret: &str) -> ReceiverAuth {
        Auth::OAuth2(OAuth2 {
            token_url: token_url.to_owned(),
            client_id: "id".to_owned(),
            client_secret: client_secret.to_owned().into(),
            scope: None,
        })
    }

    fn headers(pairs: &[(&str, &str)]) -> CustomHeaders {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CustomHeaders::new(pairs).expect("headers")
    }

    #[test]
    fn a_mask_keeps_a_value_where_there_is_one() {
        let (kept, absent) = (headers(&[("x-a", MASK), ("x-b", "new")]), headers(&[("x-b", MASK)]));
        assert!(allowed_at(&endpoint(9), &of(Some(&kept), None)).is_ok());
        let refused = allowed_at(&endpoint(9), &of(Some(&absent), None)).expect_err("no such header");
        assert!(refused.to_string().starts_with("headers must give a value for x-b"), "{refused}");
        assert!(allowed_at_first(URL, &headers(&[("x-a", "********x")]), None).is_ok());
        assert!(allowed_at_first(URL, &kept, None).is_err());
    }

    #[test]
    fn no_value_moves_to_another_origin() {
        let (before, mask, value) = (endpoint(9), headers(&[("x-a", MASK)]), headers(&[("x-a", "again")]));
        for other in [
            "http://example.com/a",
            "https://example.com:8443/a",
            "https://www.example.com/a",
            "https://example.org/a",
        ] {
            assert!(allowed_at(&before, &of(None, Some(other))).is_err(), "{other}");
            assert!(allowed_at(&before, &of(Some(&mask), Some(other))).is_err(), "{other}");
            assert!(allowed_at(&before, &of(Some(&value), Some(other))).is_ok(), "{other}");
            assert!(allowed_at(&before, &of(Some(&headers(&[])), Some(other))).is_ok(), "{other}");
            let bare = Endpoint { headers: SealedHeaders::default(), ..before.clone() };
            assert!(allowed_at(&bare, &of(None, Some(other))).is_ok(), "{other}");
        }
        for same in ["https://example.com/b?c", "https://example.com:443/a", "https://EXAMPLE.com/a"] {
            assert!(allowed_at(&before, &of(None, Some(same))).is_ok(), "{same}");
            assert!(allowed_at(&before, &of(Some(&mask), Some(same))).is_ok(), "{same}");
        }
    }

    #[test]
    fn where_only_the_url_keeps_its_values_no_path_takes_them_along() {
        let (mask, value) = (headers(&[("x-a", MASK)]), headers(&[("x-a", "again")]));
        let login = client("https://login.example.com/a", "");
        let before = Endpoint { auth: Some(login.with(sealed(9))), ..endpoint(9) };
        let change = |headers, url, auth| {
            allowed_at(&before, &Change { headers, url, auth, keeps: Keeps::Url })
                .map_err(|refused| refused.to_string())
        };
        let told =
            "headers must be sent with every value again, or as null, because a portal session changes url";
        for other in ["https://example.com/b", "https://example.com/a?b", "https://example.org/a"] {
            for sent in [None, Some(&mask)] {
                let refused = change(sent, Some(other), Some(None));
                assert!(refused.as_ref().is_err_and(|message| message.starts_with(told)), "{refused:?}");
            }
            assert_eq!(change(Some(&value), Some(other), Some(None)), Ok(()));
            assert!(change(Some(&value), Some(other), None).is_err(), "the secret of auth stays too");
        }
        for same in [None, Some(URL), Some("https://EXAMPLE.com:443/a")] {
            assert_eq!(change(Some(&mask), same, None), Ok(()));
        }
        let [masked, moved] =
            ["a", "b"].map(|path| client(&format!("https://login.example.com/{path}"), MASK));
        assert_eq!(change(None, None, Some(Some(&masked))), Ok(()));
        assert!(change(None, None, Some(Some(&moved))).is_err());
    }

    #[test]
    fn kept_values_count_towards_the_limit() {
        let long = "v".repeat(4_096);
        let more = headers(&[("x-a", MASK), ("x-b", &long)]);
        // Two names of three characters.
        assert!(allowed_at(&endpoint(4_090), &of(Some(&more), None)).is_ok());
        assert!(allowed_at(&endpoint(4_091), &of(Some(&more), None)).is_err());
    }

    #[test]
    fn a_clients_secret_is_kept_where_it_was_and_moves_nowhere() {
        const TOKEN_URL: &str = "https://login.example.com/token";
        let with = |secret: &str| client(TOKEN_URL, secret);
        let bare = endpoint(9);
        let before = Endpoint {
            auth: Some(with("").with(sealed(9))),
            headers: SealedHeaders::default(),
            ..endpoint(9)
        };
        let (masked, elsewhere) = (with(MASK), client("https://evil.example/token", MASK));
        let (again, same) =
            (client("https://evil.example/token", "s"), client("https://login.example.com/t2", MASK));
        let auth = |auth: &ReceiverAuth, url| {
            let change = Change { url, auth: Some(Some(auth)), ..Change::default() };
            allowed_at(&before, &change).map_err(|refused| refused.to_string())
        };
        assert_eq!(auth(&masked, None), Ok(()));
        assert_eq!(auth(&same, None), Ok(()));
        assert_eq!(auth(&again, None), Ok(()));
        assert_eq!(auth(&again, Some("https://evil.example/")), Ok(()));
        for (moving, told) in [
            (auth(&elsewhere, None), "auth.token_url moves"),
            (auth(&masked, Some("https://evil.example/")), "url moves"),
        ] {
            let told = format!(
                "auth must be sent with client_secret again, or as null, because {told} to another origin"
            );
            assert!(moving.as_ref().is_err_and(|message| message.starts_with(&told)), "{moving:?}");
        }
        let moved = Change { url: Some("https://evil.example/"), ..Change::default() };
        assert!(allowed_at(&before, &moved).is_err());
        assert!(allowed_at(&before, &Change { auth: Some(None), ..moved }).is_ok());
        let none = "auth.client_secret must be given: ******** keeps a value, and the endpoint has none";
        let change = Change { auth: Some(Some(&masked)), ..Change::default() };
        assert_eq!(allowed_at(&bare, &change).expect_err("nothing").to_string(), none);
        assert!(allowed_at_first(URL, &headers(&[]), Some(&masked)).is_err());
        assert!(allowed_at_first(URL, &headers(&[]), Some(&again)).is_ok());
    }

    #[test]
    fn a_token_url_that_moves_takes_no_header_along() {
        let secret = client("https://evil.example/token", "again");
        let before = Endpoint {
            auth: Some(client("https://login.example.com/token", "").with(sealed(9))),
            ..endpoint(9)
        };
        let change = Change { auth: Some(Some(&secret)), ..Change::default() };
        assert!(allowed_at(&before, &change).is_err());
        let whole = headers(&[("x-a", "again")]);
        assert!(allowed_at(&before, &Change { headers: Some(&whole), ..change }).is_ok());
    }

    #[test]
    fn one_of_headers_and_auth_sets_the_authorization() {
        let secret = client("https://login.example.com/token", "s");
        let own = headers(&[("authorization", "Basic YTpi")]);
        let told = "headers cannot have authorization beside auth of this type, which sends its token there";
        assert_eq!(allowed_at_first(URL, &own, Some(&secret)).expect_err("both").to_string(), told);
        assert!(allowed_at_first(URL, &own, None).is_ok());
        let both = Change { headers: Some(&own), auth: Some(Some(&secret)), ..Change::default() };
        let bare = Endpoint { headers: SealedHeaders::default(), ..endpoint(9) };
        let of_headers = Endpoint {
            headers: SealedHeaders([("authorization".to_owned(), sealed(9))].into()),
            ..bare.clone()
        };
        let of_auth = Endpoint { auth: Some(secret.with(sealed(9))), ..bare.clone() };
        assert!(allowed_at(&bare, &both).is_err());
        assert!(allowed_at(&of_headers, &Change { headers: None, ..both }).is_err());
        assert!(allowed_at(&of_auth, &Change { auth: None, ..both }).is_err());
        assert!(allowed_at(&of_auth, &Change { auth: Some(None), ..both }).is_ok());
    }

    #[test]
    fn a_certificate_needs_https_and_its_key_stays_with_it() {
        const PLAIN: &str = "http://127.0.0.1/";
        let with = |key: &str| -> ReceiverAuth {
            Auth::Mtls(Mtls { certificate: "one".to_owned(), key: key.to_owned().into() })
        };
        let (own, masked) = (with("key"), with(MASK));
        let told = "auth of this type needs a url of https: there is no certificate in plain http";
        let refused = allowed_at_first(PLAIN, &headers(&[]), Some(&own)).expect_err("plain");
        assert_eq!(refused.to_string(), told);
        assert!(allowed_at_first(URL, &headers(&[("authorization", "both may be")]), Some(&own)).is_ok());
        let before =
            Endpoint { auth: Some(own.with(sealed(9))), headers: SealedHeaders::default(), ..endpoint(9) };
        let change =
            |auth, url| allowed_at(&before, &Change { url, auth: Some(Some(auth)), ..Change::default() });
        assert!(change(&masked, None).is_ok() && change(&own, Some("https://example.org/")).is_ok());
        assert!(change(&masked, Some("https://example.org/")).is_err() && change(&own, Some(PLAIN)).is_err());
        let other_kind = client("https://login.example.com/token", MASK);
        assert!(change(&other_kind, None).is_err(), "a key is no client's secret");
    }
}
