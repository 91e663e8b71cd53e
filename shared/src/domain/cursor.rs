//! Cursors, which say where the next page of a list starts. A cursor is opaque and URL-safe, and works only with the list and
//! the filters that it came from.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 16 + 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list and these filters")]
pub struct ForeignCursor;

/// Eight bytes that tie a position to its list, so that a cursor for another list is an error and not a wrong page. They
/// protect nothing, because every query names the caller's project anyway.
fn seal(position: Uuid, scope: &[impl AsRef<str>]) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(position.as_bytes());
    for part in scope {
        let part = part.as_ref().as_bytes();
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut seal = [0; 8];
    seal.copy_from_slice(&hash.finalize()[..8]);
    seal
}

/// The cursor after `position` in the list that `scope` names: its endpoint and filters, in a fixed order.
#[must_use]
pub fn encode(position: Uuid, scope: &[impl AsRef<str>]) -> String {
    let bytes = [&[VERSION][..], position.as_bytes(), &seal(position, scope)].concat();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// # Errors
/// When the text is not a cursor, was altered, or belongs to another list or to other filters.
pub fn decode(text: &str, scope: &[impl AsRef<str>]) -> Result<Uuid, ForeignCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ForeignCursor)?;
    if bytes.len() != LENGTH || bytes[0] != VERSION {
        return Err(ForeignCursor);
    }
    let position = Uuid::from_slice(&bytes[1..17]).map_err(|_| ForeignCursor)?;
    if bytes[17..] == seal(position, scope) { Ok(position) } else { Err(ForeignCursor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let position = Uuid::now_v7();
        let cursor = encode(position, &["endpoint", "failed", ""]);
        assert!(cursor.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        assert_eq!(decode(&cursor, &["endpoint", "failed", ""]), Ok(position));
        for other in
            [&["other", "failed", ""][..], &["endpoint", "", "failed"], &["endpointfailed", "", ""], &[]]
        {
            assert_eq!(decode(&cursor, other), Err(ForeignCursor), "{other:?}");
        }
    }

    #[test]
    fn altered_text_is_no_cursor() {
        let cursor = encode(Uuid::now_v7(), &["endpoint"]);
        for index in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).expect("ASCII");
            assert_eq!(decode(&altered, &["endpoint"]), Err(ForeignCursor), "{altered}");
        }
        for bad in ["", "=", "\u{e9}", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(decode(bad, &["endpoint"]), Err(ForeignCursor), "{bad}");
        }
    }
}
