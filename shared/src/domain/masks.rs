//! The values of an endpoint's headers never come back from the API (contract §3). A caller sees [`MASK`] in their place, and
//! sends it to keep a value.

use url::Url;

use crate::custom_headers::{CustomHeaders, MAX_TOTAL_CHARS};
use crate::endpoint::Endpoint;
use crate::fields::Refused;

/// What stands in place of a header's value.
pub const MASK: &str = "********";

/// Whether a new endpoint may have these headers: it has no value that a mask could keep.
///
/// # Errors
/// When a value is the mask.
pub fn allowed_at_first(headers: &CustomHeaders) -> Result<(), Refused> {
    match masked(headers).next() {
        None => Ok(()),
        Some(name) => Err(Refused::new(format!(
            "headers must give a value for {name}: {MASK} keeps a value, and a new endpoint has none"
        ))),
    }
}

/// Whether a change may set these headers and this URL at this endpoint. If the URL moves to another origin, no value moves with
/// it: the caller may not know the values, and must not be able to send them to a host of its own.
///
/// # Errors
/// When a mask stands where no value can be kept.
pub fn allowed_at(
    endpoint: &Endpoint,
    headers: Option<&CustomHeaders>,
    url: Option<&str>,
) -> Result<(), Refused> {
    let moves = url.is_some_and(|url| !is_same_origin(&endpoint.url, url));
    let Some(headers) = headers else {
        if moves && !endpoint.headers.is_empty() {
            return Err(moved());
        }
        return Ok(());
    };
    let mut kept = 0;
    for name in masked(headers) {
        let Some(value) = endpoint.headers.0.get(name) else {
            return Err(Refused::new(format!(
                "headers must give a value for {name}: {MASK} keeps a value, and the endpoint has no such header"
            )));
        };
        if moves {
            return Err(moved());
        }
        kept += value.plain_bytes() - MASK.len().min(value.plain_bytes());
    }
    if headers.total() + kept > MAX_TOTAL_CHARS {
        return Err(Refused::new(format!(
            "headers must have names and values of at most {MAX_TOTAL_CHARS} characters together, with the values that {MASK} keeps"
        )));
    }
    Ok(())
}

fn moved() -> Refused {
    Refused::new(format!(
        "headers must be sent with every value again, or as null, because url moves to another origin: {MASK} keeps no value there"
    ))
}

/// The names that have the mask for a value.
fn masked(headers: &CustomHeaders) -> impl Iterator<Item = &str> {
    headers.expose().iter().filter(|(_, value)| *value == MASK).map(|(name, _)| name.as_str())
}

/// Scheme, host and port are the same.
fn is_same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EndpointId, ProjectId};
    use crate::sealed::{KeyId, NONCE_BYTES, Sealed, SealedHeaders};
    use crate::shards::Shards;
    use crate::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn sealed(length: usize) -> Sealed {
        Sealed::new(&KeyId::parse("k").expect("an id"), &[0; NONCE_BYTES], &vec![0; length + 16])
    }

    /// An endpoint with the header `x-a`, whose value has this length.
    fn endpoint(length: usize) -> Endpoint {
        let (project, id) = (ProjectId::new(NOW), EndpointId::new(NOW));
        let url = "https://example.com/a".to_owned();
        let headers = SealedHeaders([("x-a".to_owned(), sealed(length))].into());
        Endpoint { headers, ..Endpoint::new(project, id, Shards::ONE, url, Vec::new(), sealed(70), NOW) }
    }

    fn headers(pairs: &[(&str, &str)]) -> CustomHeaders {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CustomHeaders::new(pairs).expect("headers")
    }

    #[test]
    fn a_mask_keeps_a_value_where_there_is_one() {
        let (kept, absent) = (headers(&[("x-a", MASK), ("x-b", "new")]), headers(&[("x-b", MASK)]));
        assert!(allowed_at(&endpoint(9), Some(&kept), None).is_ok());
        let refused = allowed_at(&endpoint(9), Some(&absent), None).expect_err("no such header");
        assert!(refused.to_string().starts_with("headers must give a value for x-b"), "{refused}");
        assert!(allowed_at_first(&headers(&[("x-a", "********x")])).is_ok());
        assert!(allowed_at_first(&kept).is_err());
    }

    #[test]
    fn no_value_moves_to_another_origin() {
        let (before, mask, value) = (endpoint(9), headers(&[("x-a", MASK)]), headers(&[("x-a", "again")]));
        for other in [
            "http://example.com/a",
            "https://example.com:8443/a",
            "https://www.example.com/a",
            "https://example.org/a",
        ] {
            assert!(allowed_at(&before, None, Some(other)).is_err(), "{other}");
            assert!(allowed_at(&before, Some(&mask), Some(other)).is_err(), "{other}");
            assert!(allowed_at(&before, Some(&value), Some(other)).is_ok(), "{other}");
            assert!(allowed_at(&before, Some(&headers(&[])), Some(other)).is_ok(), "{other}");
            let bare = Endpoint { headers: SealedHeaders::default(), ..before.clone() };
            assert!(allowed_at(&bare, None, Some(other)).is_ok(), "{other}");
        }
        for same in ["https://example.com/b?c", "https://example.com:443/a", "https://EXAMPLE.com/a"] {
            assert!(allowed_at(&before, None, Some(same)).is_ok(), "{same}");
            assert!(allowed_at(&before, Some(&mask), Some(same)).is_ok(), "{same}");
        }
    }

    #[test]
    fn kept_values_count_towards_the_limit() {
        let long = "v".repeat(4_096);
        let more = headers(&[("x-a", MASK), ("x-b", &long)]);
        // Two names of three characters.
        assert!(allowed_at(&endpoint(4_090), Some(&more), None).is_ok());
        assert!(allowed_at(&endpoint(4_091), Some(&more), None).is_err());
    }
}
