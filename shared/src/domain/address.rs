//! The addresses that a delivery may connect to (contract §3). The rules hold for resolved addresses, for literal addresses in
//! URLs, and when an endpoint is registered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The operator's exemptions and the addresses that no exemption opens.
#[derive(Debug, Clone, Default)]
pub struct AddressRules {
    exempt: Vec<IpNet>,
    never: Vec<SocketAddr>,
    /// Host names of our own API.
    own: Vec<String>,
}

impl AddressRules {
    /// Reads `ExemptNetworks`, a comma-separated list of CIDR networks that may be empty.
    ///
    /// # Errors
    /// When an entry is not a network such as `127.0.0.0/8` or `::1/128`.
    pub fn parse(exempt: &str) -> Result<Self, String> {
        let exempt = exempt
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(|entry| entry.parse().map_err(|_| format!("'{entry}' is not a network such as 127.0.0.0/8")))
            .collect::<Result<_, _>>()?;
        Ok(Self { exempt, ..Self::default() })
    }

    /// Adds addresses that are never targets, such as the Lambda runtime API and the AWS endpoints in use.
    #[must_use]
    pub fn never(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.never.extend(addresses);
        self
    }

    /// Adds a host name of our own API, as [`crate::origin::host_name`] spells it.
    #[must_use]
    pub fn own(mut self, host: String) -> Self {
        self.own.push(host);
        self
    }

    /// Whether this is a host name of our own API, on any port.
    #[must_use]
    pub fn is_own(&self, host: &str) -> bool {
        self.own.iter().any(|own| own == host)
    }

    /// Whether the exemptions contain addresses of this machine or of its link, as only a developer's machine needs. The
    /// unspecified addresses are among them, because a connection to `0.0.0.0` reaches this machine.
    #[must_use]
    pub fn exempts_local(&self) -> bool {
        let local: [IpNet; 6] = [
            Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8).into(),
            Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
            LINK_LOCAL.into(),
            Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128).into(),
            Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
            Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10).into(),
        ];
        self.exempt.iter().any(|net| local.iter().any(|local| net.contains(local) || local.contains(net)))
    }

    /// Whether the operator exempts any network.
    #[must_use]
    pub const fn exempts_any(&self) -> bool {
        !self.exempt.is_empty()
    }

    #[must_use]
    pub fn is_exempt(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.exempt.iter().any(|net| net.contains(&ip))
    }

    /// Whether a connection to this address is allowed when a *host name* resolved to it. A resolver does not know the port, so
    /// an address that is barred on one port is barred on all.
    #[must_use]
    pub fn permits_resolved_ip(&self, ip: IpAddr) -> bool {
        let barred = self.never.iter().any(|never| never.ip().to_canonical() == ip.to_canonical());
        is_public(ip) && !barred
    }

    /// Whether a connection is allowed to an address that stands in the URL, or to `localhost`. The operator can exempt
    /// these.
    #[must_use]
    pub fn permits_literal(&self, address: SocketAddr) -> bool {
        (is_public(address.ip()) || self.is_exempt(address.ip())) && !self.is_never(address)
    }

    /// A server may listen on all loopback addresses, so an entry for one of them bars its port on each.
    fn is_never(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        is_instance_service(ip)
            || self.never.iter().any(|never| {
                let barred = never.ip().to_canonical();
                let local = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
                never.port() == address.port() && (barred == ip || (local(barred) && local(ip)))
            })
    }
}

const LINK_LOCAL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16);

/// AWS's services for the machine itself: metadata, credentials, names and time. Their IPv4 addresses are link-local. Their
/// IPv6 addresses are unique local ones, so an exemption of a private network may contain them
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html>, 'IPv6 unique local addresses').
const INSTANCE_SERVICES_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32);

fn is_instance_service(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => LINK_LOCAL.contains(&ip),
        IpAddr::V6(ip) => INSTANCE_SERVICES_V6.contains(&ip),
    }
}

