//! Draws the table as charts, in `docs/`.

use std::io;

use crate::chart::{Bar, Chart};
use crate::cost::{Scenario, Way};
use crate::peers::Peers;
use crate::results::{Results, root};

const OURS: usize = 0;
const THEIRS: usize = 1;

/// Draws the results.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn draw(results: &Results) -> io::Result<Vec<String>> {
    let peers = Peers::read();
    let charts = [
        ("cold-start", cold_start(results)),
        ("cpu", cpu(results, &peers)),
        ("cost", cost(results)),
        ("price", price(results, &peers)),
        ("growth", growth(results)),
        ("slow", slow(results)),
    ];
    let mut drawn = Vec::new();
    for (name, chart) in charts {
        let Some(mut chart) = chart else { continue };
        chart.note = format!("{} {} cores.", chart.note, results.cores).trim().to_owned();
        let path = format!("docs/bench-{name}.svg");
        std::fs::write(root().join(&path), chart.svg())?;
        drawn.push(path);
    }
    Ok(drawn)
}

fn cold_start(results: &Results) -> Option<Chart> {
    let cold = results.cold_start.as_ref()?;
    let bars = [
        ("api", OURS, cold.api),
        ("only the api's clients", THEIRS, cold.clients_only),
        ("delivery", OURS, cold.delivery),
        ("only delivery's clients", THEIRS, cold.clients_only_batch),
        ("bare lambda_http", THEIRS, cold.hello),
    ];
    Some(Chart {
        title: "Cold start: CPU from exec to the first answer".to_owned(),
        note: format!("Median of {}; the wall time stands beside it.", cold.runs),
        bars: bars
            .map(|(name, colour, start)| {
                Bar::one(name, colour, start.cpu_ms, format!("{:.1} ms ({:.1})", start.cpu_ms, start.wall_ms))
            })
            .to_vec(),
        ..Chart::default()
    })
}

fn cpu(results: &Results, peers: &Peers) -> Option<Chart> {
    let full_speed = results.cpu.as_ref()?;
    let ours = |seconds: f64| seconds / full_speed.bare_s;
    let theirs = |seconds: f64| peers.svix.to_bare(seconds);
    let mut bars = Vec::new();
    for (fan_out, svix) in [(1, peers.svix.fanout_1), (10, peers.svix.fanout_10)] {
        for way in [Way::Https, Way::HttpsBatch, Way::Queue] {
            let Some(cpu) = full_speed.of(way, fan_out, 10) else { continue };
            bars.push(Bar {
                label: format!("Echo by {}, fan-out {fan_out}", way.as_words()),
                parts: vec![(OURS, ours(cpu.accept_s)), (4, ours(cpu.delivery_s))],
                value: format!("{:.1} x", ours(cpu.total())),
            });
        }
        bars.push(Bar {
            label: format!("svix-server, fan-out {fan_out}"),
            parts: vec![(THEIRS, theirs(svix.server)), (2, theirs(svix.postgres)), (5, theirs(svix.redis))],
            value: format!("{:.1} x ({:.1})", theirs(svix.with_stores()), theirs(svix.server)),
        });
    }
    Some(Chart {
        title: "CPU time of a delivery, in invocations of a bare function".to_owned(),
        note: "Each beside the bare function of its own machine and hour. AWS runs Echo's stores; you run svix's."
            .to_owned(),
        bars,
        legend: vec![
            (OURS, "api or intake"),
            (4, "delivery"),
            (THEIRS, "svix-server"),
            (2, "PostgreSQL"),
            (5, "Redis"),
        ],
        ..Chart::default()
    })
}

fn cost(results: &Results) -> Option<Chart> {
    let scenarios = results.cost.as_ref()?;
    let bar = |scenario: &Scenario| {
        let dollars = &scenario.dollars_per_million;
        Bar {
            label: scenario.name.replace('_', " "),
            parts: vec![
                (1, dollars.api_gateway),
                (0, dollars.writes),
                (4, dollars.reads),
                (2, dollars.queues),
                (3, dollars.invocations),
                (5, dollars.duration),
            ],
            value: format!("${:.2}", scenario.total_per_million),
        }
    };
    Some(Chart {
        title: "Dollars for a million events (or pages, or deliveries read)".to_owned(),
        note: format!("Metered, at prices of {}; without logs, egress and storage.", results.prices_of),
        bars: scenarios.iter().filter(|scenario| scenario.name != "https_fanout_10").map(bar).collect(),
        legend: vec![
            (1, "API Gateway"),
            (0, "writes"),
            (4, "reads"),
            (2, "queues"),
            (3, "invocations"),
            (5, "duration"),
        ],
        ..Chart::default()
    })
}

fn price(results: &Results, peers: &Peers) -> Option<Chart> {
    let ours = results.scenario("https")?.total_per_million;
    let mut bars = vec![Bar::one("Echo Webhooks", OURS, ours, format!("${ours:.2}"))];
    for (name, dollars) in &peers.usd_per_million_deliveries {
        bars.push(Bar::one(name, THEIRS, *dollars, format!("${dollars:.2}")));
    }
    bars.sort_by(|a, b| a.parts[0].1.total_cmp(&b.parts[0].1));
    Some(Chart {
        title: "A million deliveries a month".to_owned(),
        note: "The two cheaper ones keep no attempt log and sign nothing, or with a key of their own."
            .to_owned(),
        bars,
        ..Chart::default()
    })
}

fn growth(results: &Results) -> Option<Chart> {
    let growth = results.growth.as_ref()?;
    let shown = ["first page", "next page", "rare: failed", "rare: pending", "one delivery", "accept"];
    let points = growth.stored.iter().filter(|point| shown.contains(&point.operation));
    let mut bars: Vec<(String, Bar)> = points
        .map(|point| {
            let label = format!("{}, {}", point.operation, thousands(point.size));
            let parts = vec![(OURS, point.read_units), (2, point.write_units)];
            let value = format!("{:.1}", point.read_units + point.write_units);
            (point.operation.to_owned(), Bar { label, parts, value })
        })
        .collect();
    bars.sort_by_key(|(operation, _)| shown.iter().position(|name| name == operation));
    Some(Chart {
        title: "Growth: units by deliveries stored".to_owned(),
        note: "One endpoint with 100, 10,000 and 1,000,000 deliveries.".to_owned(),
        bars: bars.into_iter().map(|(_, bar)| bar).collect(),
        legend: vec![(OURS, "read units"), (2, "write units")],
        ..Chart::default()
    })
}

fn slow(results: &Results) -> Option<Chart> {
    let slow = results.slow.as_ref()?;
    let mut bars = Vec::new();
    for one in &slow.one_hangs {
        for (what, colour, ms) in
            [("none hangs", THEIRS, one.last_other_alone_ms), ("one hangs", OURS, one.last_other_ms)]
        {
            bars.push(Bar::one(format!("batch of {}, {what}", one.batch), colour, ms, format!("{ms:.0} ms")));
        }
    }
    for wave in &slow.waves {
        let colour = if wave.hanging == 0 { THEIRS } else { OURS };
        let label = format!("50 endpoints, {} hang, p50", wave.hanging);
        bars.push(Bar::one(label, colour, wave.p50_ms, format!("{:.0} ms", wave.p50_ms)));
    }
    Some(Chart {
        title: "Beside receivers that hang: the wait of the others".to_owned(),
        note: format!("A hanging attempt lasts {} s here. Batches: to the last request.", slow.timeout_s),
        bars,
        ..Chart::default()
    })
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([100, 10_000, 1_000_000].map(thousands), ["100", "10,000", "1,000,000"]);
    }
}
