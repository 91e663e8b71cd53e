//! A change of an endpoint by its owner.

use crate::ed25519_keys::SealedKeyPair;
use crate::endpoint::{DisabledReason, Endpoint, EndpointState, EndpointStatus};
use crate::filter::FilterText;
use crate::rate_limit::RateLimit;
use crate::receiver_auth::SealedAuth;
use crate::sealed::SealedHeaders;
use crate::stream::Order;
use crate::subscription::Subscription;
use crate::time::Timestamp;

/// The changes that a caller asks for; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    pub url: Option<String>,
    pub events: Option<Vec<Subscription>>,
    pub status: Option<EndpointStatus>,
    /// The inner `None` removes it.
    pub description: Option<Option<String>>,
    /// No headers at all remove the endpoint's headers.
    pub headers: Option<SealedHeaders>,
    /// The inner `None` removes it.
    pub auth: Option<Option<SealedAuth>>,
    /// The inner `None` removes it.
    pub rate_limit_per_second: Option<Option<u16>>,
    /// The inner `None` switches it off.
    pub ordered: Option<Option<Order>>,
    /// The inner `None` removes it.
    pub filter: Option<Option<FilterText>>,
    /// The inner `None` deletes its keys.
    pub ed25519: Option<Option<SealedKeyPair>>,
}

