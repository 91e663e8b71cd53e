//! What the acceptance of an event needs to know of a project's endpoints: their ids, the names that they want, their
//! filters, whether they are active and which lane serves them. One small row holds that for all of them (docs/rows.md),
//! except for the filters: it holds their hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, EndpointStatus, SkipReason};
use crate::event_name::EventName;
use crate::filter::{Document, Filter, FilterHash, FilterText};
use crate::id::{AccountId, EndpointId};
use crate::shards::Shards;
use crate::stream::Order;
use crate::subscription::Subscription;
use crate::time::Timestamp;

/// All endpoints of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Those of the project.
    pub shards: Shards,
    /// In the order of their ids, which is oldest first.
    pub endpoints: BTreeMap<EndpointId, Route>,
    /// The account whose project it is, and whose event types hold here. An event from the intake queue names its
    /// project alone.
    #[serde(rename = "account", default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// The project is being erased: for everyone else there is no such project any more.
    #[serde(rename = "erased", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_erased: bool,
}

/// One endpoint. The names of the attributes are short, because a row of 4 KB with fifty endpoints costs one read unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    #[serde(rename = "n", with = "serde_dynamo::string_set")]
    names: BTreeSet<Subscription>,
    #[serde(rename = "off", default, skip_serializing_if = "std::ops::Not::not")]
    is_off: bool,
    /// Until when its jobs go to the slow lane. It may be out of date: a job in the wrong lane is passed on.
    #[serde(rename = "slow", default, skip_serializing_if = "Option::is_none")]
    slow_until: Option<Timestamp>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    filter: Option<FilterHash>,
    /// The filter itself. The store gives no routes that lack one.
    #[serde(skip)]
    compiled: Option<Arc<Filter>>,
}

impl Routes {
    /// No endpoints.
    #[must_use]
    pub const fn none(shards: Shards) -> Self {
        Self { shards, endpoints: BTreeMap::new(), account_id: None, is_erased: false }
    }

    /// An endpoint alone, as if its project had no other.
    #[must_use]
    pub fn to(endpoint: &Endpoint) -> Self {
        let endpoints = [(endpoint.id, Route::to(endpoint))].into();
        Self { endpoints, ..Self::none(endpoint.shards) }
    }

    /// The routes but one.
    #[must_use]
    pub fn without(mut self, id: &EndpointId) -> Self {
        self.endpoints.remove(id);
        self
    }

    /// Whether an active endpoint is subscribed to this name. Its filter does not matter.
    #[must_use]
    pub fn has_subscriber(&self, name: &EventName) -> bool {
        let wants = |route: &Route| route.names.iter().any(|subscription| subscription.covers(name));
        self.endpoints.values().any(|route| !route.is_off && wants(route))
    }

    /// Whether some endpoint is ordered.
    #[must_use]
    pub fn has_order(&self) -> bool {
        self.endpoints.values().any(|route| route.order.is_some())
    }

    /// The active endpoints whose filters are not there yet, with the hashes of these.
    #[must_use]
    pub fn lacking(&self) -> Vec<(EndpointId, FilterHash)> {
        let lacking = self.endpoints.iter().filter(|(_, route)| !route.is_off && route.compiled.is_none());
        lacking.filter_map(|(id, route)| Some((*id, route.filter?))).collect()
    }

    /// Adds the filters that are still lacking, as far as `find` has them.
    pub fn add_filters(&mut self, find: impl Fn(&FilterHash) -> Option<Arc<Filter>>) {
        for route in self.endpoints.values_mut().filter(|route| route.compiled.is_none()) {
            route.compiled = route.filter.as_ref().and_then(&find);
        }
    }

    /// Whether the jobs of an endpoint go to the slow lane.
    #[must_use]
    pub fn is_slow(&self, id: &EndpointId, now: Timestamp) -> bool {
        self.endpoints.get(id).is_some_and(|route| route.slow_until.is_some_and(|until| now < until))
    }
}

impl Route {
    #[must_use]
    pub fn to(endpoint: &Endpoint) -> Self {
        Self {
            names: endpoint.events.iter().cloned().collect(),
            is_off: endpoint.status == EndpointStatus::Disabled,
            slow_until: endpoint.state.slow_until,
            order: endpoint.ordered,
            filter: endpoint.filter.as_ref().map(FilterText::hash),
            compiled: None,
        }
    }

