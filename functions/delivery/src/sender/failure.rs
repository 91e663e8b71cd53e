//! The one place that tells an error's kind of failure: by its type, never by its text.

use std::io::{self, ErrorKind};

use echo_shared::attempt::{BodyFault, Outcome, SendFailure, TlsFault};
use echo_shared::endpoint_url::UrlRefused;
use rustls::AlertDescription as Alert;
use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::sender::resolver::ResolveError;
use crate::sender::trust::{ClientCertificate, HandshakeNotes};

/// The cause when a URL is not called.
pub(crate) const fn of_url(refused: UrlRefused) -> SendFailure {
    match refused {
        UrlRefused::OwnHost => SendFailure::OwnHost,
        UrlRefused::HostName => SendFailure::Dns,
        _ => SendFailure::ForbiddenAddress,
    }
}

pub(crate) fn of_name(error: ResolveError) -> SendFailure {
    match error {
        ResolveError::Forbidden => SendFailure::ForbiddenAddress,
        ResolveError::NotResolved(_) | ResolveError::NoAddress => SendFailure::Dns,
    }
}

/// The cause of a TLS handshake's failure.
pub(crate) fn of_handshake(error: &io::Error, notes: HandshakeNotes) -> TlsFault {
    match (tls_error(error), error.kind()) {
        (Some(error), _) => of_tls(error, notes),
        (None, ErrorKind::UnexpectedEof) => TlsFault::Closed,
        (None, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted) => {
            TlsFault::Reset
        }
        (None, _) => TlsFault::Other,
    }
}

/// The cause when a connection ended before a head had come. Without an error it was closed.
pub(crate) fn of_no_head(error: Option<&io::Error>, began: bool, client: ClientCertificate) -> SendFailure {
    if let Some(error) = error.and_then(tls_error) {
        return of_tls(error, HandshakeNotes { client, ..HandshakeNotes::default() }).into();
    }
    match error.map(io::Error::kind) {
        _ if began => SendFailure::Broken,
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => SendFailure::Reset,
        _ => SendFailure::Closed,
    }
}

/// The fault that broke a body off.
pub(crate) fn of_body(error: &io::Error) -> BodyFault {
    match tls_error(error) {
        Some(_) => BodyFault::Tls,
        None => BodyFault::Reset,
    }
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn of_tls(error: &Error, notes: HandshakeNotes) -> TlsFault {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error, notes),
        // The first byte of plain HTTP is an `H`, which is no content type of TLS.
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsFault::NotTls,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | Error::AlertReceived(Alert::ProtocolVersion) => TlsFault::NoCommonVersion,
        Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => {
            TlsFault::NoHttp1
        }
        Error::AlertReceived(Alert::CertificateRequired) => TlsFault::ClientCertificate,
        // TLS 1.2 has no alert of its own for a client certificate that is missing.
        Error::AlertReceived(_) if notes.client == ClientCertificate::Lacking => TlsFault::ClientCertificate,
        Error::AlertReceived(alert) if notes.client == ClientCertificate::Shown => match alert {
            Alert::CertificateExpired => TlsFault::ClientCertificateExpired,
            Alert::UnknownCA => TlsFault::ClientCertificateUntrusted,
            // Versions and ciphers were settled before the receiver asked for the certificate.
            _ => TlsFault::ClientCertificateRefused,
        },
        Error::PeerIncompatible(
            PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon,
        )
        | Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity) => {
            TlsFault::NoCommonCipher
        }
        Error::AlertReceived(Alert::UnrecognisedName) => TlsFault::UnknownName,
        Error::AlertReceived(alert) => TlsFault::Alert((*alert).into()),
        _ => TlsFault::Other,
    }
}

fn of_certificate(error: &CertificateError, notes: HandshakeNotes) -> TlsFault {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => TlsFault::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => TlsFault::NotYetValid,
        E::NotValidForName | E::NotValidForNameContext { .. } => TlsFault::OtherHost,
        E::UnknownIssuer => notes.distrust.unwrap_or(TlsFault::IssuerUnknown),
        // rustls reports a key that is too short as a signature that does not hold.
        E::BadSignature
        | E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => TlsFault::TooWeak,
        // Most self-signed certificates are made as an authority's own, which rustls refuses for that reason first.
        _ if notes.distrust == Some(TlsFault::SelfSigned) => TlsFault::SelfSigned,
        _ => TlsFault::UnfitCertificate,
    }
}

/// An outcome's name in the log.
pub(crate) const fn name_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered { status: 200..=299, .. } => "success",
        Outcome::Answered { .. } => "refused",
        Outcome::NoToken { .. } => "no_token",
        Outcome::Failed { cause } => match cause {
            SendFailure::TimedOut { .. } => "timed_out",
            SendFailure::Dns => "dns",
            SendFailure::Tls(_) => "tls",
            SendFailure::Connect => "connect",
            SendFailure::Closed | SendFailure::Reset | SendFailure::Broken => "broken",
            SendFailure::ForbiddenAddress => "forbidden_address",
            SendFailure::OwnHost => "own_host",
            SendFailure::NotHttp | SendFailure::HeadTooLong => "not_http",
            SendFailure::Unsendable => "unsendable",
        },
    }
}
