//! The URLs that an endpoint may have: absolute, https and public. A URL is checked before it is stored, and again before each
//! request (contract §3).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::{Host, Position, Url};

use crate::address::AddressRules;
use crate::amazon::is_api;
use crate::origin::name_of;

/// The most characters of a URL.
pub const MAX_URL_CHARS: usize = 2_048;

/// The most characters of a name in DNS, without a dot at its end (RFC 1035 §2.3.4 counts two more bytes).
const MAX_NAME_CHARS: usize = 253;
const MAX_LABEL_CHARS: usize = 63;

/// A URL that has passed the rules, in its owner's spelling.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    text: String,
    url: Url,
}

/// Why a URL was refused. The caller sees the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    #[error("must be at most {MAX_URL_CHARS} characters")]
    TooLong,
    #[error("must be an absolute https URL such as https://example.com/webhooks")]
    NotAbsolute,
    #[error("must use https")]
    NotHttps,
    #[error("must not carry a user name or password")]
    UserInfo,
    #[error("must not have a fragment")]
    Fragment,
    #[error("must not use port 0")]
    PortZero,
    #[error(
        "must have a host name that DNS can have: parts of 1 to {MAX_LABEL_CHARS} letters, digits, underscores and inner hyphens, \
         with dots between them, and at most {MAX_NAME_CHARS} characters"
    )]
    HostName,
    #[error("must not lead back to this service")]
    OwnHost,
    #[error("must not lead to an API of AWS")]
    AwsApi,
    #[error("must not be a private, local or otherwise special address")]
    NotPublic,
}

impl EndpointUrl {
    /// Checks a URL against the rules. A host name is not resolved here.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn parse(text: &str, rules: &AddressRules) -> Result<Self, UrlRefused> {
        if text.chars().count() > MAX_URL_CHARS {
            return Err(UrlRefused::TooLong);
        }
        // The URL standard drops tabs and newlines, trims spaces, reads `\` as `/` and adds missing slashes. A URL that
        // needs any of these would look different to a person from the URL that we would use.
        let untidy = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        let scheme_end = text.find("://").ok_or(UrlRefused::NotAbsolute)?;
        if text.contains(untidy) || text[scheme_end + 3..].starts_with('/') {
            return Err(UrlRefused::NotAbsolute);
        }
        let url = Url::parse(text).map_err(|_| UrlRefused::NotAbsolute)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlRefused::NotHttps);
        }
        // `https://@host` has an empty user name, and the parsed form no longer shows it.
        if split(text).is_some_and(|(authority, _)| authority.contains('@')) {
            return Err(UrlRefused::UserInfo);
        }
        if text.contains('#') {
            return Err(UrlRefused::Fragment);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if port == 0 {
            return Err(UrlRefused::PortZero);
        }
        if matches!(url.host(), Some(Host::Domain(name)) if !is_dns_name(name)) {
            return Err(UrlRefused::HostName);
        }
        match url.host().and_then(name_of) {
            Some(host) if rules.is_own(&host) => return Err(UrlRefused::OwnHost),
            Some(host) if is_api(&host) => return Err(UrlRefused::AwsApi),
            _ => {}
        }
        let parsed = Self { text: text.to_owned(), url };
        match parsed.literal() {
            Some(ip) if !rules.permits_literal(SocketAddr::new(ip, port)) => {
                return Err(UrlRefused::NotPublic);
            }
            Some(ip) if rules.is_exempt(ip) => {}
            _ if parsed.url.scheme() != "https" => return Err(UrlRefused::NotHttps),
            _ => {}
        }
        Ok(parsed)
    }

    /// The address that the URL names without a look-up: a literal one, or loopback for `localhost` and names under it.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
            Host::Domain(name) => is_localhost(name).then_some(Ipv4Addr::LOCALHOST.into()),
        }
    }

    /// The URL that a request would be made to, if it differs from the URL that the owner wrote: URL parsers resolve
    /// `..` and escape some characters, and a receiver that signs its URL would see another one. The case of scheme and
    /// host, letters outside ASCII in the host, an unneeded port and a missing `/` after the host make no difference to
    /// a receiver.
    #[must_use]
    pub fn rewritten(&self) -> Option<&str> {
        let (authority, rest) = split(&self.text)?;
        let host =
            authority.rfind(':').filter(|at| authority[*at..].bytes().skip(1).all(|b| b.is_ascii_digit()));
        let host = &authority[..host.unwrap_or(authority.len())];
        let is_same_host =
            !host.is_ascii() || self.url.host_str().is_some_and(|own| own.eq_ignore_ascii_case(host));
        let slash = if rest.starts_with('/') { "" } else { "/" };
        let is_same_rest = self.url[Position::BeforePath..].strip_prefix(slash) == Some(rest);
        (!is_same_host || !is_same_rest).then_some(self.url.as_str())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub const fn as_url(&self) -> &Url {
        &self.url
    }
}

