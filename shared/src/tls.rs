//! The certificates that both functions trust: the system's root certificates, read once for AWS and for receivers.

use std::sync::Arc;

use rustls::{ClientConfig, Error, RootCertStore};

/// The client side of TLS. Its clones share the certificates.
///
/// # Errors
/// When the system has no root certificates.
pub fn client_config() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let read = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(read.certs);
    if roots.is_empty() {
        return Err(Error::General(format!("the system has no root certificates: {:?}", read.errors)));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
