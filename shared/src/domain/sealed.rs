//! Values that rows hold sealed: signing secrets, private keys, the values of an endpoint's own headers and the secret
//! of its `auth`. `crate::sealing` seals and opens them. This module has the rest: the bytes in the row, and the
//! place to which a value is bound.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bytes;
use crate::id::{EndpointId, ProjectId};

/// The form of the bytes, which is their first byte: then the length of the key's id, the id, the nonce, and the sealed text
/// with its tag.
const FORM: u8 = 1;

/// The lengths that AES-GCM has (NIST SP 800-38D): a nonce of 96 bits and a tag of 128.
pub const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

const MAX_ID_CHARS: usize = 32;

/// The name of one sealing key. It stands beside each sealed value, so that the right key opens it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's id has 1 to 32 letters, digits, dashes and underscores")]
pub struct NotAKeyId;

impl KeyId {
    /// # Errors
    /// When the text has other characters, or none or too many.
    pub fn parse(text: &str) -> Result<Self, NotAKeyId> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let fits = (1..=MAX_ID_CHARS).contains(&text.len()) && text.chars().all(is_legal);
        fits.then(|| Self(text.to_owned())).ok_or(NotAKeyId)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyId {
    type Error = NotAKeyId;

    fn try_from(text: String) -> Result<Self, NotAKeyId> {
        Self::parse(&text)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sealed value as its row holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

/// What the bytes of a sealed value say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    pub key: &'a str,
    pub nonce: &'a [u8; NONCE_BYTES],
    /// The tag is its end.
    pub text: &'a [u8],
}

impl Sealed {
    #[must_use]
    pub fn new(key: &KeyId, nonce: &[u8; NONCE_BYTES], text: &[u8]) -> Self {
        let id = key.as_str().as_bytes();
        let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
        Self([&[FORM, length], id, nonce, text].concat())
    }

    /// `None` when the bytes are no sealed value.
    #[must_use]
    pub fn parts(&self) -> Option<Parts<'_>> {
        let (&[form, length], rest) = self.0.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(length.into())?;
        let (nonce, text) = rest.split_first_chunk()?;
        let is_whole = form == FORM && text.len() >= TAG_BYTES;
        is_whole.then_some(Parts { key: std::str::from_utf8(key).ok()?, nonce, text })
    }

    /// As a row holds it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[must_use]
    pub fn is_under(&self, key: &KeyId) -> bool {
        self.parts().is_some_and(|parts| parts.key == key.as_str())
    }

    /// The length of the value that is sealed.
    #[must_use]
    pub fn plain_bytes(&self) -> usize {
        self.parts().map_or(0, |parts| parts.text.len() - TAG_BYTES)
    }
}

impl From<Vec<u8>> for Sealed {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// A log needs none of its bytes.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(under {})", self.parts().map_or("no key", |parts| parts.key))
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes::deserialize(deserializer, "sealed bytes", |bytes| Some(Self(bytes)))
    }
}

/// An endpoint's own headers: names in lower case, and sealed values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedHeaders(pub BTreeMap<String, Sealed>);

impl SealedHeaders {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The field that holds a sealed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    SigningSecret,
    PreviousSecret,
    Ed25519,
    PreviousEd25519,
    /// The value of the header of this name.
    Header(&'a str),
    /// That of an OAuth 2.0 client.
    ClientSecret,
    /// That of a client certificate.
    ClientKey,
}

/// The place to which a sealed value is bound. A value that somebody copies to another project, endpoint or field does not open
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedField<'a> {
    pub project_id: &'a ProjectId,
    pub endpoint_id: &'a EndpointId,
    pub field: Field<'a>,
}

/// The text that the seal covers beside the value. Two places never have one text: the ids have one length, and the field comes
/// last.
impl fmt::Display for SealedField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "echo-webhooks/sealed/v1|{}|{}|", self.project_id, self.endpoint_id)?;
        match self.field {
            Field::SigningSecret => f.write_str("signing_secret"),
            Field::PreviousSecret => f.write_str("previous_secret"),
            Field::Ed25519 => f.write_str("ed25519"),
            Field::PreviousEd25519 => f.write_str("previous_ed25519"),
            Field::Header(name) => write!(f, "header|{name}"),
            Field::ClientSecret => f.write_str("client_secret"),
            Field::ClientKey => f.write_str("client_key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> KeyId {
        KeyId::parse(text).expect("an id")
    }

    #[test]
    fn a_sealed_value_names_its_key_and_comes_back_in_parts() {
        let text = [7; 20];
        let sealed = Sealed::new(&id("k2"), &[1; NONCE_BYTES], &text);
        assert_eq!(sealed.parts(), Some(Parts { key: "k2", nonce: &[1; NONCE_BYTES], text: &text }));
        assert_eq!(sealed.plain_bytes(), 4);
        assert!(sealed.is_under(&id("k2")) && !sealed.is_under(&id("k")));
        assert_eq!(format!("{sealed:?}"), "Sealed(under k2)");
    }

    #[test]
    fn bytes_of_another_form_are_no_sealed_value() {
        let Sealed(whole) = Sealed::new(&id("k"), &[1; NONCE_BYTES], &[7; TAG_BYTES]);
        for length in 0..whole.len() {
            assert_eq!(Sealed(whole[..length].to_vec()).parts(), None, "{length}");
        }
        let other = [&[FORM + 1], &whole[1..]].concat();
        assert_eq!(Sealed(other).parts(), None);
        assert_eq!(Sealed(Vec::new()).plain_bytes(), 0);
    }

    #[test]
    fn ids_of_keys_are_short_and_plain() {
        for good in ["k", "2026-11-29", "a_B", &"k".repeat(32)] {
            assert!(KeyId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "\u{e9}", &"k".repeat(33)] {
            assert_eq!(KeyId::parse(bad), Err(NotAKeyId), "{bad}");
        }
    }
}
