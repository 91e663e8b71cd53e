//! A bill for a user's own volumes, from the units that the last complete run measured.

use std::io;

use echo_lanes::clock::setting;
use serde::Deserialize;

use crate::idle::Idle;
use crate::prices::Prices;
use crate::results::root;
use crate::units::Units;

/// The names of the volumes.
const NAMES: [&str; 6] = ["EVENTS", "FANOUT", "FAILED_SHARE", "BATCH", "PAGES", "RETENTION_DAYS"];

/// The metrics that get a value when there is traffic: accepted, delivered, failed and retried, and two of times.
const METRICS: f64 = 6.0;

/// The volumes of a month, each given as an argument `NAME=value` or as an environment variable.
#[derive(Debug, Clone, Copy)]
struct Volumes {
    events: f64,
    /// Endpoints that are subscribed to an event, on average.
    fanout: f64,
    /// The share of deliveries whose four attempts all fail, from 0 to 1.
    failed_share: f64,
    /// Messages in a batch, on average: near 1 at a few events a second, 10 under load.
    batch: f64,
    /// Pages of the delivery log that callers read.
    pages: f64,
    retention_days: f64,
}

#[derive(Deserialize)]
struct Measured {
    cost: Vec<Measure>,
}

#[derive(Deserialize)]
struct Measure {
    name: String,
    units: Units,
}

/// # Errors
/// When an argument is not `NAME=value` with a known name: a misspelt volume would be left out of the bill without a word.
fn check(given: &[String]) -> io::Result<()> {
    let unknown = given.iter().find(|arg| !NAMES.contains(&arg.split_once('=').map_or("", |(name, _)| name)));
    unknown.map_or(Ok(()), |arg| {
        Err(io::Error::other(format!("'{arg}' is no volume: name some of {}", NAMES.join("=…, ") + "=…")))
    })
}

fn number(given: &[String], name: &str, default: f64, least: f64, most: f64) -> io::Result<f64> {
    let mut args = given.iter().filter_map(|arg| arg.split_once('='));
    let arg = args.find(|(each, _)| *each == name).map(|(_, value)| value.to_owned());
    let Some(text) = arg.or_else(|| setting(name)) else { return Ok(default) };
    let number = text.replace('_', "").parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        io::Error::other(format!("{name} is '{text}': must be a number from {least} to {most}"))
    })
}

impl Volumes {
    fn read(given: &[String]) -> io::Result<Self> {
        check(given)?;
        let number = |name, default, least, most| number(given, name, default, least, most);
        Ok(Self {
            events: number("EVENTS", 1e6, 0.0, 1e12)?,
            fanout: number("FANOUT", 1.0, 0.0, 1_000.0)?,
            failed_share: number("FAILED_SHARE", 0.01, 0.0, 1.0)?,
            batch: number("BATCH", 10.0, 1.0, 10.0)?,
            pages: number("PAGES", 10_000.0, 0.0, 1e12)?,
            retention_days: number("RETENTION_DAYS", 30.0, 1.0, 3_650.0)?,
        })
    }

    /// A month's units. Values for fan-out and batch size lie on the lines through the two measured points. A batch's
    /// messages share its fixed cost.
    fn units(&self, measured: &impl Fn(&str) -> io::Result<Units>) -> io::Result<Units> {
        let (one, ten) = (measured("https")?, measured("https_fanout_10")?);
        let (alone, failed) = (measured("https_batch_1")?, measured("failed_4")?);
        let each = |from: Units, to: Units, share: f64| from * (1.0 - share) + to * share;
        let event = each(one, ten, (self.fanout - 1.0) / 9.0);
        let per_message = (1.0 / self.batch - 0.1) / 0.9;
        let mut month = event + (alone + one * -1.0) * (per_message * self.fanout);
        month += (failed + one * -1.0) * (self.failed_share * self.fanout);
        month = month * self.events;
        month += measured("read_page")? * self.pages;
        month.stored_bytes *= self.retention_days / 30.0;
        Ok(month)
    }
}