impl EndpointPatch {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self {
            url,
            events,
            status,
            description,
            headers,
            auth,
            rate_limit_per_second,
            ordered,
            filter,
            ed25519,
        } = self;
        url.is_none()
            && events.is_none()
            && status.is_none()
            && description.is_none()
            && headers.is_none()
            && auth.is_none()
            && rate_limit_per_second.is_none()
            && ordered.is_none()
            && filter.is_none()
            && ed25519.is_none()
    }

    /// Whether it may still be made after another change: none of its fields was changed, or all of them already are as it
    /// wants them. Otherwise its caller may have given up and sent the other change.
    #[must_use]
    pub fn may_follow(&self, before: &Endpoint, after: &Endpoint) -> bool {
        let is_apart = (self.url.is_none() || before.url == after.url)
            && (self.events.is_none() || before.events == after.events)
            && (self.status.is_none() || before.status == after.status)
            && (self.description.is_none() || before.description == after.description)
            && (self.headers.is_none() || before.headers == after.headers)
            && (self.auth.is_none() || before.auth == after.auth)
            && (self.rate_limit_per_second.is_none() || before.state.rate_limit == after.state.rate_limit)
            && (self.ordered.is_none() || before.ordered == after.ordered)
            && (self.filter.is_none() || before.filter == after.filter)
            && (self.ed25519.is_none() || before.ed25519 == after.ed25519);
        let keys = before.ed25519.as_ref().zip(after.ed25519.as_ref());
        let is_rotated = keys.is_some_and(|(before, after)| before.public_key != after.public_key);
        is_apart || (self.is_in(after) && !(self.ed25519.is_some() && is_rotated))
    }

    /// The endpoint after the change, from the endpoint as it was read.
    #[must_use]
    pub fn apply(&self, endpoint: &Endpoint, now: Timestamp) -> Endpoint {
        let mut after = Endpoint { updated_at: now, ..endpoint.clone() };
        if after.previous_secret_at(now).is_none() {
            (after.previous_secret, after.previous_secret_until) = (None, None);
            after.previous_ed25519 = None;
        }
        if self.starts_afresh() {
            // The speed of earlier answers says nothing about a new receiver, or about one that was just mended.
            after.state = EndpointState {
                slow_until: None,
                answered_at: None,
                hanging_since: None,
                hanging_tried_at: None,
                ..after.state
            };
        }
        if let Some(url) = self.url.as_ref().filter(|url| **url != endpoint.url) {
            after.url.clone_from(url);
            after.url_since = now;
        }
        if let Some(events) = &self.events {
            after.buckets_ever.extend(events.iter().map(Subscription::bucket));
            after.events.clone_from(events);
        }
        match self.status {
            // The endpoint starts afresh: earlier failures no longer count (contract §7).
            Some(EndpointStatus::Active) => {
                after.status = EndpointStatus::Active;
                (after.disabled_reason, after.disabled_at) = (None, None);
                after.state = EndpointState {
                    consecutive_failures: 0,
                    first_failure_at: None,
                    failing: None,
                    ..after.state
                };
            }
            // Disabling again keeps the reason and the time of the first disabling.
            Some(EndpointStatus::Disabled) => {
                after.status = EndpointStatus::Disabled;
                after.disabled_reason.get_or_insert(DisabledReason::Manual);
                after.disabled_at.get_or_insert(now);
            }
            None => {}
        }
        if let Some(description) = &self.description {
            after.description.clone_from(description);
        }
        if let Some(headers) = &self.headers {
            after.headers = headers.clone();
        }
        if let Some(auth) = &self.auth {
            after.auth.clone_from(auth);
        }
        if let Some(ordered) = self.ordered {
            after.ordered = ordered;
        }
        if let Some(filter) = &self.filter {
            after.filter.clone_from(filter);
        }
        if let Some(pair) = &self.ed25519 {
            after.ed25519.clone_from(pair);
            after.previous_ed25519 = after.previous_ed25519.filter(|_| pair.is_some());
        }
        if let Some(limit) = self.new_rate_limit(endpoint) {
            after.state.rate_limit = limit.map(|per_second| RateLimit { per_second, since: now });
            (after.state.slots_taken_until, after.state.late_slots_taken_until) = (None, None);
        }
        after
    }

    /// Whether the results of earlier attempts say nothing more about the receiver, so the endpoint's health begins anew.
    #[must_use]
    pub fn starts_afresh(&self) -> bool {
        self.url.is_some() || self.status == Some(EndpointStatus::Active)
    }

    /// An unchanged limit keeps the slots that are taken. A new limit begins with none taken.
    #[must_use]
    pub fn new_rate_limit(&self, endpoint: &Endpoint) -> Option<Option<u16>> {
        self.rate_limit_per_second.filter(|limit| *limit != endpoint.rate_limit_per_second())
    }

    /// Whether the row of the state changes too.
    #[must_use]
    pub fn touches_state(&self, endpoint: &Endpoint) -> bool {
        self.starts_afresh() || self.new_rate_limit(endpoint).is_some()
    }

    /// Whether the project's routing row changes too.
    #[must_use]
    pub const fn touches_route(&self) -> bool {
        self.url.is_some()
            || self.status.is_some()
            || self.events.is_some()
            || self.ordered.is_some()
            || self.filter.is_some()
    }

    /// Whether an endpoint looks as this change leaves it. Any key pair is as good as another.
    #[must_use]
    pub fn is_in(&self, endpoint: &Endpoint) -> bool {
        let Self {
            url,
            events,
            status,
            description,
            headers,
            auth,
            rate_limit_per_second,
            ordered,
            filter,
            ed25519,
        } = self;
        url.as_ref().is_none_or(|url| *url == endpoint.url)
            && events.as_ref().is_none_or(|events| *events == endpoint.events)
            && status.is_none_or(|status| status == endpoint.status)
            && description.as_ref().is_none_or(|description| *description == endpoint.description)
            && headers.as_ref().is_none_or(|headers| *headers == endpoint.headers)
            && auth.as_ref().is_none_or(|auth| *auth == endpoint.auth)
            && rate_limit_per_second.is_none_or(|limit| limit == endpoint.rate_limit_per_second())
            && ordered.is_none_or(|ordered| ordered == endpoint.ordered)
            && filter.as_ref().is_none_or(|filter| *filter == endpoint.filter)
            && ed25519.as_ref().is_none_or(|pair| pair.is_some() == endpoint.ed25519.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_name::EventName;
    use crate::id::{EndpointId, EventId, ProjectId};
    use crate::shards::Shards;

    const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);
    const LATER: Timestamp = Timestamp::from_millis(1_776_009_128_499);

    fn limited(per_second: u16) -> RateLimit {
        RateLimit { per_second, since: T0 }
    }

    /// An endpoint that fails, is slow and hangs.
    fn endpoint() -> Endpoint {
        let names = vec![EventName::from_stored("call.ended").into()];
        let state = EndpointState {
            rate_limit: Some(limited(5)),
            slots_taken_until: Some(7),
            late_slots_taken_until: Some(8),
            consecutive_failures: 3,
            first_failure_at: Some(T0),
            slow_until: Some(T0),
            answered_at: Some(T0),
            hanging_since: Some(T0),
            hanging_tried_at: Some(T0),
            is_down: true,
            ..EndpointState::default()
        };
        let url = "https://example.com/".to_owned();
        let (project, id, secret) = (ProjectId::new(T0), EndpointId::new(T0), vec![1].into());
        Endpoint { state, ..Endpoint::new(project, id, Shards::ONE, url, names, secret, T0) }
    }

    fn applied(patch: &EndpointPatch, before: &Endpoint) -> Endpoint {
        let after = patch.apply(before, LATER);
        assert!(patch.is_in(&after));
        assert_eq!(after.updated_at, LATER);
        assert_eq!(patch.touches_state(before), after.state != before.state || patch.starts_afresh());
        after
    }

    #[test]
    fn another_receiver_starts_with_no_marks_of_the_one_before() {
        let before = endpoint();
        let url = |url: &str| EndpointPatch { url: Some(url.to_owned()), ..EndpointPatch::default() };
        let after = applied(&url("https://example.com/new"), &before);
        assert_eq!((after.url_since, after.hanging(), after.state.slow_until), (LATER, None, None));
        assert_eq!(after.state.consecutive_failures, 3);
        let same = applied(&url(&before.url), &before);
        assert_eq!((same.url_since, same.hanging()), (T0, None), "mended, and still the same receiver");
    }

    #[test]
    fn an_endpoint_that_is_activated_starts_afresh_and_a_disabled_one_keeps_its_reason() {
        let status = |status| EndpointPatch { status: Some(status), ..EndpointPatch::default() };
        let ours = endpoint().disabled(DisabledReason::Gone, EventId::new(T0), T0);
        let again = applied(&status(EndpointStatus::Disabled), &ours);
        assert_eq!(
            (again.disabled_reason, again.disabled_at),
            (Some(DisabledReason::Gone), ours.disabled_at)
        );
        let by_hand = applied(&status(EndpointStatus::Disabled), &endpoint());
        assert_eq!(by_hand.disabled_reason, Some(DisabledReason::Manual));
        assert_eq!(by_hand.disabled_at, Some(LATER));
        let active = applied(&status(EndpointStatus::Active), &ours);
        assert_eq!((active.disabled_reason, active.disabled_at), (None, None));
        let state = active.state;
        assert_eq!(
            (state.consecutive_failures, state.first_failure_at, state.hanging_since),
            (0, None, None)
        );
        assert!(state.is_down, "until a delivery succeeds");
        assert_eq!(state.disabling, ours.state.disabling);
    }

    #[test]
    fn a_new_limit_frees_the_slots_and_the_same_limit_keeps_them() {
        let limit = |limit| EndpointPatch { rate_limit_per_second: Some(limit), ..EndpointPatch::default() };
        let (before, same) = (endpoint(), limit(Some(5)));
        assert_eq!(applied(&same, &before).state, before.state);
        let state = applied(&limit(Some(6)), &before).state;
        assert_eq!(state.rate_limit, Some(RateLimit { per_second: 6, since: LATER }));
        assert_eq!((state.slots_taken_until, state.late_slots_taken_until), (None, None));
        assert_eq!(applied(&limit(None), &before).state.rate_limit, None);
    }

    #[test]
    fn a_change_that_wants_keys_follows_one_that_made_them_and_none_that_replaced_or_deleted_them() {
        let pair = |public_key: &str| {
            Some(SealedKeyPair { private_key: vec![3].into(), public_key: public_key.to_owned() })
        };
        let with = |pair: Option<SealedKeyPair>| Endpoint { ed25519: pair, ..endpoint() };
        let wants = |pair: Option<SealedKeyPair>| EndpointPatch { ed25519: Some(pair), ..Default::default() };
        let (none, first, second) = (with(None), with(pair("first")), with(pair("second")));
        assert!(wants(pair("second")).may_follow(&none, &first), "two callers at once want keys");
        assert!(wants(None).may_follow(&first, &none), "two callers at once want none");
        assert!(!wants(pair("first")).may_follow(&first, &second), "a rotation");
        assert!(!wants(pair("first")).may_follow(&first, &none));
        assert!(!wants(None).may_follow(&first, &second), "a rotation");
        assert!(!wants(None).may_follow(&none, &first));
    }

    #[test]
    fn the_buckets_of_names_that_were_ever_subscribed_stay_known() {
        let events = vec![EventName::from_stored("call.started").into()];
        let patch = EndpointPatch { events: Some(events.clone()), ..EndpointPatch::default() };
        let after = applied(&patch, &endpoint());
        assert_eq!(after.events, events);
        let buckets = ["call.ended", "call.started"].map(|name| EventName::from_stored(name).bucket());
        assert_eq!(after.buckets_ever, buckets.into());
        assert!(patch.touches_route());
        assert!(!EndpointPatch::default().touches_route());
    }

    #[test]
    fn a_previous_secret_that_signs_no_longer_goes_with_any_change() {
        let rotated = |until| Endpoint {
            previous_secret: Some(vec![2].into()),
            previous_secret_until: Some(until),
            ..endpoint()
        };
        let patch = EndpointPatch { description: Some(None), ..EndpointPatch::default() };
        let expired = applied(&patch, &rotated(LATER));
        assert_eq!((expired.previous_secret, expired.previous_secret_until), (None, None));
        let overlapping = rotated(LATER.plus(std::time::Duration::from_secs(1)));
        assert_eq!(applied(&patch, &overlapping).previous_secret, overlapping.previous_secret);
    }
}
