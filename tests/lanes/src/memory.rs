//! A process's memory, from `/proc`.

use std::io;

/// Kibibytes of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub now: u64,
    /// The most since the process began, or since [`forget_peak`].
    pub peak: u64,
}

/// # Errors
/// When there is no such process.
pub fn of(pid: u32) -> io::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    match (field("VmRSS:"), field("VmHWM:")) {
        (Some(now), Some(peak)) => Ok(Memory { now, peak }),
        _ => Err(io::Error::other(format!("process {pid} shows no memory"))),
    }
}

/// Lets the peak begin anew at the present size.
///
/// # Errors
/// When the process may not be touched.
pub fn forget_peak(pid: u32) -> io::Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")
}
