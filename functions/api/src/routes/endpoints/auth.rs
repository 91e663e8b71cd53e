//! The field `auth` as a caller sets it (contract §3).

use echo_shared::address::AddressRules;
use echo_shared::endpoint::Endpoint;
use echo_shared::fields::{Fields, Refused, string};
use echo_shared::masks::MASK;
use echo_shared::receiver_auth::{
    Auth, MAX_CERTIFICATE_CHARS, MAX_CLIENT_ID_CHARS, MAX_CLIENT_SECRET_CHARS, MAX_KEY_CHARS,
    MAX_SCOPE_CHARS, Mtls, OAuth2, ReceiverAuth, SealedAuth, is_client_text, is_scope,
};
use echo_shared::tls::Identity;

use super::fields::checked_url;
use crate::app::App;
use crate::error::ApiError;

const ALLOWED: &str = "null or an object with a type";

/// `null` takes it away.
pub(super) fn auth(
    fields: &Fields<'_>,
    rules: &AddressRules,
) -> Result<Option<Option<ReceiverAuth>>, Refused> {
    let Some(value) = fields.optional("auth", ALLOWED, Some)? else { return Ok(None) };
    if value.get() == "null" {
        return Ok(Some(None));
    }
    let parts = Fields::parse(value.get().as_bytes());
    let parts = parts.map_err(|_| Refused::new(format!("auth must be {ALLOWED}")))?;
    let auth = of_type(&parts, rules).map_err(|refused| Refused::new(format!("auth.{refused}")))?;
    Ok(Some(Some(auth)))
}

fn of_type(fields: &Fields<'_>, rules: &AddressRules) -> Result<ReceiverAuth, Refused> {
    let kind = |value| string(value).filter(|name| matches!(name.as_str(), "oauth2" | "mtls"));
    if fields.required("type", "oauth2 or mtls", kind)? == "mtls" {
        mtls(fields)
    } else {
        oauth2(fields, rules)
    }
}

fn oauth2(fields: &Fields<'_>, rules: &AddressRules) -> Result<ReceiverAuth, Refused> {
    // A field that is ignored, such as a misspelled scope, would do harm.
    fields.only(&["type", "token_url", "client_id", "client_secret", "scope"])?;
    let text = |name, max| {
        let allowed = format!("a string of 1 to {max} visible ASCII characters and inner spaces");
        fields.required(name, allowed, |value| string(value).filter(|text| is_client_text(text, max)))
    };
    let scope = format!(
        "names of visible ASCII characters but \" and \\, with single spaces between them, {MAX_SCOPE_CHARS} characters at most"
    );
    let token_url = fields.required("token_url", "an absolute https URL", string)?;
    Ok(Auth::OAuth2(OAuth2 {
        token_url: checked_url("token_url", &token_url, rules)?,
        client_id: text("client_id", MAX_CLIENT_ID_CHARS)?,
        client_secret: text("client_secret", MAX_CLIENT_SECRET_CHARS)?.into(),
        scope: fields.nullable("scope", scope, |value| string(value).filter(|text| is_scope(text)))?,
    }))
}

fn mtls(fields: &Fields<'_>) -> Result<ReceiverAuth, Refused> {
    fields.only(&["type", "certificate", "key"])?;
    let pem = |name, max| {
        let allowed = format!("a string of 1 to {max} characters in PEM");
        fields.required(name, allowed, |value| string(value).filter(|text| (1..=max).contains(&text.len())))
    };
    let (certificate, key) = (pem("certificate", MAX_CERTIFICATE_CHARS)?, pem("key", MAX_KEY_CHARS)?);
    if key != MASK {
        Identity::read(&certificate, &key).map_err(|wrong| Refused::new(wrong.to_string()))?;
    }
    Ok(Auth::Mtls(Mtls { certificate, key: key.into() }))
}

/// Whether a certificate fits the key that a mask keeps, once that is open.
fn fits(wanted: &ReceiverAuth, kept: &ReceiverAuth) -> Result<(), Refused> {
    match (wanted, kept) {
        (Auth::Mtls(wanted), Auth::Mtls(kept)) if wanted.key.expose() == MASK => {
            let identity = Identity::read(&wanted.certificate, kept.key.expose());
            identity.map(|_| ()).map_err(|wrong| Refused::new(format!("auth.{wrong}")))
        }
        _ => Ok(()),
    }
}

