//! An endpoint's `auth`, as requests and answers have it.

use serde::Serialize;
use utoipa::ToSchema;

use super::values::{EndpointUrl, Mask};

/// By which the receiver knows the service, beside the signature. `oauth2`: before an attempt, an access token is fetched from `token_url`
/// by client credentials (RFC 6749 §4.4), and the request carries it as `authorization: Bearer …`. `mtls`: the receiver
/// gets this certificate when it asks for one in the TLS handshake, which needs a `url` of https.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ReceiverAuth {
    OAuth2(OAuth2Auth),
    Mtls(MtlsAuth),
}

/// An access token for the receiver.
#[derive(Debug, Serialize, ToSchema)]
pub struct OAuth2Auth {
    /// Held to the same rules as the `url` of an endpoint.
    #[schema(value_type = EndpointUrl)]
    token_url: String,
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+( +[!-~]+)*$")]
    client_id: String,
    /// No answer shows it. In a change, `********` keeps the secret that the endpoint has, unless `url` or `token_url` moves to another origin, or a
    /// portal session changes it.
    #[schema(min_length = 1, max_length = 1_024, pattern = "^[!-~]+( +[!-~]+)*$")]
    client_secret: String,
    /// Names with single spaces between them.
    #[schema(max_length = 1_024, pattern = r#"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$"#)]
    scope: Option<String>,
    #[schema(inline)]
    r#type: OAuth2Type,
}

/// A client certificate for the receiver.
#[derive(Debug, Serialize, ToSchema)]
pub struct MtlsAuth {
    /// The client's certificate in PEM, and those of its chain after it.
    #[schema(min_length = 1, max_length = 8_192)]
    certificate: String,
    /// Its private key in PEM, without a passphrase. No answer shows it, and in a change `********` keeps it.
    #[schema(min_length = 1, max_length = 4_096)]
    key: String,
    #[schema(inline)]
    r#type: MtlsType,
}

/// The same as an answer shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ShownReceiverAuth {
    OAuth2(ShownOAuth2Auth),
    Mtls(ShownMtlsAuth),
}

/// The same as an answer shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownOAuth2Auth {
    #[schema(value_type = EndpointUrl)]
    token_url: String,
    client_id: String,
    #[schema(value_type = Mask)]
    client_secret: String,
    #[schema(required)]
    scope: Option<String>,
    #[schema(inline)]
    r#type: OAuth2Type,
}

/// The same as an answer shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownMtlsAuth {
    certificate: String,
    #[schema(value_type = Mask)]
    key: String,
    #[schema(inline)]
    r#type: MtlsType,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OAuth2Type {
    OAuth2,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MtlsType {
    Mtls,
}