/// # Errors
/// When a volume is not allowed, or no measurement exists yet.
pub(crate) fn print(given: &[String]) -> io::Result<()> {
    let volumes = Volumes::read(given)?;
    let path = root().join("docs/measured.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| io::Error::other(format!("docs/measured.json: {error}; `make bench` writes it")))?;
    let measured: Measured = serde_json::from_str(&text)?;
    let find = |name: &str| {
        let found = measured.cost.iter().find(|measure| measure.name == name);
        found.map(|measure| measure.units).ok_or_else(|| io::Error::other(format!("{name} was not measured")))
    };
    let prices = Prices::read();
    let dollars = volumes.units(&find)?.dollars(&prices);
    let idle = Idle::of(&prices);
    println!(
        "A month of {} events: FANOUT={} FAILED_SHARE={} BATCH={} PAGES={} RETENTION_DAYS={}, at prices of {} in {}\n",
        volumes.events,
        volumes.fanout,
        volumes.failed_share,
        volumes.batch,
        volumes.pages,
        volumes.retention_days,
        prices.date,
        prices.region
    );
    let metrics = if volumes.events > 0.0 { METRICS * prices.per_month.metric } else { 0.0 };
    let lines = [
        ("API Gateway", dollars.api_gateway),
        ("table writes", dollars.writes),
        ("table reads", dollars.reads),
        ("queues", dollars.queues),
        ("invocations", dollars.invocations),
        ("their duration", dollars.duration),
        ("alarms and secret", idle.alarms + idle.secrets),
        ("polling of idle queues", idle.polling),
        ("logs, taken in", dollars.logs),
        ("metrics, traffic each hour", metrics),
        ("egress to receivers", dollars.egress),
        ("storage, once it is full", dollars.storage),
    ];
    let total: f64 = lines.iter().map(|(_, dollars)| dollars).sum();
    println!("  {:26} {total:12.2} $\n", "together");
    for (name, dollars) in lines {
        println!("  {name:26} {dollars:12.2} $");
    }
    println!(
        "\nFree tiers are left out: they make small volumes cheaper. Busy queues are polled less than idle ones."
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_volume_is_refused() {
        let read = |args: &[&str]| {
            let given: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            Volumes::read(&given).map(|volumes| (volumes.events, volumes.fanout))
        };
        assert_eq!(read(&["EVENTS=5_000_000", "FANOUT=2"]).expect("known names"), (5e6, 2.0));
        for bad in ["EVENT=5", "EVENTS", "events=5", "FANOUT=many", "FANOUT=-1"] {
            assert!(read(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn measured_volumes_come_out_as_measured() {
        let units = |writes: f64| Units { write_units: writes, stored_bytes: 1.0, ..Units::default() };
        let measured = |name: &str| {
            Ok(units(match name {
                "https" => 3.0,
                "https_fanout_10" => 21.0,
                "https_batch_1" => 4.0,
                "failed_4" => 10.0,
                _ => 0.0,
            }))
        };
        let volumes = Volumes {
            events: 1.0,
            fanout: 1.0,
            failed_share: 0.0,
            batch: 10.0,
            pages: 0.0,
            retention_days: 30.0,
        };
        let writes = |volumes: Volumes| volumes.units(&measured).expect("all are measured").write_units;
        assert!((writes(volumes) - 3.0).abs() < 1e-9);
        assert!((writes(Volumes { fanout: 10.0, ..volumes }) - 21.0).abs() < 1e-9);
        assert!((writes(Volumes { batch: 1.0, ..volumes }) - 4.0).abs() < 1e-9);
        assert!((writes(Volumes { failed_share: 1.0, ..volumes }) - 10.0).abs() < 1e-9);
        assert!((writes(Volumes { events: 2.0, ..volumes }) - 6.0).abs() < 1e-9);
    }
}
