//! TLS towards receivers: the certificates that are trusted, and a note of the things that rustls' errors leave out.

use std::cell::Cell;
use std::sync::Arc;

use echo_shared::attempt::TlsFault;
use echo_shared::tls::{Identity, LONGEST_CHAIN, Roots, Tls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// In DER: the object identifier 1.3.6.1.5.5.7.48.2, by which a certificate names a URL of its issuer's certificate.
const ISSUER_IS_AT: &[u8] = &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];

/// The number of hosts whose TLS sessions are kept.
const SESSIONS: usize = 64;

tokio::task_local! {
    /// The notes on the handshake under way. rustls calls the verifiers below within the handshake's own poll.
    static NOTES: Cell<HandshakeNotes>;
}

/// The things that a handshake shows beside its result.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HandshakeNotes {
    pub(crate) client: ClientCertificate,
    /// Why the chain of certificates leads to no trusted authority.
    pub(crate) distrust: Option<TlsFault>,
}

/// The part that a client certificate had in a handshake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ClientCertificate {
    #[default]
    NotAsked,
    /// The receiver asked, and there was none that it takes.
    Lacking,
    Shown,
}

/// Runs a handshake and notes the things that rustls's error leaves out.
pub(crate) async fn listening<T>(handshake: impl Future<Output = T>) -> (T, HandshakeNotes) {
    let noted = async { (handshake.await, NOTES.with(Cell::get)) };
    NOTES.scope(Cell::default(), noted).await
}

fn note(change: impl FnOnce(&mut HandshakeNotes)) {
    // Outside of `listening` there is no cell, and no caller for the note.
    let _ = NOTES.try_with(|cell| {
        let mut notes = cell.get();
        change(&mut notes);
        cell.set(notes);
    });
}

/// TLS for receivers: the service's own, which also notes why a receiver is not trusted.
pub(crate) fn client_config(tls: &Tls) -> ClientConfig {
    let mut config = tls.client.clone();
    config.dangerous().set_certificate_verifier(Arc::new(Verifier(tls.roots.clone())));
    // Tickets of receivers must not push out those of AWS.
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Has no client certificate, and notes that one was asked for.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        note(|notes| notes.client = ClientCertificate::Lacking);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Settings for the requests of one credential. Nothing of them is kept for another connection: TLS resumes no session,
/// so none is resumed with another certificate.
pub(crate) fn with_certificate(config: &ClientConfig, identity: &Identity) -> ClientConfig {
    let mut config = config.clone();
    config.resumption = Resumption::disabled();
    config.client_auth_cert_resolver = Arc::new(Certificate(identity.clone()));
    config
}

/// Has one client certificate, and notes that it was asked for.
#[derive(Debug)]
struct Certificate(Identity);

impl ResolvesClientCert for Certificate {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let certified = self.0.certified();
        let fits = certified.key.choose_scheme(schemes).is_some();
        let client = if fits { ClientCertificate::Shown } else { ClientCertificate::Lacking };
        note(|notes| notes.client = client);
        fits.then_some(certified)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Judges as rustls does, and notes why it knows no issuer, because rustls has one error for all the reasons.
///
/// The three short methods pass on to [`Roots`], which has them too. rustls has no default for them, and a verifier that
/// both share would take the long method as a closure of six arguments.
#[derive(Debug)]
struct Verifier(Arc<Roots>);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Checking a chain cannot be interrupted, and its work grows with the number of certificates.
        if intermediates.len() > LONGEST_CHAIN {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if let Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_))) =
            verified
        {
            note(|notes| notes.distrust = distrust(end_entity, intermediates));
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Why a chain leads to no trusted authority; `None` for a certificate that cannot be read.
///
/// The last certificate of the chain decides. If it is its own issuer, its authority is unknown. If it names a URL of its
/// issuer's certificate, as certificates of public authorities do, the chain lacks that certificate.
fn distrust(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Option<TlsFault> {
    if is_its_own_issuer(end_entity)? {
        return Some(TlsFault::SelfSigned);
    }
    let last = intermediates.last().unwrap_or(end_entity);
    let lacks_the_next =
        !is_its_own_issuer(last)? && last.windows(ISSUER_IS_AT.len()).any(|at| at == ISSUER_IS_AT);
    Some(if lacks_the_next { TlsFault::ChainIncomplete } else { TlsFault::IssuerUnknown })
}

fn is_its_own_issuer(certificate: &CertificateDer<'_>) -> Option<bool> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(certificate.issuer() == certificate.subject())
}
