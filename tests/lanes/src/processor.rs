//! How long a process has worked, from `/proc`.

use std::io;
use std::time::Duration;

/// A tick of `/proc/<pid>/stat`: 100 a second on every Linux that has not been built otherwise.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of all threads of a process since it began, of those that have ended too.
///
/// # Errors
/// When there is no such process.
pub fn spent(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name stands in parentheses and may contain anything; `utime` and `stime` are 12th and 13th after it.
    let ticks = stat.rsplit_once(") ").and_then(|(_, fields)| {
        let mut fields = fields.split(' ').skip(11);
        Some(fields.next()?.parse::<u32>().ok()? + fields.next()?.parse::<u32>().ok()?)
    });
    let ticks = ticks.ok_or_else(|| io::Error::other(format!("process {pid} shows no processor time")))?;
    Ok(TICK * ticks)
}
