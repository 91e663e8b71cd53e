//! `make bench` measures the built functions; `make cost` prints the bill for a user's own volumes.
//!
//! In reading order: [`stage`] is a lane for measurements and [`sample`] the event; [`cold_start`], [`cpu`] (with
//! [`full_speed`]), [`cost`] (with [`units`], [`prices`] and [`idle`]), [`growth`], [`ceilings`], [`slow`], [`streams`] and
//! [`trips`] are the measurements; [`results`] keeps their results; [`table`] prints the results and [`pictures`] draws
//! them, beside the numbers of [`peers`]; [`volumes`] is the calculator.

mod ceilings;
mod chart;
mod cold_start;
mod cost;
mod cpu;
mod full_speed;
mod growth;
mod idle;
mod peers;
mod pictures;
mod prices;
mod process;
mod progress;
mod results;
mod sample;
mod size;
mod slow;
mod stage;
mod streams;
mod table;
mod trips;
mod units;
mod volumes;

use std::io;
use std::process::ExitCode;

use crate::idle::Idle;
use crate::prices::Prices;
use crate::progress::Progress;
use crate::results::Results;

const PARTS: [&str; 8] = ["cold-start", "cpu", "cost", "growth", "ceilings", "slow", "streams", "trips"];

#[tokio::main]
async fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let done = match asked.first().map(String::as_str) {
        Some("calculate") => volumes::print(&asked[1..]),
        Some(part) if !PARTS.contains(&part) => Err(io::Error::other(format!(
            "'{part}' is no part: name some of {}, or none for all, or `calculate`",
            PARTS.join(", ")
        ))),
        _ => bench(&asked).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(asked: &[String]) -> io::Result<()> {
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    let progress = Progress::new();
    let prices = Prices::read();
    let mut results = Results {
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        prices_of: format!("{} ({})", prices.date, prices.region),
        ..Results::default()
    };
    if wanted("cold-start") {
        results.cold_start = Some(cold_start::measure(&progress).await?);
    }
    if wanted("cpu") {
        results.cpu = Some(cpu::measure(&progress).await?);
        results.cpu_paced = Some(cpu::paced(&progress).await?);
    }
    if wanted("cost") {
        results.cost = Some(cost::measure(&prices, &progress).await?);
        results.idle_month = Some(Idle::of(&prices));
    }
    if wanted("trips") {
        results.trips = Some(trips::measure(&progress).await?);
    }
    if wanted("slow") {
        results.slow = Some(slow::measure(&progress).await?);
    }
    if wanted("streams") {
        results.streams = Some(streams::measure(&progress).await?);
    }
    if wanted("growth") {
        results.growth = Some(growth::measure(&progress).await?);
    }
    if wanted("ceilings") {
        results.ceilings = Some(ceilings::measure(&progress).await?);
    }
    println!("{}", table::draw(&results));
    results.write()?;
    println!("Written: target/bench.json");
    if results.is_whole() {
        println!("Drawn: docs/measured.json, {}", pictures::draw(&results)?.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn the_baselines_are_built_as_the_functions_are() {
        let settings = |manifest: &str| -> Vec<String> {
            let profile = manifest.split("[profile.release]\n").nth(1).expect("a release profile");
            let lines = profile.lines().take_while(|line| !line.starts_with('['));
            lines.filter(|line| line.contains('=') && !line.starts_with('#')).map(str::to_owned).collect()
        };
        let functions = settings(include_str!("../../../Cargo.toml"));
        assert!(functions.len() > 3);
        assert_eq!(settings(include_str!("../Cargo.toml")), functions);
    }

    #[test]
    fn the_baselines_are_built_from_the_functions_versions() {
        // The registry's packages, each with name, version, source and checksum.
        let locked = |lock: &'static str| -> BTreeSet<[&str; 4]> {
            let lines: Vec<&str> = lock.lines().collect();
            let packages = lines.windows(4).filter(|lines| lines[3].starts_with("checksum = "));
            packages.map(|lines| [lines[0], lines[1], lines[2], lines[3]]).collect()
        };
        let (functions, bench) =
            (locked(include_str!("../../../Cargo.lock")), locked(include_str!("../Cargo.lock")));
        assert!(bench.len() > 100);
        let others: Vec<_> = bench.difference(&functions).map(|package| package[..2].join(", ")).collect();
        assert!(
            others.is_empty(),
            "copy Cargo.lock to tools/bench/, where `cargo check` drops the rest: {others:?}"
        );
    }
}
