//! Host names to addresses that may be connected to: the check and the connection see the same answer, so a name
//! that changes between the two gains nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use echo_shared::address::AddressRules;
use echo_shared::endpoint_url::is_localhost;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("the name could not be resolved")]
    NotResolved(#[source] io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("every address of the name is forbidden")]
    Forbidden,
}

pub(crate) async fn addresses(name: &str, rules: &AddressRules) -> Result<Vec<IpAddr>, ResolveError> {
    if is_localhost(name) {
        // The URL has passed the rules with its port, which counts for every loopback address alike.
        let local = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return none_is_forbidden(local.into_iter().filter(|ip| rules.is_exempt(*ip)));
    }
    let found = tokio::net::lookup_host((name, 0)).await.map_err(ResolveError::NotResolved)?;
    permitted(found.map(|address| address.ip()), rules)
}

/// The addresses of one answer that may be connected to. Every connection asks again, and each answer is judged by itself.
fn permitted(found: impl Iterator<Item = IpAddr>, rules: &AddressRules) -> Result<Vec<IpAddr>, ResolveError> {
    let mut found = found.peekable();
    if found.peek().is_none() {
        return Err(ResolveError::NoAddress);
    }
    none_is_forbidden(found.filter(|ip| rules.permits_resolved_ip(*ip)))
}

fn none_is_forbidden(permitted: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, ResolveError> {
    let permitted: Vec<IpAddr> = permitted.collect();
    if permitted.is_empty() { Err(ResolveError::Forbidden) } else { Ok(permitted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_answer_is_forbidden_and_localhost_follows_the_exemption() {
        let none = AddressRules::default();
        assert!(matches!(addresses("localhost", &none).await, Err(ResolveError::Forbidden)));
        // The C library resolves a literal to itself, which stands in for a name that points at it.
        assert!(matches!(addresses("127.0.0.1", &none).await, Err(ResolveError::Forbidden)));
        assert!(matches!(addresses("a name.invalid", &none).await, Err(ResolveError::NotResolved(_))));

        let v4 = AddressRules::parse("127.0.0.0/8").expect("a network");
        let local = addresses("A.localhost.", &v4).await.expect("exempt");
        assert_eq!(local, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        // An exemption is for literals and localhost, not for the addresses that a name resolves to.
        assert!(matches!(addresses("127.0.0.1", &v4).await, Err(ResolveError::Forbidden)));
    }

    #[test]
    fn a_name_that_turns_private_is_forbidden_from_that_answer_on() {
        let rules = AddressRules::default();
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let answer = |ips: &[&str]| permitted(ips.iter().map(|text| ip(text)), &rules);
        assert_eq!(answer(&["93.184.216.34"]).expect("public"), [ip("93.184.216.34")]);
        for private in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254", "::ffff:10.0.0.1"]
        {
            assert!(matches!(answer(&[private]), Err(ResolveError::Forbidden)), "{private}");
            // Both in one answer: the private one is not there to be tried.
            let mixed = answer(&[private, "93.184.216.34"]).expect("one is public");
            assert_eq!(mixed, [ip("93.184.216.34")]);
        }
        assert!(matches!(answer(&[]), Err(ResolveError::NoAddress)));
    }
}
