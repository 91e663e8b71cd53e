//! This deployment's API host, which deliveries must not reach, and the mark on its attempts. By the mark the API recognizes
//! an attempt that came back (contract §5). (Rejected: a setting for custom domains. The mark covers them.)
//!
//! An attempt with the mark of another deployment is no loop: one Echo may deliver to another.

use sha2::{Digest, Sha256};
use url::{Host, Url};

/// The header that carries the mark. An endpoint's own headers cannot have its name, which begins with `x-echo-`.
///
/// The standard headers against loops have side effects, so this is a header of our own. `CDN-Loop` (RFC 8586) counts towards
/// the limits of every CDN before a receiver. `Via` (RFC 9110, section 7.6.3) says that a proxy passed the request on, which
/// is not true of ours, and some servers then answer without compression. Every proxy that follows RFC 9110, section 5.1,
/// passes on a header that it does not know.
pub const ORIGIN_HEADER: &str = "x-echo-origin";

/// How many bytes of the hash make the mark.
const MARK_BYTES: usize = 16;

/// The host of this deployment's API, and the mark of its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    host: String,
    mark: String,
}

impl Origin {
    /// Reads the address that API Gateway gave the API.
    ///
    /// # Errors
    /// When the text is not a URL with a host name.
    pub fn parse(endpoint: &str) -> Result<Self, String> {
        let host = Url::parse(endpoint).ok().and_then(|url| name_of(url.host()?));
        let host = host
            .ok_or("must be the API's address, such as https://a1b2c3.execute-api.eu-west-1.amazonaws.com")?;
        // The mark is a hash, so that receivers do not learn the API's host from it.
        let hash = Sha256::digest(format!("echo-webhooks/origin/v1/{host}"));
        Ok(Self { host, mark: hex::encode(&hash[..MARK_BYTES]) })
    }

    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The value of [`ORIGIN_HEADER`] on each attempt. All attempts of this deployment share it, and no other deployment
    /// has it.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Whether a value of [`ORIGIN_HEADER`] contains our mark. A proxy may have joined several values with commas.
    #[must_use]
    pub fn is_marked(&self, value: &str) -> bool {
        value.split(',').any(|mark| mark.trim().eq_ignore_ascii_case(&self.mark))
    }
}

/// A host name in the one spelling that comparisons use: in lower case, in ASCII, and without the dot of the root. `None` for
/// an address.
#[must_use]
pub fn host_name(text: &str) -> Option<String> {
    Host::parse(text).ok().and_then(name_of)
}

/// The same for the host of a URL.
pub(crate) fn name_of(host: Host<impl AsRef<str>>) -> Option<String> {
    match host {
        Host::Domain(name) => Some(name.as_ref().trim_end_matches('.').to_ascii_lowercase()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "https://a1b2c3.execute-api.eu-west-1.amazonaws.com";

    fn origin(endpoint: &str) -> Origin {
        Origin::parse(endpoint).expect("an address")
    }

    #[test]
    fn a_deployment_has_one_mark_in_every_spelling_of_its_address_and_others_have_another() {
        let ours = origin(OURS);
        assert_eq!(ours.host(), "a1b2c3.execute-api.eu-west-1.amazonaws.com");
        for same in ["https://A1B2C3.execute-api.eu-west-1.amazonaws.com:443/", &format!("{OURS}./x")] {
            assert_eq!(origin(same), ours, "{same}");
        }
        for other in ["https://a1b2c4.execute-api.eu-west-1.amazonaws.com", "https://hooks.example.com"] {
            assert_ne!(origin(other).mark(), ours.mark(), "{other}");
        }
        assert!(!ours.mark().contains("a1b2c3") && ours.mark().len() == 32, "{}", ours.mark());
    }

    #[test]
    fn an_address_without_a_host_name_is_refused() {
        for bad in ["", "a1b2c3", "https://", "https://127.0.0.1", "https://[::1]/", "data:text/plain,x"] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mark_is_found_among_others_and_in_either_case() {
        let ours = origin(OURS);
        let mark = ours.mark();
        for found in [
            mark,
            &mark.to_uppercase(),
            &format!("abc, {mark}"),
            &format!("{mark},abc"),
            &format!(" {mark} "),
        ] {
            assert!(ours.is_marked(found), "{found}");
        }
        for other in ["", ",", "abc", &mark[1..], &format!("{mark}0"), &format!("{mark} abc")] {
            assert!(!ours.is_marked(other), "{other}");
        }
    }
}
