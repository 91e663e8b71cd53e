//! The system's file of root certificates in PEM, read in part or as a whole.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::{self, Finder};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// A certificate names its issuer within its first bytes; a root is its own issuer. These lines of PEM are 144 bytes, and have
/// the issuer's organization.
const LINES_WITH_ORGANIZATION: usize = 3;

/// These are 384 bytes, and have the whole of nearly every issuer.
const LINES_WITH_ISSUER: usize = 8;

#[derive(Debug)]
pub(super) struct Bundle(Vec<u8>);

impl Bundle {
    /// `None` where there is no such file, or where the environment names other roots, which `rustls-native-certs` reads.
    pub(super) fn of_system() -> Option<Self> {
        if openssl_probe::has_ssl_cert_env_vars() {
            return None;
        }
        fs::read(openssl_probe::probe().cert_file?).ok().map(Self)
    }

    /// Every root, or `None` if the file has another form than [`decode`] reads.
    pub(super) fn all(&self) -> Option<RootCertStore> {
        let certificates: Option<Vec<_>> = self.blocks().map(|block| decode(lines(block))).collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates?);
        Some(roots).filter(|roots| !roots.is_empty())
    }

    /// The roots whose issuer is Amazon.
    pub(super) fn of_amazon(&self) -> RootCertStore {
        self.with_any(&[b"Amazon"], LINES_WITH_ORGANIZATION)
    }

    /// The roots with these names in DER, as far as their first lines hold the whole name.
    pub(super) fn named(&self, names: &[Vec<u8>]) -> RootCertStore {
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).filter(|name| !name.is_empty()).collect();
        self.with_any(&names, LINES_WITH_ISSUER)
    }

    /// The roots that have one of these texts in their first `of_lines` lines. It does not decode the others.
    fn with_any(&self, texts: &[&[u8]], of_lines: usize) -> RootCertStore {
        let texts: Vec<Finder<'_>> = texts.iter().map(Finder::new).collect();
        let is_one = |block: &&[u8]| {
            let start = decode(lines(block).filter(|line| !line.is_empty()).take(of_lines));
            start.is_some_and(|start| texts.iter().any(|text| text.find(&start).is_some()))
        };
        let mut roots = RootCertStore::empty();
        let certificates = self.blocks().filter(is_one).filter_map(|block| decode(lines(block)));
        roots.add_parsable_certificates(certificates);
        roots
    }

    /// The base64 of each certificate.
    fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        let end = Finder::new(END);
        memmem::find_iter(&self.0, BEGIN).filter_map(move |begin| {
            let rest = &self.0[begin + BEGIN.len()..];
            Some(&rest[..end.find(rest)?])
        })
    }
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end)
}

/// Decodes lines of whole groups of four letters, which every writer of PEM makes (RFC 7468, section 2). `None` if they have
/// another form. rustls's own reader takes many times as long, because it also reads private keys.
fn decode<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<CertificateDer<'static>> {
    let mut der = Vec::with_capacity(2_048);
    for line in lines {
        STANDARD.decode_vec(line, &mut der).ok()?;
    }
    Some(der.into())
}

#[cfg(test)]
impl Bundle {
    pub(super) fn of_text(text: String) -> Self {
        Self(text.into_bytes())
    }
}
