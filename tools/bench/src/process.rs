//! The CPU time and memory that a running process has used, as the kernel counts them.

use std::path::Path;
use std::time::Duration;

/// CPU time of all of a process's threads so far, in nanosecond steps.
#[must_use]
pub(crate) fn cpu(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos: u64 = threads.filter_map(|thread| on_cpu(&thread.path().join("schedstat"))).sum();
    Duration::from_nanos(nanos)
}

fn on_cpu(schedstat: &Path) -> Option<u64> {
    std::fs::read_to_string(schedstat).ok()?.split(' ').next()?.parse().ok()
}

/// The most resident memory that a process has had so far, in MB of 1,000,000 bytes.
#[must_use]
pub(crate) fn peak_rss_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN);
    kib * 1.024 / 1_000.0
}
