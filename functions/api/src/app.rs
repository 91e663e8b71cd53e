//! The clients, tables, queues and settings that requests need, built once.

use std::sync::Arc;

use aws_config::SdkConfig;
use echo_shared::accept::Sinks;
use echo_shared::id::{AccountId, PortalLinkId, SessionId};
use echo_shared::queue::{self, Queue};
use echo_shared::recent::Recent;
use echo_shared::sealing::Keyring;
use echo_shared::store::{self, Budgets, Registry, Store};

use crate::auth::grants::GrantCache;
use crate::auth::portals::PortalGrant;
use crate::auth::remembered;
use crate::auth::secrets::RootSecret;
use crate::config::{Config, Settings};

pub type AppState = Arc<App>;

#[derive(Debug)]
pub struct App {
    pub store: Store,
    pub registry: Registry,
    pub budgets: Budgets,
    /// First attempts of endpoints that answer promptly.
    pub first_attempts: Queue,
    /// A replay's steps, beside the waiting retries.
    pub retries: Queue,
    /// All jobs for slow endpoints.
    pub slow_endpoints: Queue,
    pub secrets: RootSecret,
    pub keys: Keyring,
    pub grants: GrantCache,
    /// Sessions that lived when they were last looked up.
    pub sessions: Recent<(AccountId, SessionId), ()>,
    /// Sessions of portal links, likewise.
    pub portals: Recent<PortalLinkId, PortalGrant>,
    pub settings: Settings,
}

impl App {
    #[must_use]
    pub fn new(config: Config, aws: &SdkConfig) -> Self {
        let dynamodb = store::client(aws);
        let sqs = queue::client(aws);
        Self {
            store: Store::new(dynamodb.clone(), config.tables),
            registry: Registry::new(dynamodb.clone(), config.registry_tables),
            budgets: Budgets::new(dynamodb, config.budgets_table, config.settings.limits),
            first_attempts: Queue::new(sqs.clone(), config.first_attempts_queue_url),
            retries: Queue::new(sqs.clone(), config.retries_queue_url),
            slow_endpoints: Queue::new(sqs, config.slow_endpoints_queue_url),
            secrets: RootSecret::new(aws, config.root_secret_arn),
            keys: Keyring::new(aws, config.sealing_keys_arn),
            grants: GrantCache::default(),
            sessions: remembered::memory(),
            portals: remembered::memory(),
            settings: config.settings,
        }
    }

    /// Where accepted events go.
    #[must_use]
    pub const fn sinks(&self) -> Sinks<'_> {
        Sinks {
            store: &self.store,
            first_attempts: &self.first_attempts,
            slow_endpoints: &self.slow_endpoints,
            request_timeout: self.settings.request_timeout,
        }
    }
}
