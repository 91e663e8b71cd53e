//! The activity list of a project: its changes, each with its maker, address and time (contract §2). An entry has ids
//! and the names of fields, and no value of any field, so it repeats no secret.
//!
//! An entry is written in the transaction that makes its change. A change that is repeated finds its first try done and fails
//! its own condition, and then no second entry is written.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::endpoint::{Endpoint, EndpointStatus};
use crate::id::{AccountId, ApiKeyId, AuditId, PortalLinkId, ProjectId};
use crate::time::Timestamp;

/// The maker of a change. An account stands by its id, so an erased account leaves no e-mail here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum Actor {
    /// The holder of an access token.
    Account(AccountId),
    ApiKey(ApiKeyId),
    /// The customer to whom a portal link was given.
    PortalLink(PortalLinkId),
    /// The service itself.
    Service,
}

macro_rules! actions {
    ($($name:ident: $word:literal;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Action {
            $(#[serde(rename = $word)] $name,)+
        }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

// The word before the dot names the kind of thing that an entry's `resource_id` is.
actions! {
    ProjectCreated: "project.created";
    EndpointCreated: "endpoint.created";
    EndpointChanged: "endpoint.changed";
    EndpointEnabled: "endpoint.enabled";
    EndpointDisabled: "endpoint.disabled";
    EndpointSecretRotated: "endpoint.secret_rotated";
    EndpointReplayStarted: "endpoint.replay_started";
    EndpointDeleted: "endpoint.deleted";
    ApiKeyCreated: "api_key.created";
    ApiKeyRevoked: "api_key.revoked";
    PortalLinkCreated: "portal_link.created";
    PortalLinkRedeemed: "portal_link.redeemed";
    PortalLinkEnded: "portal_link.ended";
    EventPayloadErased: "event.payload_erased";
}

/// One row of the activity list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub project_id: ProjectId,
    /// Its time is that of the change.
    pub id: AuditId,
    pub actor: Actor,
    pub action: Action,
    /// The thing that was changed. The action tells its kind.
    pub resource_id: Uuid,
    /// The names of the fields that have another value since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The address of the caller's connection; the service has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// Unix seconds.
    pub expires_at: i64,
}

/// The parts that all entries of one call share.
#[derive(Debug, Clone, Copy)]
pub struct Author {
    pub actor: Actor,
    pub from: Option<IpAddr>,
    pub kept_for: Duration,
}

impl Author {
    /// The service itself, which changes a thing without a call.
    #[must_use]
    pub const fn service(kept_for: Duration) -> Self {
        Self { actor: Actor::Service, from: None, kept_for }
    }

    /// The entry for a change of this thing.
    #[must_use]
    pub fn entry(
        &self,
        project_id: &ProjectId,
        action: Action,
        resource_id: Uuid,
        now: Timestamp,
    ) -> AuditEntry {
        AuditEntry {
            project_id: *project_id,
            id: AuditId::new(now),
            actor: self.actor,
            action,
            resource_id,
            fields: Vec::new(),
            from: self.from,
            expires_at: now.plus(self.kept_for).as_seconds(),
        }
    }

    /// The same for an endpoint.
    #[must_use]
    pub fn of_endpoint(&self, endpoint: &Endpoint, action: Action, now: Timestamp) -> AuditEntry {
        self.entry(&endpoint.project_id, action, endpoint.id.as_uuid(), now)
    }

    /// The entry for a change of an endpoint's settings by its owner; `None` when each field has the value that it had.
    #[must_use]
    pub fn of_change(&self, before: &Endpoint, after: &Endpoint, now: Timestamp) -> Option<AuditEntry> {
        let fields = changed_fields(before, after);
        if fields.is_empty() {
            return None;
        }
        let action = match after.status {
            _ if before.status == after.status => Action::EndpointChanged,
            EndpointStatus::Active => Action::EndpointEnabled,
            EndpointStatus::Disabled => Action::EndpointDisabled,
        };
        Some(AuditEntry { fields, ..self.of_endpoint(after, action, now) })
    }
}

/// The fields of an endpoint that its owner sets, as far as they differ. Both endpoints have their values under one
/// key, and a value that was kept is sealed as it was: so sealed values differ where the values inside differ.
fn changed_fields(before: &Endpoint, after: &Endpoint) -> Vec<String> {
    let public_key = |endpoint: &Endpoint| endpoint.ed25519.as_ref().map(|pair| pair.public_key.clone());
    let differ = [
        ("url", before.url != after.url),
        ("events", before.events != after.events),
        ("status", before.status != after.status),
        ("description", before.description != after.description),
        ("headers", before.headers != after.headers),
        ("rate_limit_per_second", before.rate_limit_per_second() != after.rate_limit_per_second()),
        ("ordered", before.ordered != after.ordered),
        ("filter", before.filter != after.filter),
        ("ed25519", public_key(before) != public_key(after)),
        ("auth", before.auth != after.auth),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ed25519_keys::SealedKeyPair;
    use crate::endpoint_patch::EndpointPatch;
    use crate::event_name::EventName;
    use crate::id::EndpointId;
    use crate::shards::Shards;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);
    const LATER: Timestamp = Timestamp::from_millis(1_776_009_128_499);

    fn endpoint() -> Endpoint {
        let events = vec![EventName::from_stored("call.ended").into()];
        let (project, id) = (ProjectId::new(NOW), EndpointId::new(NOW));
        let url = "https://example.com/?token=hidden".to_owned();
        Endpoint::new(project, id, Shards::ONE, url, events, vec![1].into(), NOW)
    }

    fn author() -> Author {
        let kept_for = Duration::from_secs(86_400);
        Author { actor: Actor::ApiKey(ApiKeyId::new(NOW)), from: "203.0.113.9".parse().ok(), kept_for }
    }

    fn entry(patch: &EndpointPatch, before: &Endpoint) -> Option<(Action, Vec<String>)> {
        let entry = author().of_change(before, &patch.apply(before, LATER), LATER)?;
        Some((entry.action, entry.fields))
    }

    #[test]
    fn an_entry_has_the_time_of_its_change_and_expires() {
        let before = endpoint();
        let entry = author().of_endpoint(&before, Action::EndpointDeleted, LATER);
        assert_eq!((entry.id.created_at(), entry.resource_id), (LATER, before.id.as_uuid()));
        let day = Duration::from_secs(86_400);
        assert_eq!(entry.expires_at, LATER.plus(day).as_seconds());
    }

    #[test]
    fn a_row_is_written_and_read_back() {
        let of = |actor| Author { actor, ..author() }.of_endpoint(&endpoint(), Action::EndpointCreated, NOW);
        let by_account = of(Actor::Account(AccountId::new(NOW)));
        let by_link = of(Actor::PortalLink(PortalLinkId::new(NOW)));
        let by_service =
            Author::service(Duration::ZERO).of_endpoint(&endpoint(), Action::EndpointDisabled, NOW);
        for entry in [by_account, by_link, by_service] {
            let row = serde_json::to_value(&entry).expect("JSON");
            assert_eq!(row["action"], entry.action.as_str());
            assert_eq!(serde_json::from_value::<AuditEntry>(row).expect("a row"), entry);
        }
    }

    #[test]
    fn the_words_of_all_actions_are_their_names_in_rows() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).expect("JSON"), action.as_str());
        }
    }

    #[test]
    fn a_change_names_the_fields_that_differ_and_no_value() {
        let patch = EndpointPatch {
            url: Some("https://example.com/?token=other".to_owned()),
            description: Some(Some("billing".to_owned())),
            rate_limit_per_second: Some(Some(5)),
            ..EndpointPatch::default()
        };
        let before = endpoint();
        let fields = ["url", "description", "rate_limit_per_second"].map(str::to_owned).to_vec();
        assert_eq!(entry(&patch, &before), Some((Action::EndpointChanged, fields)));
        let written = author().of_change(&before, &patch.apply(&before, LATER), LATER).expect("an entry");
        let written = serde_json::to_string(&written).expect("JSON");
        assert!(!written.contains("token") && !written.contains("billing"), "{written}");
    }

    #[test]
    fn a_change_to_equal_values_has_no_entry() {
        let pair = |sealed: u8| {
            Some(SealedKeyPair { private_key: vec![sealed].into(), public_key: "whpk_same".to_owned() })
        };
        let before = Endpoint { ed25519: pair(1), ..endpoint() };
        let patch = EndpointPatch {
            url: Some(before.url.clone()),
            events: Some(before.events.clone()),
            status: Some(EndpointStatus::Active),
            description: Some(None),
            headers: Some(before.headers.clone()),
            auth: Some(None),
            rate_limit_per_second: Some(None),
            ordered: Some(None),
            filter: Some(None),
            // The same pair, sealed under a new key.
            ed25519: Some(pair(2)),
        };
        assert_eq!(entry(&patch, &before), None);
    }

    #[test]
    fn a_new_status_names_the_action() {
        let status = |status| EndpointPatch { status: Some(status), ..EndpointPatch::default() };
        let (on, off) = (status(EndpointStatus::Active), status(EndpointStatus::Disabled));
        let (active, fields) = (endpoint(), vec!["status".to_owned()]);
        let disabled = off.apply(&active, LATER);
        assert_eq!(entry(&off, &active), Some((Action::EndpointDisabled, fields.clone())));
        assert_eq!(entry(&on, &disabled), Some((Action::EndpointEnabled, fields)));
        assert_eq!((entry(&on, &active), entry(&off, &disabled)), (None, None));
    }
}
