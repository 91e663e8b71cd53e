//! The envelope's bytes as rows keep them: deflated when that is shorter, because a write is paid by the kilobyte.

use std::fmt;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A payload this small rides inside the delivery's own row and saves a read; with it and one attempt the row still
/// fits one write unit. It leaves the row when an attempt fails.
const INLINE_BYTES: usize = 450;

/// How the bytes are kept: the first byte of the stored form.
const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

/// Stored bytes of one envelope; [`Self::unpack`] gives back exactly what was packed.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored payload cannot be read")]
pub struct DamagedPayload;

impl Payload {
    #[must_use]
    pub fn pack(bytes: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(vec![DEFLATED], Compression::default());
        let deflated = encoder.write_all(bytes).and_then(|()| encoder.finish());
        match deflated {
            Ok(deflated) if deflated.len() <= bytes.len() => Self(deflated),
            _ => Self([&[PLAIN], bytes].concat()),
        }
    }

    /// # Errors
    /// When the row was not written by [`Self::pack`].
    pub fn unpack(&self) -> Result<Vec<u8>, DamagedPayload> {
        match self.0.split_first() {
            Some((&PLAIN, bytes)) => Ok(bytes.to_vec()),
            Some((&DEFLATED, bytes)) => {
                let mut unpacked = Vec::with_capacity(bytes.len() * 3);
                DeflateDecoder::new(bytes).read_to_end(&mut unpacked).map_err(|_| DamagedPayload)?;
                Ok(unpacked)
            }
            _ => Err(DamagedPayload),
        }
    }

    #[must_use]
    pub const fn fits_inline(&self) -> bool {
        self.0.len() <= INLINE_BYTES
    }
}

/// Customers' data is not for logs.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Payload;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(Payload(bytes.to_vec()))
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Payload, E> {
                Ok(Payload(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_back_and_is_never_more_than_a_byte_longer() {
        let mut noise = vec![0_u8; 5_000];
        rand::fill(&mut noise[..]);
        for bytes in [b"".to_vec(), b"{}".to_vec(), b"{\"a\": 1.10}".repeat(50), noise] {
            let packed = Payload::pack(&bytes);
            assert_eq!(packed.unpack().as_ref(), Ok(&bytes));
            assert!(packed.0.len() <= bytes.len() + 1);
        }
        assert!(Payload::pack(&b"{\"a\": 1.10}".repeat(50)).fits_inline());
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [vec![], vec![7, 1, 2], vec![DEFLATED, 0xff, 0xff, 0xff]] {
            assert_eq!(Payload(bytes).unpack(), Err(DamagedPayload));
        }
    }
}
