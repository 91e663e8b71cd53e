//! Values that a row holds as bytes.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// Reads bytes and makes a value of them. `expected` names the value in an error, which shows none of the bytes.
///
/// # Errors
/// When there are no bytes, or `make` makes no value of them.
pub fn deserialize<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    make: impl FnOnce(Vec<u8>) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_byte_buf(Bytes { expected, make })
}

struct Bytes<F> {
    expected: &'static str,
    make: F,
}

impl<T, F: FnOnce(Vec<u8>) -> Option<T>> Visitor<'_> for Bytes<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
        self.visit_byte_buf(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<T, E> {
        let Self { expected, make } = self;
        make(bytes).ok_or_else(|| E::invalid_value(Unexpected::Other("bytes"), &expected))
    }
}