    /// The bucket of the delivery that an event of this name makes here.
    ///
    /// # Errors
    /// The reason why it makes none.
    pub fn bucket_for(&self, name: &EventName, envelope: &Document<'_>) -> Result<u8, SkipReason> {
        let bucket = if self.names.contains(name.as_str()) {
            name.bucket()
        } else if self.names.iter().any(|subscription| subscription.covers(name)) {
            EventName::of_wildcards().bucket()
        } else {
            return Err(SkipReason::NotSubscribed);
        };
        if self.is_off {
            Err(SkipReason::EndpointDisabled)
        } else if self.compiled.as_ref().is_some_and(|filter| !filter.matches(envelope)) {
            Err(SkipReason::Filtered)
        } else {
            Ok(bucket)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::EndpointState;
    use crate::event_name::EventNames;
    use crate::id::ProjectId;

    const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn skips(route: &Route, name: &EventName) -> Option<SkipReason> {
        route.bucket_for(name, &Document::new(b"{}")).err()
    }

    #[test]
    fn an_endpoint_gets_the_events_that_it_names_while_it_is_active() {
        let [wanted, other] = ["call.ended", "call.started"].map(EventName::from_stored);
        let url = "https://example.com".to_owned();
        let (project, id, names) = (ProjectId::new(T0), EndpointId::new(T0), vec![wanted.clone().into()]);
        let active = Endpoint::new(project, id, Shards::ONE, url, names, vec![1].into(), T0);
        let disabled = Endpoint { status: EndpointStatus::Disabled, ..active.clone() };
        assert_eq!(skips(&Route::to(&active), &wanted), None);
        assert_eq!(skips(&Route::to(&active), &other), Some(SkipReason::NotSubscribed));
        assert_eq!(skips(&Route::to(&disabled), &wanted), Some(SkipReason::EndpointDisabled));
        assert_eq!(skips(&Route::to(&disabled), &other), Some(SkipReason::NotSubscribed));
        let until = T0.plus(Duration::from_secs(30));
        let state = EndpointState { slow_until: Some(until), ..EndpointState::default() };
        let slow = Routes::to(&Endpoint { state, ..active.clone() });
        assert!(slow.is_slow(&active.id, T0));
        assert!(!slow.is_slow(&active.id, until));
        assert!(!Routes::to(&active).is_slow(&active.id, T0));
        assert!(!Routes::none(Shards::ONE).is_slow(&active.id, T0));
    }

    #[test]
    fn a_filter_is_lacking_until_it_is_added_and_then_decides() {
        let name = EventName::from_stored("call.ended");
        let url = "https://example.com".to_owned();
        let text = r#"{"customer_id": ["a"]}"#;
        let text = FilterText::new(serde_json::from_str(text).expect("JSON")).expect("a pattern");
        let (project, id) = (ProjectId::new(T0), EndpointId::new(T0));
        let filtered = Endpoint {
            filter: Some(text.clone()),
            ..Endpoint::new(project, id, Shards::ONE, url, vec![name.clone().into()], vec![1].into(), T0)
        };
        let mut routes = Routes::to(&filtered);
        assert_eq!(routes.lacking(), [(filtered.id, text.hash())]);
        let off = Endpoint { status: EndpointStatus::Disabled, ..filtered.clone() };
        assert_eq!(Routes::to(&off).lacking(), [], "nothing goes to it");
        let filter = Arc::new(Filter::compile(&text).expect("a pattern"));
        routes.add_filters(|_| None);
        routes.add_filters(|hash| (*hash == filter.hash()).then(|| Arc::clone(&filter)));
        assert_eq!(routes.lacking(), []);
        let skips = |envelope: &str| {
            routes.endpoints[&filtered.id].bucket_for(&name, &Document::new(envelope.as_bytes())).err()
        };
        assert_eq!(skips(r#"{"customer_id": "a"}"#), None);
        assert_eq!(skips(r#"{"customer_id": "b"}"#), Some(SkipReason::Filtered));
    }

    #[test]
    fn the_deliveries_of_a_wildcard_share_a_bucket_and_a_name_of_its_own_keeps_its_own() {
        let names = EventNames::parse("call.ended").expect("names");
        let subscriptions =
            ["call.*", "call.ended"].map(|text| Subscription::parse(text, &names).expect(text));
        let url = "https://example.com".to_owned();
        let (project, id, names) = (ProjectId::new(T0), EndpointId::new(T0), subscriptions.to_vec());
        let endpoint = Endpoint::new(project, id, Shards::ONE, url, names, vec![1].into(), T0);
        let bucket = |name: &str| {
            Route::to(&endpoint).bucket_for(&EventName::from_stored(name), &Document::new(b"{}"))
        };
        let of_wildcards = EventName::of_wildcards().bucket();
        assert_eq!(bucket("call.ended"), Ok(EventName::from_stored("call.ended").bucket()));
        assert_eq!([bucket("call.started"), bucket("call.x")], [Ok(of_wildcards), Ok(of_wildcards)]);
        assert_eq!(bucket("order.paid"), Err(SkipReason::NotSubscribed));
        assert_eq!(endpoint.bucket_of(&EventName::from_stored("order.paid")), of_wildcards);
        assert!(endpoint.buckets_ever.contains(&of_wildcards) && endpoint.buckets_ever.len() == 2);
    }
}
