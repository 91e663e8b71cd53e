//! What the acceptance of an event needs to know of a project's endpoints: their ids, the names that they want, whether
//! they are active and which lane serves them. One small row holds that for all of them (docs/rows.md).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, EndpointStatus, SkipReason};
use crate::event_name::EventName;
use crate::id::EndpointId;
use crate::shards::Shards;
use crate::stream::Order;
use crate::time::Timestamp;

/// All endpoints of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Those of the project.
    pub shards: Shards,
    /// In the order of their ids, which is oldest first.
    pub endpoints: BTreeMap<EndpointId, Route>,
    /// The project is being erased: for everyone else there is no such project any more.
    #[serde(rename = "erased", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_erased: bool,
}

/// One endpoint. The names of the attributes are short, because a row of 4 KB with fifty endpoints costs one read unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    #[serde(rename = "n", with = "serde_dynamo::string_set")]
    names: BTreeSet<EventName>,
    #[serde(rename = "off", default, skip_serializing_if = "std::ops::Not::not")]
    is_off: bool,
    /// Until when its jobs go to the slow lane. It may be out of date: a job in the wrong lane is passed on.
    #[serde(rename = "slow", default, skip_serializing_if = "Option::is_none")]
    slow_until: Option<Timestamp>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

impl Routes {
    /// The routes of a new project.
    #[must_use]
    pub const fn none(shards: Shards) -> Self {
        Self { shards, endpoints: BTreeMap::new(), is_erased: false }
    }

    /// An endpoint alone, as if its project had no other.
    #[must_use]
    pub fn to(endpoint: &Endpoint) -> Self {
        let endpoints = [(endpoint.id, Route::to(endpoint))].into();
        Self { endpoints, ..Self::none(endpoint.shards) }
    }

    /// Whether some endpoint is ordered.
    #[must_use]
    pub fn has_order(&self) -> bool {
        self.endpoints.values().any(|route| route.order.is_some())
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
        }
    }

    /// Why an event of this name makes no delivery here; `None` when it does.
    #[must_use]
    pub fn skips(&self, name: &EventName) -> Option<SkipReason> {
        if !self.names.contains(name) {
            Some(SkipReason::NotSubscribed)
        } else if self.is_off {
            Some(SkipReason::EndpointDisabled)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::EndpointState;
    use crate::id::ProjectId;

    const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    #[test]
    fn an_endpoint_gets_the_events_that_it_names_while_it_is_active() {
        let [wanted, other] = ["call.ended", "call.started"].map(EventName::from_stored);
        let url = "https://example.com".to_owned();
        let (project, id, names) = (ProjectId::new(T0), EndpointId::new(T0), vec![wanted.clone()]);
        let active = Endpoint::new(project, id, Shards::ONE, url, names, vec![1].into(), T0);
        let disabled = Endpoint { status: EndpointStatus::Disabled, ..active.clone() };
        assert_eq!(Route::to(&active).skips(&wanted), None);
        assert_eq!(Route::to(&active).skips(&other), Some(SkipReason::NotSubscribed));
        assert_eq!(Route::to(&disabled).skips(&wanted), Some(SkipReason::EndpointDisabled));
        assert_eq!(Route::to(&disabled).skips(&other), Some(SkipReason::NotSubscribed));
        let until = T0.plus(Duration::from_secs(30));
        let state = EndpointState { slow_until: Some(until), ..EndpointState::default() };
        let slow = Routes::to(&Endpoint { state, ..active.clone() });
        assert!(slow.is_slow(&active.id, T0));
        assert!(!slow.is_slow(&active.id, until));
        assert!(!Routes::to(&active).is_slow(&active.id, T0));
        assert!(!Routes::none(Shards::ONE).is_slow(&active.id, T0));
    }
}