/// Seals a changed `auth`, if its secret, where that is kept, belongs to it.
pub(super) async fn sealed(
    app: &App,
    endpoint: &Endpoint,
    auth: &ReceiverAuth,
) -> Result<SealedAuth, ApiError> {
    if let Some(before) = &endpoint.auth {
        fits(auth, &app.keys.open(|keys| keys.auth_of(endpoint, before)).await?)?;
    }
    Ok(app.keys.seal(|keys| keys.seal_auth(endpoint, auth)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Option<Option<ReceiverAuth>>, String> {
        let fields = Fields::parse(body.as_bytes()).expect("an object");
        auth(&fields, &AddressRules::default()).map_err(|refused| refused.to_string())
    }

    fn client(more: &str) -> String {
        format!(
            r#"{{"auth": {{"type": "oauth2", "token_url": "https://login.example.com/token", "client_id": "a"{more}}}}}"#
        )
    }

    #[test]
    fn a_client_is_read_and_null_takes_it_away() {
        assert_eq!(read("{}"), Ok(None));
        assert_eq!(read(r#"{"auth": null}"#), Ok(Some(None)));
        for (more, scope) in [
            (r#", "client_secret": "hidden""#, None),
            (r#", "client_secret": "hidden", "scope": null"#, None),
            (r#", "client_secret": "hidden", "scope": "a b""#, Some("a b".to_owned())),
        ] {
            let Ok(Some(Some(Auth::OAuth2(read)))) = read(&client(more)) else { panic!("{more}") };
            assert_eq!((read.client_secret.expose(), read.scope), ("hidden", scope));
        }
    }

    #[test]
    fn refusals_name_the_field_inside() {
        let secret = r#", "client_secret": "hidden""#;
        for (body, told) in [
            (r#"{"auth": "oauth2"}"#.to_owned(), "auth must be null or an object with a type"),
            (r#"{"auth": []}"#.to_owned(), "auth must be null or an object with a type"),
            (r#"{"auth": {}}"#.to_owned(), "auth.type is required and must be oauth2 or mtls"),
            (r#"{"auth": {"type": "basic"}}"#.to_owned(), "auth.type must be oauth2 or mtls"),
            (
                r#"{"auth": {"type": "mtls"}}"#.to_owned(),
                "auth.certificate is required and must be a string of 1 to 8192 ",
            ),
            (
                r#"{"auth": {"type": "mtls", "certificate": "x", "client_id": "a"}}"#.to_owned(),
                "auth.client_id is no field of this call",
            ),
            (
                r#"{"auth": {"type": "mtls", "certificate": "hidden", "key": "hidden"}}"#.to_owned(),
                "auth.certificate must be 1 to 16 ",
            ),
            (client(""), "auth.client_secret is required and must be a string of 1 to 1024 "),
            (client(r#", "client_secret": 7"#), "auth.client_secret must be a string of 1 to 1024 "),
            (client(r#", "client_secret": "hidden\n""#), "auth.client_secret must be a string of 1 to 1024 "),
            (
                client(&format!(r#"{secret}, "scop": "a""#)),
                "auth.scop is no field of this call; did you mean scope?",
            ),
            (client(&format!(r#"{secret}, "scope": "a  b""#)), "auth.scope must be null or names of "),
            (client(&format!(r#"{secret}, "client_id": "b""#)), "auth.client_id must be given only once"),
            (client(secret).replace("https", "http"), "auth.token_url must use https"),
            (client(secret).replace("login.example.com", "10.0.0.1"), "auth.token_url must not be a private"),
            (
                client(secret).replace("login.example.com", "sqs.eu-west-1.amazonaws.com"),
                "auth.token_url must not lead to an API of AWS",
            ),
            (
                client(secret).replace("/token", "/a/../b"),
                "auth.token_url would be requested as https://login.example.com/b; register that",
            ),
        ] {
            let message = read(&body).expect_err(&body);
            assert!(message.starts_with(told), "{message}");
            assert!(!message.contains("hidden"), "{message}");
        }
    }
}