/// A URL's authority, and the rest after it.
fn split(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

/// Whether DNS and TLS can have this name: the URL standard lets through far more. Receivers do use underscores.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| {
        (1..=MAX_LABEL_CHARS).contains(&label.len())
            && label.chars().all(is_legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= MAX_NAME_CHARS && name.split('.').all(is_label)
}

/// `localhost` and its subdomains are loopback by RFC 6761, even if a resolver says otherwise.
#[must_use]
pub fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, exempt: &str) -> Option<UrlRefused> {
        EndpointUrl::parse(text, &AddressRules::parse(exempt).expect("networks")).err()
    }

    #[test]
    fn public_https_urls_pass_in_their_own_spelling() {
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_CHARS - 20));
        for text in [
            "https://your-server.com/webhooks/echo",
            "HTTPS://Example.com:8443/a?b=c&d=%20",
            "https://8.8.8.8/x",
            "https://[2606:4700::1111]/x",
            "https://bücher.example/x",
            &long,
        ] {
            let url = EndpointUrl::parse(text, &AddressRules::default());
            assert_eq!(url.as_ref().map(EndpointUrl::as_str), Ok(text));
        }
    }

    #[test]
    fn each_rule_refuses() {
        let cases = [
            ("", UrlRefused::NotAbsolute),
            ("not a url", UrlRefused::NotAbsolute),
            ("/webhooks", UrlRefused::NotAbsolute),
            ("example.com/webhooks", UrlRefused::NotAbsolute),
            ("https:example.com", UrlRefused::NotAbsolute),
            ("https:///example.com", UrlRefused::NotAbsolute),
            ("https://", UrlRefused::NotAbsolute),
            ("https://exa\tmple.com", UrlRefused::NotAbsolute),
            ("https:\\\\example.com", UrlRefused::NotAbsolute),
            (" https://example.com", UrlRefused::NotAbsolute),
            ("https://example.com:99999/", UrlRefused::NotAbsolute),
            ("http://example.com/", UrlRefused::NotHttps),
            ("ftp://example.com/", UrlRefused::NotHttps),
            ("javascript://example.com/", UrlRefused::NotHttps),
            ("https://user:pass@example.com/", UrlRefused::UserInfo),
            ("https://@example.com/", UrlRefused::UserInfo),
            ("https://example.com/#top", UrlRefused::Fragment),
            ("https://example.com/#", UrlRefused::Fragment),
            ("https://example.com:0/", UrlRefused::PortZero),
            ("https://{tenant}.example.com/", UrlRefused::HostName),
            ("https://%7Btenant%7D.example.com/", UrlRefused::HostName),
            ("https://\"example.com/", UrlRefused::HostName),
            ("https://exa`mple.com/", UrlRefused::HostName),
            ("https://a..b.com/", UrlRefused::HostName),
            ("https://.example.com/", UrlRefused::HostName),
            ("https://*.example.com/", UrlRefused::HostName),
            ("https://a+b.com/", UrlRefused::HostName),
            ("https://-/", UrlRefused::HostName),
            ("https://-a.example.com/", UrlRefused::HostName),
            ("https://a-.example.com/", UrlRefused::HostName),
            ("https://example.com../", UrlRefused::HostName),
            ("https://SQS.eu-west-1.amazonaws.com./123456789012/queue", UrlRefused::AwsApi),
            ("https://dynamodb.eu-west-1.amazonaws.com/", UrlRefused::AwsApi),
        ];
        for (text, expected) in cases {
            assert_eq!(refusal(text, ""), Some(expected), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_CHARS));
        assert_eq!(refusal(&long, ""), Some(UrlRefused::TooLong));
    }

    #[test]
    fn a_host_is_as_long_as_dns_allows() {
        let label = |length: usize| format!("https://{}.example.com/", "a".repeat(length));
        assert_eq!(refusal(&label(63), ""), None);
        assert_eq!(refusal(&label(64), ""), Some(UrlRefused::HostName));
        let name = |length: usize| format!("https://{}a/", "a.".repeat(length / 2));
        assert_eq!(refusal(&name(253), ""), None);
        assert_eq!(refusal(&name(253).replace("/", ".").replacen(":..", "://", 1), ""), None);
        assert_eq!(refusal(&name(255), ""), Some(UrlRefused::HostName));
        for good in [
            "https://_dmarc.my_host.example.com/",
            "https://xn--bcher-kva.example./",
            "https://a--b.example/",
        ] {
            assert_eq!(refusal(good, ""), None, "{good}");
        }
    }

    #[test]
    fn a_url_that_would_be_requested_as_another_is_noticed() {
        let rewritten = |text: &str| {
            let url = EndpointUrl::parse(text, &AddressRules::default()).expect("a URL");
            url.rewritten().map(str::to_owned)
        };
        for same in [
            "https://example.com",
            "https://example.com?a=b",
            "https://example.com/a/b?c=d&e=%20&f=%2E%2E/../g#".trim_end_matches('#'),
            "https://example.com:443/",
            "https://example.com:8443/a",
            "HTTPS://Example.COM/A",
            "https://bücher.example/x",
            "https://[2606:4700::1111]:8443/x",
            "https://example.com/$&'()*+,;=:@~!-._%27%7B",
        ] {
            assert_eq!(rewritten(same), None, "{same}");
        }
        for (text, requested) in [
            ("https://example.com/a/../b", "https://example.com/b"),
            ("https://example.com/a/./b", "https://example.com/a/b"),
            ("https://example.com/a/%2E%2e/b", "https://example.com/b"),
            ("https://example.com/..", "https://example.com/"),
            ("https://example.com/?a='b'", "https://example.com/?a=%27b%27"),
            ("https://example.com/{a}?b=\"c\"", "https://example.com/%7Ba%7D?b=%22c%22"),
            ("https://example.com/ü?ü", "https://example.com/%C3%BC?%C3%BC"),
            ("https://%65xample.com/", "https://example.com/"),
            ("https://134744072/", "https://8.8.8.8/"),
            ("https://[2606:4700:0::1111]/", "https://[2606:4700::1111]/"),
        ] {
            assert_eq!(rewritten(text).as_deref(), Some(requested), "{text}");
        }
    }

    #[test]
    fn every_spelling_of_a_private_address_is_refused() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "0",
            "10.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fd00:ec2::254]",
            "%31%32%37.0.0.1",
            "①②⑦.0.0.1",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
        ] {
            assert_eq!(refusal(&format!("https://{host}/x"), ""), Some(UrlRefused::NotPublic), "{host}");
        }
    }

    #[test]
    fn our_own_host_is_refused_in_every_spelling_and_at_every_port() {
        let hosts = ["a1b2c3.execute-api.eu-west-1.amazonaws.com", "xn--bcher-kva.example"];
        let rules = hosts.into_iter().fold(AddressRules::default(), |rules, host| rules.own(host.to_owned()));
        for host in [
            hosts[0],
            "A1B2C3.Execute-API.eu-west-1.amazonaws.com",
            "a1b2c3.execute-api.eu-west-1.amazonaws.com.",
            "a1b2c3.execute-api.eu-west-1.amazonaws.com:443",
            "a1b2c3.execute-api.eu-west-1.amazonaws.com:8443",
            "%611b2c3.execute-api.eu-west-1.amazonaws.com",
            "ａ1b2c3。execute-api.eu-west-1.amazonaws.com",
            "bücher.example",
            "BÜCHER.example.",
            "xn--bcher-kva.example",
        ] {
            let refused = EndpointUrl::parse(&format!("https://{host}/v1/x?y"), &rules);
            assert_eq!(refused.err(), Some(UrlRefused::OwnHost), "{host}");
        }
        for other in ["a1b2c4.execute-api.eu-west-1.amazonaws.com", "x.bücher.example", "8.8.8.8"] {
            assert!(EndpointUrl::parse(&format!("https://{other}/"), &rules).is_ok(), "{other}");
        }
    }

    #[test]
    fn an_exempt_network_opens_http_for_its_literals_and_localhost() {
        let loopback = "127.0.0.0/8,::1/128";
        for text in
            ["http://127.0.0.1:8080/x", "http://[::1]:1/x", "http://localhost:9/x", "https://127.0.0.1/x"]
        {
            assert_eq!(refusal(text, loopback), None, "{text}");
        }
        assert_eq!(refusal("http://8.8.8.8/", loopback), Some(UrlRefused::NotHttps));
        assert_eq!(refusal("http://example.com/", loopback), Some(UrlRefused::NotHttps));
        assert_eq!(refusal("http://10.0.0.1/", loopback), Some(UrlRefused::NotPublic));
        assert_eq!(refusal("http://10.0.0.1/", "10.0.0.0/8"), None);
        assert_eq!(refusal("http://localhost/", "10.0.0.0/8"), Some(UrlRefused::NotPublic));
    }
}
