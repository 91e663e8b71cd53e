//! `load [EVENTS]` posts 30,000 events, or the given number, for a hundred receivers. Of these 20 fail, 10 are slow
//! and one hangs. Meanwhile a process of each function is killed every few seconds. The program prints its progress,
//! and then one table.

use std::process::ExitCode;
use std::time::Duration;

use echo_lanes::traffic::{self, Tally, Traffic};
use echo_lanes::world::World;

#[tokio::main]
async fn main() -> ExitCode {
    let events = match std::env::args().nth(1).map(|text| text.parse()) {
        None => 30_000,
        Some(Ok(events)) => events,
        Some(Err(_)) => {
            eprintln!("load takes a number of events");
            return ExitCode::from(2);
        }
    };
    let traffic = Traffic { events, callers: 4, concurrency: 4, kill_every: Duration::from_secs(3) };
    match run(&traffic).await {
        Ok(tally) => report(&tally),
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(traffic: &Traffic) -> std::io::Result<Tally> {
    std::fs::create_dir_all(echo_lanes::suite::logs())?;
    let world = World::make().await?;
    traffic::run(&world, traffic).await
}

fn report(tally: &Tally) -> ExitCode {
    let per_second = tally.events as f64 / tally.accepting.as_secs_f64();
    println!("\n{:<34} {:>10}", "load", "");
    for (what, figure) in [
        ("events accepted", tally.events as u64),
        ("of them a second", per_second as u64),
        ("calls refused and sent again", tally.refused_calls),
        ("processes killed", tally.kills),
        ("deliveries that succeeded", tally.succeeded as u64),
        ("deliveries that failed for good", tally.failed as u64),
        ("attempts recorded", tally.attempts),
        ("requests that receivers got", tally.requests),
        ("extra sends", tally.extra_sends),
        ("lost", tally.lost.len() as u64),
        ("seconds", tally.took.as_secs()),
    ] {
        println!("{what:<34} {figure:>10}");
    }
    let share = 882.0 * tally.extra_sends as f64 / tally.events.max(1) as f64;
    println!("extra sends per 882 events: {share:.1} (svix: 31)");
    for lost in tally.lost.iter().take(20) {
        println!("lost: {lost}");
    }
    if tally.lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
