//! The envelope's bytes as rows keep them. They are deflated when that is shorter, because AWS charges a write by the
//! kilobyte.

use std::cell::RefCell;
use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bytes;

/// The largest payload that the delivery's own row holds, which saves a read. With it and one attempt the row still fits one
/// write unit. When an attempt fails the payload leaves the row.
const INLINE_BYTES: usize = 450;

/// The form of the bytes, which is the first byte of the stored form.
const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

/// The stored bytes of one envelope. [`Self::unpack`] returns exactly the packed bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

thread_local! {
    // The tables have 300 and 40 KB. Making them for each payload took most of the time.
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::default(), false));
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// `None` when the deflated bytes would be longer.
fn deflated(bytes: &[u8]) -> Option<Payload> {
    let mut packed = Vec::with_capacity(bytes.len() + 1);
    packed.push(DEFLATED);
    let end = COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        // Fills the room that there is, and stops there.
        compress.compress_vec(bytes, &mut packed, FlushCompress::Finish)
    });
    let is_whole = matches!(end, Ok(Status::StreamEnd));
    (is_whole && packed.len() <= bytes.len()).then_some(Payload(packed))
}

fn inflated(deflated: &[u8]) -> Result<Vec<u8>, DamagedPayload> {
    DECOMPRESS.with_borrow_mut(|decompress| {
        decompress.reset(false);
        inflate(decompress, deflated)
    })
}

fn inflate(decompress: &mut Decompress, mut deflated: &[u8]) -> Result<Vec<u8>, DamagedPayload> {
    let mut unpacked = Vec::with_capacity(deflated.len() * 3);
    loop {
        unpacked.reserve(deflated.len() + 64);
        let (left, done) = (deflated.len(), unpacked.len());
        let before = decompress.total_in();
        let status = decompress.decompress_vec(deflated, &mut unpacked, FlushDecompress::None);
        let read = usize::try_from(decompress.total_in() - before).unwrap_or(left);
        deflated = &deflated[read..];
        match status {
            Ok(Status::StreamEnd) => return Ok(unpacked),
            Ok(_) if deflated.len() < left || unpacked.len() > done => {}
            _ => return Err(DamagedPayload),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored payload cannot be read")]
pub struct DamagedPayload;

impl Payload {
    #[must_use]
    pub fn pack(bytes: &[u8]) -> Self {
        deflated(bytes).unwrap_or_else(|| Self([&[PLAIN], bytes].concat()))
    }

    /// # Errors
    /// When the bytes do not come from [`Self::pack`].
    pub fn unpack(&self) -> Result<Vec<u8>, DamagedPayload> {
        match self.0.split_first() {
            Some((&PLAIN, bytes)) => Ok(bytes.to_vec()),
            Some((&DEFLATED, bytes)) => inflated(bytes),
            _ => Err(DamagedPayload),
        }
    }

    /// How many bytes it has at least when it is unpacked.
    #[must_use]
    pub const fn at_least(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    #[must_use]
    pub const fn fits_inline(&self) -> bool {
        self.0.len() <= INLINE_BYTES
    }
}

/// Customers' data must not reach a log.
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
        bytes::deserialize(deserializer, "bytes", |bytes| Some(Self(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_payload_comes_back_and_is_never_more_than_a_byte_longer() {
        let mut noise = vec![0_u8; 5_000];
        rand::fill(&mut noise[..]);
        let long = b"{\"a\": 1.10}".repeat(20_000);
        for bytes in [b"".to_vec(), b"{}".to_vec(), b"{\"a\": 1.10}".repeat(50), noise, long] {
            let packed = Payload::pack(&bytes);
            assert_eq!(packed.unpack().as_ref(), Ok(&bytes));
            assert!(packed.0.len() <= bytes.len() + 1);
        }
        assert!(Payload::pack(&b"{\"a\": 1.10}".repeat(50)).fits_inline());
    }

    #[test]
    fn damage_is_an_error() {
        let whole = Payload::pack(&b"{\"a\": 1.10}".repeat(50)).0;
        let cut = whole[..whole.len() - 1].to_vec();
        for bytes in [vec![], vec![7, 1, 2], vec![DEFLATED], vec![DEFLATED, 0xff, 0xff, 0xff], cut] {
            assert_eq!(Payload(bytes).unpack(), Err(DamagedPayload));
        }
        assert!(Payload(whole).unpack().is_ok());
    }
}
