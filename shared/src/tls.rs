//! The authorities that both functions trust: the system's root certificates, read once for AWS and for receivers.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, Error, RootCertStore};

/// Judges a server's certificate by the system's root certificates.
///
/// # Errors
/// When the system has no root certificates.
pub fn verifier() -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    let read = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(read.certs);
    if roots.is_empty() {
        return Err(Error::General(format!("the system has no root certificates: {:?}", read.errors)));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| Error::General(error.to_string()))
}

/// A client's settings that trust the system's root certificates. Clones share what was read.
///
/// # Errors
/// When the system has no root certificates.
pub fn client_config() -> Result<ClientConfig, Error> {
    trusting(verifier()?)
}

/// The settings of a client that has no certificate of its own and trusts servers as this verifier does.
///
/// # Errors
/// Never with the provider used here: it has the versions of TLS that rustls uses by default.
pub fn trusting(verifier: Arc<WebPkiServerVerifier>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_webpki_verifier(verifier).with_no_client_auth())
}
