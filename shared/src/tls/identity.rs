//! A client certificate with its key, by which a receiver knows the service (mTLS). The sender reads both for each new
//! connection, so an attempt on a connection that is open already costs no parsing.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::{LONGEST_CHAIN, provider};

/// Why a certificate and a key are no identity. The text begins with the field's name, and repeats no part of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoIdentity {
    #[error(
        "certificate must be 1 to {LONGEST_CHAIN} certificates in PEM, the client's own first, and nothing else"
    )]
    Certificate,
    #[error(
        "key must be one private key in PEM without a passphrase: PKCS #8, PKCS #1 or SEC 1, of RSA with 2,048 bits or more, ECDSA or \
         Ed25519"
    )]
    Key,
    #[error("key must be the private key of the first certificate in certificate")]
    Apart,
}

/// A certificate, its chain, and its key. `Debug` hides the key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.0.cert.len())
    }
}

impl Identity {
    /// Reads both from PEM, and checks that they belong together. Whether the certificate has ended is the receiver's to judge.
    ///
    /// # Errors
    /// When one cannot be used, or the key is another certificate's.
    pub fn read(certificate: &str, key: &str) -> Result<Self, NoIdentity> {
        // The certificate is shown again, so nothing secret may stand in it.
        if certificate.contains("PRIVATE KEY") {
            return Err(NoIdentity::Certificate);
        }
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| NoIdentity::Certificate)?;
        if !(1..=LONGEST_CHAIN).contains(&chain.len()) {
            return Err(NoIdentity::Certificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| NoIdentity::Key)?;
        match CertifiedKey::from_der(chain, key, &provider()) {
            Ok(identity) => Ok(Self(Arc::new(identity))),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(NoIdentity::Apart),
            Err(Error::InvalidCertificate(_)) => Err(NoIdentity::Certificate),
            Err(_) => Err(NoIdentity::Key),
        }
    }

    /// As TLS takes it.
    #[must_use]
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["client.example".to_owned()]).expect("a name");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_own_key_are_an_identity() {
        let ((certificate, key), (other, other_key)) = (pair(), pair());
        assert!(Identity::read(&certificate, &key).is_ok());
        assert!(Identity::read(&format!("{certificate}{other}"), &key).is_ok());
        let many = other.repeat(16);
        let cases: [(&str, &str, NoIdentity); 11] = [
            (&certificate, &other_key, NoIdentity::Apart),
            (&format!("{other}{certificate}"), &key, NoIdentity::Apart),
            ("", &key, NoIdentity::Certificate),
            ("hidden", &key, NoIdentity::Certificate),
            (&key, &key, NoIdentity::Certificate),
            (&format!("{certificate}{key}"), &key, NoIdentity::Certificate),
            (&format!("{certificate}{many}"), &key, NoIdentity::Certificate),
            (&certificate.replace("MII", "AII"), &key, NoIdentity::Certificate),
            (&certificate, "", NoIdentity::Key),
            (&certificate, &certificate, NoIdentity::Key),
            (&certificate, &key[..key.len() / 2], NoIdentity::Key),
        ];
        for (certificate, key, wrong) in cases {
            assert_eq!(Identity::read(certificate, key).map(|_| ()), Err(wrong));
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        let (certificate, key) = pair();
        let shown = format!("{:?}", Identity::read(&certificate, &key).expect("an identity"));
        let secret: String = key.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(!shown.contains(&secret[..16]), "{shown}");
    }
}
