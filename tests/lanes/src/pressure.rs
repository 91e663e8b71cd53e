//! How much the machine is wanting for processor time, as Linux counts it: a request to a lane's receiver has one
//! second, and on a machine that others keep busy it can miss that without anyone's fault.

use std::time::Instant;

/// Share of the last ten seconds in which something waited for a processor, 0 to 100; `None` where Linux does not say.
#[must_use]
pub fn lately() -> Option<f64> {
    field("avg10=")
}

/// A span whose share is measured.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    began: Instant,
    micros: Option<f64>,
}

impl Span {
    #[must_use]
    pub fn begin() -> Self {
        Self { began: Instant::now(), micros: field("total=") }
    }

    /// The share of the span so far, 0 to 1. Where Linux does not say, the machine may be a busy one, so it is 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        let (Some(before), Some(now)) = (self.micros, field("total=")) else { return 1.0 };
        (now - before) / self.began.elapsed().as_micros() as f64
    }
}

fn field(name: &str) -> Option<f64> {
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").ok()?;
    let some = pressure.lines().find(|line| line.starts_with("some"))?;
    some.split_whitespace().find_map(|part| part.strip_prefix(name))?.parse().ok()
}
