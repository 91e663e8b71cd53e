//! Headers whose values the caller does not see. The caller sees a mask in place of each, and sends the mask to keep a value.

use std::borrow::Cow;

use echo_shared::custom_headers::CustomHeaders;
use echo_shared::endpoint::Endpoint;
use echo_shared::endpoint_patch::EndpointPatch;
use echo_shared::fields::Refused;

/// What stands in place of the value of a header.
pub(super) const MASK: &str = "********";

/// The change with the values that its masks keep.
///
/// # Errors
/// When a mask keeps nothing, or a value would go to another URL: its caller could read the value there.
pub(super) fn kept<'a>(
    patch: &'a EndpointPatch,
    endpoint: &Endpoint,
) -> Result<Cow<'a, EndpointPatch>, Refused> {
    let moves = patch.url.as_ref().is_some_and(|url| *url != endpoint.url);
    let stored = endpoint.headers.expose();
    let Some(headers) = &patch.headers else {
        return if moves && !stored.is_empty() { Err(moved()) } else { Ok(Cow::Borrowed(patch)) };
    };
    let mut pairs = headers.expose().clone();
    for (name, value) in pairs.iter_mut().filter(|(_, value)| *value == MASK) {
        let Some(kept) = stored.get(name) else {
            return Err(Refused::new(format!(
                "headers must give a value for {name}: {MASK} keeps a value, and there is none"
            )));
        };
        if moves {
            return Err(moved());
        }
        value.clone_from(kept);
    }
    let headers = CustomHeaders::new(pairs)
        .ok_or_else(|| Refused::new("headers are too long, together with the values that are kept"))?;
    Ok(Cow::Owned(EndpointPatch { headers: Some(headers), ..patch.clone() }))
}

fn moved() -> Refused {
    Refused::new(format!(
        "headers must be sent with every value again, or as null, because url changes: {MASK} keeps no value there"
    ))
}

#[cfg(test)]
mod tests {
    use echo_shared::id::ProjectId;
    use echo_shared::shards::Shards;
    use echo_shared::time::Timestamp;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> CustomHeaders {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CustomHeaders::new(pairs).expect("headers")
    }

    fn endpoint() -> Endpoint {
        let (now, url) = (Timestamp::from_millis(1_776_009_119_499), "https://example.com/a".to_owned());
        let endpoint = Endpoint::new(ProjectId::new(now), Shards::ONE, url, Vec::new(), now);
        Endpoint { headers: headers(&[("x-a", "secret")]), ..endpoint }
    }

    fn patch(url: Option<&str>, pairs: Option<&[(&str, &str)]>) -> EndpointPatch {
        EndpointPatch { url: url.map(str::to_owned), headers: pairs.map(headers), ..EndpointPatch::default() }
    }

    #[test]
    fn a_mask_keeps_a_value() {
        let change = patch(None, Some(&[("x-a", MASK), ("x-b", "new")]));
        let kept = kept(&change, &endpoint()).expect("a change");
        assert_eq!(kept.headers, Some(headers(&[("x-a", "secret"), ("x-b", "new")])));
        let absent = patch(None, Some(&[("x-b", MASK)]));
        assert!(super::kept(&absent, &endpoint()).is_err());
    }

    #[test]
    fn no_value_goes_to_another_url() {
        let (other, same) = (Some("https://example.com/b"), Some("https://example.com/a"));
        assert!(kept(&patch(other, None), &endpoint()).is_err());
        assert!(kept(&patch(other, Some(&[("x-a", MASK)])), &endpoint()).is_err());
        assert!(kept(&patch(other, Some(&[("x-a", "again")])), &endpoint()).is_ok());
        assert!(kept(&patch(other, Some(&[])), &endpoint()).is_ok());
        assert!(kept(&patch(same, None), &endpoint()).is_ok());
        let bare = Endpoint { headers: CustomHeaders::default(), ..endpoint() };
        assert!(kept(&patch(other, None), &bare).is_ok());
    }
}
