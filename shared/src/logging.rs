//! The form of both functions' logs.
//!
//! One JSON object a line. Its `span` holds the invocation's id and the ids concerned. Lines about events from the
//! intake queue carry these ids themselves.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Writes one JSON object a line. `levels` is the value of `RUST_LOG`, such as `info,aws_config=debug`; without it the level
/// is `info`.
pub fn init(levels: Option<String>) {
    let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
    // Not `EnvFilter`: its regular expressions are 0.2 MB of each zip.
    let levels = levels.and_then(|levels| levels.parse::<Targets>().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(Level::INFO));
    tracing_subscriber::registry().with(lines).with(levels).init();
}

/// Logs why a function does not start. Lambda logs that too, but not as JSON.
pub fn refused(error: &impl std::fmt::Display) {
    tracing::error!(%error, "refusing to start");
}
