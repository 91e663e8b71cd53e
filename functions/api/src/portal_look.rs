//! The operator's settings of the portal: its name, its colour, and the sites that may embed it.

use axum::http::HeaderValue;
use echo_shared::config::{ConfigError, parsed};

const MOST_NAME_CHARS: usize = 40;

/// The portal as its customers see it.
#[derive(Debug, Clone)]
pub struct PortalLook {
    pub name: String,
    /// `#` and six hex digits.
    pub accent: String,
    /// The sources of the policy's `frame-ancestors` (w3.org/TR/CSP3/#directive-frame-ancestors).
    pub frame_ancestors: String,
}

impl PortalLook {
    /// # Errors
    /// When a value is not allowed.
    pub fn from_lookup(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            name: parsed(lookup, "PORTAL_NAME", "Echo Webhooks", name)?,
            accent: parsed(lookup, "PORTAL_ACCENT_COLOR", "#3457d5", accent)?,
            frame_ancestors: parsed(lookup, "PORTAL_FRAME_ANCESTORS", "", frame_ancestors)?,
        })
    }

    /// The page's policy: the console's `policy`, but for the sites that may embed it.
    #[must_use]
    pub fn policy(&self, policy: &'static str) -> HeaderValue {
        let own =
            policy.replace("frame-ancestors 'none'", &format!("frame-ancestors {}", self.frame_ancestors));
        HeaderValue::try_from(own).unwrap_or_else(|_| HeaderValue::from_static(policy))
    }
}

fn name(text: &str) -> Result<String, String> {
    let is_shown = |c: char| (' '..='~').contains(&c) || ('\u{a0}'..='\u{ffff}').contains(&c);
    let is_name = (1..=MOST_NAME_CHARS).contains(&text.chars().count()) && text.chars().all(is_shown);
    if is_name { Ok(text.to_owned()) } else { Err(format!("must have 1 to {MOST_NAME_CHARS} characters")) }
}

fn accent(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
    let is_colour = digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_colour { Ok(text.to_ascii_lowercase()) } else { Err("must be # and six hex digits".to_owned()) }
}

/// The sites as the policy's sources; none is `'none'`.
fn frame_ancestors(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok("'none'".to_owned());
    }
    let sites: Vec<&str> = text.split(',').collect();
    if sites.iter().all(|site| is_site(site)) {
        Ok(sites.join(" "))
    } else {
        Err("must be https:// and a host name, which may begin with *., or http://localhost, each with or without a port, \
             comma separated"
            .to_owned())
    }
}

fn is_site(site: &str) -> bool {
    let (host, port) = match site.rsplit_once(':').filter(|(_, port)| !port.starts_with("//")) {
        Some((host, port)) => (host, Some(port)),
        None => (site, None),
    };
    let is_port = port
        .is_none_or(|port| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_name = |name: &str| {
        let is_part = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        name.split('.').all(is_part)
    };
    let is_host = match host.strip_prefix("https://") {
        Some(name) => is_name(name.strip_prefix("*.").unwrap_or(name)),
        None => matches!(host, "http://localhost" | "http://127.0.0.1"),
    };
    is_port && is_host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(name: &'static str, value: &'static str) -> Result<PortalLook, ConfigError> {
        PortalLook::from_lookup(&|asked: &str| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn no_site_embeds_the_portal_unless_a_setting_says_so() {
        let own = look("PORTAL_NAME", "Acme").expect("settings");
        assert_eq!((own.name.as_str(), own.accent.as_str()), ("Acme", "#3457d5"));
        assert_eq!(own.policy("a; frame-ancestors 'none'; b"), "a; frame-ancestors 'none'; b");
        let sites = "https://app.example.com,https://*.example.org:8443,http://localhost:3000";
        let own = look("PORTAL_FRAME_ANCESTORS", sites).expect("settings");
        let wanted =
            "a; frame-ancestors https://app.example.com https://*.example.org:8443 http://localhost:3000; b";
        assert_eq!(own.policy("a; frame-ancestors 'none'; b"), wanted);
    }

    #[test]
    fn values_that_could_change_the_policy_are_refused() {
        for bad in [
            "*",
            "https://*",
            "https:",
            "http://example.com",
            "https://example.com/",
            "https://example.com;script-src *",
            "https://example.com https://example.org",
            "https://example.com, https://example.org",
            "https://a.*.com",
            "https://example.com:",
            "https://example.com:123456",
            "https://example..com",
            "'self'",
            "example.com",
        ] {
            let error = look("PORTAL_FRAME_ANCESTORS", bad).expect_err(bad).to_string();
            assert!(error.starts_with("PORTAL_FRAME_ANCESTORS"), "{error}");
        }
        for bad in ["", "\u{7}", "a name of more than forty characters, which no header holds"] {
            assert!(look("PORTAL_NAME", bad).is_err(), "{bad}");
        }
        for bad in ["", "red", "#fff", "#12345g", "#1234567", "123456"] {
            assert!(look("PORTAL_ACCENT_COLOR", bad).is_err(), "{bad}");
        }
    }
}
