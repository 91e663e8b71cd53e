//! The paths of the crash-point suite, a file for each family. A path is set up with nothing in its way. Then the suite
//! counts its calls, lets one of them fail, and walks the path.

mod accepting;
mod accounts;
mod dead_letters;
mod endpoints;
pub mod erasure;
mod event_types;
mod first_attempts;
mod health;
mod intake;
mod limited;
mod manual_retry;
mod operational;
mod ordered;
mod portal;
mod replay;
mod sessions;
mod sweep;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::lane::LaneSettings;
use crate::receiver::Behaviour;
use crate::run::{Ending, Run, Sent};
use crate::world::ONE;

#[async_trait]
pub trait Path: fmt::Debug + Send + Sync {
    /// The path's name for `faults --only` and in tables.
    fn name(&self) -> &'static str;

    /// Settings of the functions that differ from the lane's usual ones.
    fn env(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Automatic attempts that a delivery on this path may have.
    fn most_attempts(&self) -> usize {
        4
    }

    /// How the receivers of the world's endpoints answer from the start.
    fn answers(&self) -> Behaviour {
        Behaviour::Answer(200)
    }

    /// Makes the state that the path begins with.
    async fn set_up(&self, run: &mut Run<'_>);

    /// Walks the path. Most set-ups hold messages back, and these paths begin when the mappings start.
    async fn walk(&self, run: &mut Run<'_>) {
        run.lane.start_mappings();
    }

    /// Checks, once everything has come to rest, the conditions of this path that are no general invariants.
    async fn check(&self, _run: &Run<'_>) {}
}

/// Every path, in the order of the table.
pub const ALL: [&dyn Path; 55] = [
    &accounts::SignUp,
    &accounts::CreateProject,
    &accounts::CreateKey,
    &accounts::RevokeKey,
    &event_types::Types,
    &sessions::Refresh,
    &sessions::LogOut,
    &sessions::LogOutEverywhere,
    &sessions::ChangePassword,
    &sessions::ResetPassword,
    &portal::Redeem,
    &erasure::Project,
    &erasure::Account,
    &erasure::Payload,
    &endpoints::Create,
    &endpoints::Change,
    &accepting::One,
    &accepting::Ten,
    &accepting::NewOne,
    &accepting::NewTen,
    &accepting::Slow,
    &accepting::Again,
    &accepting::Filtered,
    &accepting::Leased,
    &accepting::Batch,
    &first_attempts::Succeeds,
    &first_attempts::LargePayload,
    &first_attempts::BeforeItsRow,
    &first_attempts::Fails,
    &first_attempts::TimesOut,
    &first_attempts::AllFail,
    &first_attempts::TenFail,
    &ordered::Accepted,
    &ordered::Delivered,
    &ordered::Retried,
    &health::MovesToSlowLane,
    &health::Probe,
    &limited::Limited,
    &health::AutoDisable,
    &health::Gone,
    &manual_retry::ManualRetry,
    &replay::Replay,
    &endpoints::Rotate,
    &endpoints::Close::Disable,
    &endpoints::Close::Delete,
    &dead_letters::DeadLetter,
    &dead_letters::Parked,
    &intake::Intake,
    &intake::Again,
    &intake::GivenUp,
    &intake::Leased,
    &operational::GivenUpAndDisabled,
    &operational::Recovered,
    &operational::GaveUpInternally,
    &sweep::Sweep,
];

/// # Panics
/// When no path has this name.
#[must_use]
#[expect(clippy::expect_used, reason = "the caller's spelling mistake")]
pub fn named(name: &str) -> &'static dyn Path {
    ALL.into_iter().find(|path| path.name() == name).expect("a path's name")
}

/// The settings of the lane in which a path is walked.
#[must_use]
pub fn settings(path: &dyn Path) -> LaneSettings {
    // A case whose api hangs ends sooner than by the template's timeout.
    LaneSettings { env: path.env(), api_timeout: Duration::from_secs(8), ..LaneSettings::default() }
}

fn small() -> Value {
    json!({ "n": 1 })
}

/// Posts one event and keeps its jobs in their queue.
async fn hold_back(run: &mut Run<'_>, ending: Ending) {
    run.lane.stop_mappings();
    run.post_event(ONE, &small(), ending).await;
}

/// The first event that was accepted.
fn first(run: &Run<'_>) -> Sent {
    let first = run.notes().sent.first().cloned();
    first.unwrap_or(Sent { event_id: String::new(), listed: Vec::new(), ending: Ending::Either })
}

/// The first endpoint, as its owner sees it.
async fn shown_endpoint(run: &Run<'_>) -> Value {
    run.lane.call("GET", &run.endpoint(0, ""), &run.key(), None).await.json()
}