/// Whether the address is globally reachable by IANA's special-purpose registries. An embedded IPv4 address is checked too.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, d] = ip.octets();
    match (a, b, c) {
        (0 | 10 | 127, ..) => false,
        (100, 64..=127, _) => false,
        (169, 254, _) => false,
        (172, 16..=31, _) => false,
        // Two anycast addresses of this block are reachable: port control (RFC 7723) and TURN (RFC 8155).
        (192, 0, 0) => matches!(d, 9 | 10),
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => false,
        // Deprecated relay anycast of 6to4 (RFC 7526).
        (192, 88, 99) => false,
        (192, 168, _) => false,
        (198, 18..=19, _) => false,
        // Multicast and reserved.
        (224.., ..) => false,
        _ => true,
    }
}

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let v4_at = |index: usize| {
        let [a, b] = segments[index].to_be_bytes();
        let [c, d] = segments[index + 1].to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // IPv4-mapped.
        [0, 0, 0, 0, 0, 0xffff, ..] => is_public_v4(v4_at(6)),
        // NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(v4_at(6)),
        // Teredo (RFC 4380): the server, and the client's address with every bit flipped.
        [0x2001, 0, ..] => {
            let client = Ipv4Addr::from_bits(!v4_at(6).to_bits());
            is_public_v4(v4_at(2)) && is_public_v4(client)
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => is_public_v4(v4_at(1)),
        // Of 2001::/23 only these are reachable: anycasts, AMT, AS112, ORCHIDv2 and drone ids.
        [0x2001, 1, 0, 0, 0, 0, 0, 1..=3] | [0x2001, 3, ..] | [0x2001, 4, 0x112, ..] => true,
        [0x2001, 0x20..=0x3f, ..] => true,
        [0x2001, 0..=0x1ff, ..] => false,
        // Documentation.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Nothing outside the global unicast block is reachable.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn public_addresses_are_public() {
        let public = [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.0.9",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:4:112::1",
            "2001:20::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ];
        for text in public {
            assert!(is_public(ip(text)), "{text}");
        }
    }

    #[test]
    fn special_addresses_are_not() {
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for text in special {
            assert!(!is_public(ip(text)), "{text}");
        }
    }

    #[test]
    fn teredo_is_judged_by_both_addresses_it_carries() {
        // Server 65.54.227.120; the client's address is stored inverted: 192.0.2.45 and 8.8.8.8.
        assert!(!is_public(ip("2001:0:4136:e378:8000:63bf:3fff:fdd2")));
        assert!(is_public(ip("2001:0:4136:e378:8000:63bf:f7f7:f7f7")));
        assert!(!is_public(ip("2001:0:7f00:1:8000:63bf:f7f7:f7f7")));
    }

    #[test]
    fn an_exemption_opens_literals_only_and_never_the_barred() {
        let rules = AddressRules::parse("127.0.0.0/8, ::1/128")
            .expect("two networks")
            .never(["127.0.0.1:4566".parse().expect("an address")]);
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert!(rules.permits_literal(address("127.0.0.1:8080")));
        assert!(rules.permits_literal(address("[::ffff:127.0.0.1]:8080")));
        assert!(rules.permits_literal(address("[::1]:8080")));
        assert!(!rules.permits_resolved_ip(address("127.0.0.1:8080").ip()));
        assert!(!rules.permits_literal(address("10.0.0.1:8080")));
        for barred in ["127.0.0.1:4566", "127.9.9.9:4566", "[::1]:4566", "[::ffff:127.0.0.1]:4566"] {
            assert!(!rules.permits_literal(address(barred)), "{barred}");
        }
    }

    #[test]
    fn the_machines_own_services_are_barred_whatever_is_exempt() {
        let rules = AddressRules::parse("0.0.0.0/0,::/0").expect("two networks");
        let permits = |text: &str| rules.permits_literal(text.parse().expect("an address"));
        assert!(permits("10.0.0.1:80") && permits("[fd00:ec3::1]:80"));
        for barred in [
            "169.254.169.254:80",
            "169.254.170.2:80",
            "[::ffff:169.254.169.254]:80",
            "[fd00:ec2::254]:80",
            "[fd00:ec2::23]:443",
        ] {
            assert!(!permits(barred), "{barred}");
        }
    }

    #[test]
    fn local_exemptions_are_noticed() {
        for local in [
            "127.0.0.1/32",
            "0.0.0.0/0",
            "0.0.0.0/32",
            "0.1.0.0/16",
            "::/0",
            "::/128",
            "169.254.169.254/32",
            "fe80::/64",
        ] {
            assert!(AddressRules::parse(local).is_ok_and(|rules| rules.exempts_local()), "{local}");
        }
        assert!(AddressRules::parse("10.0.0.0/8").is_ok_and(|rules| !rules.exempts_local()));
        assert!(AddressRules::parse("").is_ok_and(|rules| !rules.exempts_local()));
        assert!(AddressRules::parse("10.0.0.0/33").is_err());
    }
}
