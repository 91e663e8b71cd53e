//! The servers that both functions trust, AWS and receivers: those with a certificate under one of the system's roots.
//!
//! Reading all roots is more than half of the work of a cold start, and AWS's own certificates need only those of Amazon
//! (<https://docs.aws.amazon.com/general/latest/gr/aws-apis.html>). So [`Roots`] reads these few at once. For a
//! receiver it reads the roots that the receiver's certificates name as their issuers, and all roots when these few do
//! not verify the certificates.

mod bundle;
mod identity;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use self::bundle::Bundle;
pub use self::identity::{Identity, NoIdentity};

/// More certificates than any authority's chain has.
pub const LONGEST_CHAIN: usize = 16;

/// The number of times that a process looks for single roots. Each costs a tenth of reading all of them, which it does then.
const LOOKS: usize = 6;

/// A client's TLS settings, and the roots that it trusts. Clones share the roots that were read.
#[derive(Debug, Clone)]
pub struct Tls {
    pub client: ClientConfig,
    pub roots: Arc<Roots>,
}

impl Tls {
    /// Trusts the system's roots.
    ///
    /// # Errors
    /// When the system has no root certificates.
    pub fn new() -> Result<Self, Error> {
        Self::with(Roots::of(Bundle::of_system(), provider())?)
    }

    /// Trusts these roots alone, for tests with an authority of their own.
    ///
    /// # Errors
    /// When there is no root.
    pub fn trusting(roots: RootCertStore) -> Result<Self, Error> {
        let provider = provider();
        let all = OnceLock::from(Ok(verifier(roots, &provider)?));
        Self::with(Roots { provider, bundle: None, amazon: None, looks: AtomicUsize::new(0), all })
    }

    fn with(roots: Roots) -> Result<Self, Error> {
        let roots = Arc::new(roots);
        let config = ClientConfig::builder_with_provider(roots.provider.clone());
        // rustls calls a verifier of one's own dangerous. This one asks rustls's verifier for each answer.
        let config = config.with_safe_default_protocol_versions()?.dangerous();
        let client = config.with_custom_certificate_verifier(roots.clone()).with_no_client_auth();
        Ok(Self { client, roots })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The system's root certificates.
#[derive(Debug)]
pub struct Roots {
    provider: Arc<CryptoProvider>,
    bundle: Option<Bundle>,
    /// Absent if the bundle has none of them.
    amazon: Option<Arc<WebPkiServerVerifier>>,
    looks: AtomicUsize,
    all: OnceLock<Result<Arc<WebPkiServerVerifier>, Error>>,
}

impl Roots {
    fn of(bundle: Option<Bundle>, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let amazon = bundle.as_ref().map(Bundle::of_amazon).filter(|roots| !roots.is_empty());
        let amazon = amazon.map(|roots| verifier(roots, &provider)).transpose()?;
        let roots = Self { provider, bundle, amazon, looks: AtomicUsize::new(0), all: OnceLock::new() };
        if roots.amazon.is_none() {
            roots.read_all()?;
        }
        Ok(roots)
    }

    /// All roots. The first caller reads them.
    fn read_all(&self) -> Result<&Arc<WebPkiServerVerifier>, Error> {
        let read = self.all.get_or_init(|| verifier(all(self.bundle.as_ref())?, &self.provider));
        read.as_ref().map_err(Clone::clone)
    }

    /// Only the roots that these certificates name as their issuers. `None` if there are none, or if reading all is
    /// cheaper by now.
    fn named_by(&self, certificates: &[&CertificateDer<'_>]) -> Option<Arc<WebPkiServerVerifier>> {
        let bundle = self.bundle.as_ref().filter(|_| self.all.get().is_none())?;
        if self.looks.fetch_add(1, Ordering::Relaxed) >= LOOKS {
            return None;
        }
        let read = |der: &&CertificateDer<'_>| {
            webpki::EndEntityCert::try_from(*der).ok().map(|cert| cert.issuer().to_vec())
        };
        let issuers: Vec<Vec<u8>> = certificates.iter().filter_map(read).collect();
        verifier(bundle.named(&issuers), &self.provider).ok()
    }

    /// A verifier for everything but the roots.
    fn any(&self) -> Result<&Arc<WebPkiServerVerifier>, Error> {
        self.amazon.as_ref().map_or_else(|| self.read_all(), Ok)
    }
}

fn all(bundle: Option<&Bundle>) -> Result<RootCertStore, Error> {
    if let Some(roots) = bundle.and_then(Bundle::all) {
        return Ok(roots);
    }
    let read = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read.certs);
    if roots.is_empty() {
        return Err(Error::General(format!("the system has no root certificates: {:?}", read.errors)));
    }
    Ok(roots)
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    built.map_err(|error| Error::General(error.to_string()))
}

impl ServerCertVerifier for Roots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by = |roots: &WebPkiServerVerifier| {
            roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        if let Some(Ok(verified)) = self.amazon.as_ref().map(|roots| by(roots)) {
            return Ok(verified);
        }
        let certificates: Vec<_> = std::iter::once(end_entity).chain(intermediates).collect();
        if let Some(Ok(verified)) = self.named_by(&certificates).map(|roots| by(&roots)) {
            return Ok(verified);
        }
        // All roots include the others, so their refusal is the one that counts.
        by(self.read_all()?)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.any()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.any()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
