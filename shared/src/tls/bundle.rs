//! The system's file of root certificates in PEM, read in part or as a whole.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A certificate names its issuer within its first bytes; a root is its own issuer. These lines of PEM are 144 bytes.
const LINES_WITH_ISSUER: usize = 3;

#[derive(Debug)]
pub(super) struct Bundle(String);

impl Bundle {
    /// `None` where there is no such file, or where the environment names other roots, which `rustls-native-certs` reads.
    pub(super) fn of_system() -> Option<Self> {
        if openssl_probe::has_ssl_cert_env_vars() {
            return None;
        }
        fs::read_to_string(openssl_probe::probe().cert_file?).ok().map(Self)
    }

    /// Every root, or `None` if the file has another form than [`decode`] reads.
    pub(super) fn all(&self) -> Option<RootCertStore> {
        let certificates: Option<Vec<_>> = self.blocks().map(|block| decode(block.lines())).collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates?);
        Some(roots).filter(|roots| !roots.is_empty())
    }

    /// The roots whose issuer is Amazon. The others are passed over undecoded.
    pub(super) fn of_amazon(&self) -> RootCertStore {
        let is_of_amazon = |block: &&str| {
            let start = decode(block.lines().filter(|line| !line.is_empty()).take(LINES_WITH_ISSUER));
            start.is_some_and(|start| start.windows(6).any(|name| name == b"Amazon"))
        };
        let mut roots = RootCertStore::empty();
        let certificates = self.blocks().filter(is_of_amazon).filter_map(|block| decode(block.lines()));
        roots.add_parsable_certificates(certificates);
        roots
    }

    /// The base64 of each certificate.
    fn blocks(&self) -> impl Iterator<Item = &str> {
        self.0.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END)).map(|(block, _)| block)
    }
}

/// Decodes lines of whole groups of four letters, which every writer of PEM makes (RFC 7468, section 2). `None` if they have
/// another form. rustls's own reader takes many times as long, because it also reads private keys.
fn decode<'a>(lines: impl Iterator<Item = &'a str>) -> Option<CertificateDer<'static>> {
    let mut der = Vec::with_capacity(2_048);
    for line in lines {
        STANDARD.decode_vec(line.trim_ascii_end(), &mut der).ok()?;
    }
    Some(der.into())
}

#[cfg(test)]
impl Bundle {
    pub(super) fn of_text(text: String) -> Self {
        Self(text)
    }
}
