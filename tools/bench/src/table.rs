//! The one table: each figure with its target and with the figures of other products, even where those are lower.

use std::fmt::Write as _;

use crate::cost::Way;
use crate::peers::Peers;
use crate::results::Results;

struct Row {
    figure: String,
    value: String,
    target: String,
    /// `None` where there is no target.
    met: Option<bool>,
    others: String,
}

#[derive(Default)]
struct Table(Vec<Row>);

impl Table {
    fn figure(&mut self, figure: &str, value: String, others: &str) {
        let (figure, others) = (figure.to_owned(), others.to_owned());
        self.0.push(Row { figure, value, target: String::new(), met: None, others });
    }

    /// Adds a figure whose target is at most `most`.
    fn at_most(&mut self, figure: &str, value: f64, most: f64, unit: &str, others: &str) {
        self.0.push(Row {
            figure: figure.to_owned(),
            value: format!("{}{unit}", short(value)),
            target: format!("≤ {most}{unit}"),
            met: Some(value <= most),
            others: others.to_owned(),
        });
    }

    fn heading(&mut self, text: &str) {
        self.figure(text, String::new(), "");
    }
}

fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// The table as text.
#[must_use]
pub(crate) fn draw(results: &Results) -> String {
    let mut table = Table::default();
    let peers = Peers::read();
    cold_start(results, &peers, &mut table);
    cpu(results, &peers, &mut table);
    cost(results, &peers, &mut table);
    growth(results, &mut table);
    slow(results, &mut table);
    trips(results, &peers, &mut table);
    let width = |of: fn(&Row) -> &str| table.0.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (figures, values, targets) =
        (width(|row| &row.figure), width(|row| &row.value), width(|row| &row.target));
    let mut text = format!("\nMeasured on {} cores; prices of {}.\n", results.cores, results.prices_of);
    for row in &table.0 {
        let mark = match row.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let is_heading = row.value.is_empty();
        let line = format!(
            "{}{:figures$}  {:>values$}  {:targets$}  {mark:6}  {}",
            if is_heading { "\n" } else { "  " },
            row.figure,
            row.value,
            row.target,
            row.others,
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn cold_start(results: &Results, peers: &Peers, table: &mut Table) {
    let Some(cold) = &results.cold_start else { return };
    table.heading("Cold start, exec to first answer (CPU, wall; median)");
    for (name, start) in [
        ("api, authenticated GET", cold.api),
        ("delivery, batch of one", cold.delivery),
        ("clients only (the api's)", cold.clients_only),
        ("clients only (delivery's)", cold.clients_only_batch),
        ("bare lambda_http", cold.hello),
    ] {
        let value = format!("{:.1} ms, {:.1} ms", start.cpu_ms, start.wall_ms);
        table.figure(name, value, &format!("peak {:.1} MB", start.peak_rss_mb));
    }
    table.at_most("api to clients only", cold.api_ratio(), 1.3, " x", "");
    table.at_most("delivery to clients only", cold.delivery_ratio(), 1.3, " x", "");
    table.figure("api to bare lambda_http", format!("{:.2} x", cold.hello_ratio()), "");
    let (few, many) = (peers.svix.fanout_1.peak_rss_mb, peers.svix.fanout_10.peak_rss_mb);
    let svix = format!("svix-server under load: {few:.0} to {many:.0} MB");
    table.at_most("api peak memory", cold.api.peak_rss_mb, 24.0, " MB", &svix);
    table.at_most("delivery peak memory", cold.delivery.peak_rss_mb, 24.0, " MB", "");
    table.at_most("api zipped", cold.api_zip_mb, 5.0, " MB", "");
    table.at_most("delivery zipped", cold.delivery_zip_mb, 5.0, " MB", "");
}

fn cpu(results: &Results, peers: &Peers, table: &mut Table) {
    if results.cpu.is_none() {
        return;
    }
    table.heading("CPU seconds for 1,000 deliveries, both functions at full speed");
    for (fan_out, most, svix) in [(1, 0.60, peers.svix.fanout_1), (10, 0.20, peers.svix.fanout_10)] {
        let others = format!("svix-server {:.2}; with its stores {:.2}", svix.server, svix.with_stores());
        for (way, batch) in [(Way::Https, 10), (Way::Https, 100), (Way::Queue, 10)] {
            let Some(cpu) = results.cpu_of(way, fan_out, batch) else { continue };
            let (by, accepting) = match way {
                Way::Https => ("HTTPS", "api"),
                _ => ("the queue", "intake"),
            };
            let name = format!("fan-out {fan_out} by {by}, batches of {batch}");
            let parts = format!("{accepting} {:.2} + delivery {:.2}; {others}", cpu.accept_s, cpu.delivery_s);
            table.at_most(&name, cpu.total(), most, " s", &parts);
        }
    }
    if let Some(floor) = results.cpu_floor_s {
        let name = "bare lambda_http, 1,000 invocations";
        table.figure(name, format!("{floor:.2} s"), "an event takes 1.1 or more");
    }
    table.heading("CPU seconds for 1,000 deliveries, one event at a time and AWS 3 ms away");
    for cpu in results.cpu_paced.iter().flatten() {
        let svix = match cpu.fan_out {
            1 => format!("; svix-server at 100 a second {:.2}", peers.svix.paced.server),
            _ => String::new(),
        };
        let parts = format!("api {:.2} + delivery {:.2}{svix}", cpu.accept_s, cpu.delivery_s);
        table.figure(&format!("fan-out {}", cpu.fan_out), format!("{:.2} s", cpu.total()), &parts);
    }
}

fn cost(results: &Results, peers: &Peers, table: &mut Table) {
    let Some(scenarios) = &results.cost else { return };
    table.heading("Dollars for a million (units for one: writes, reads, SQS requests, invocations)");
    let success = results.scenario("https").map_or(f64::NAN, |https| https.total_per_million);
    for scenario in scenarios {
        let units = &scenario.units;
        let parts = format!(
            "{:.2} W, {:.2} R, {:.2} Q, {:.2} I; logs {:.2}, egress {:.2}, storage {:.2} a month",
            units.write_units,
            units.read_units,
            units.sqs_requests,
            units.invocations,
            scenario.dollars_per_million.logs,
            scenario.dollars_per_million.egress,
            scenario.dollars_per_million.storage,
        );
        let most = match scenario.name {
            "https" => Some(4.25),
            "queue" => Some(2.60),
            "failed_4" => Some((success * 3.0 * 100.0).floor() / 100.0),
            _ => None,
        };
        match most {
            Some(most) => table.at_most(scenario.name, scenario.total_per_million, most, " $", &parts),
            None => table.figure(scenario.name, format!("{:.2} $", scenario.total_per_million), &parts),
        }
    }
    if let Some(idle) = &results.idle_month {
        let parts =
            format!("polling {:.2}, alarms {:.2}, secret {:.2}", idle.polling, idle.alarms, idle.secrets);
        table.figure("an idle month", format!("{:.2} $", idle.total()), &parts);
    }
    for (name, dollars) in &peers.usd_per_million_deliveries {
        table.figure(&format!("others: {name}"), format!("{dollars:.2} $"), "");
    }
}

fn growth(results: &Results, table: &mut Table) {
    let Some(growth) = &results.growth else { return };
    for (title, points) in
        [("Growth: stored deliveries", &growth.stored), ("Growth: endpoints", &growth.endpoints)]
    {
        table.heading(title);
        for point in points {
            let value = point.wall_ms.map_or("400 in 10 s".to_owned(), |ms| format!("{ms:.1} ms"));
            let units =
                format!("{:.1} R, {:.1} W, {:.1} ms CPU", point.read_units, point.write_units, point.cpu_ms);
            table.figure(&format!("{}, {}", point.operation, point.size), value, &units);
        }
    }
    for (size, mb) in &growth.api_rss_mb {
        table.figure(&format!("api peak memory, {size}"), format!("{mb:.1} MB"), "");
    }
}

fn slow(results: &Results, table: &mut Table) {
    let Some(slow) = &results.slow else { return };
    table.heading(&format!("Slow receivers (deadline {} s)", slow.timeout_s));
    for one in &slow.one_hangs {
        let name = format!("batch of {}, one hangs: last other asked after", one.batch);
        let alone = format!(
            "{:.1} ms with none hanging; billed {:.0} ms against {:.0} ms",
            one.last_other_alone_ms, one.billed_ms, one.billed_alone_ms
        );
        table.figure(&name, format!("{:.1} ms", one.last_other_ms), &alone);
    }
    for wave in &slow.waves {
        let name = format!("50 endpoints, {} hang: {} to the others", wave.hanging, wave.deliveries);
        let others = format!(
            "p99 {:.0} ms, last {:.0} ms; {} invocations, billed {:.1} s; at once {} fast, {} slow",
            wave.p99_ms, wave.max_ms, wave.invocations, wave.billed_s, wave.most_fast, wave.most_slow
        );
        table.figure(&name, format!("p50 {:.0} ms", wave.p50_ms), &others);
    }
}

fn trips(results: &Results, peers: &Peers, table: &mut Table) {
    let Some(trips) = &results.trips else { return };
    table.heading(&format!("Round trips in a row, AWS {} ms away", trips.distance_ms));
    let rows = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let ms = |ms: f64| format!("{ms:.1} ms");
    table.at_most("accept, key known", rows(trips.accept_in_a_row), 3.0, "", &ms(trips.accept_ms));
    table.at_most(
        "accept, key new",
        rows(trips.accept_new_key_in_a_row),
        3.0,
        "",
        &ms(trips.accept_new_key_ms),
    );
    table.at_most(
        "accept, fan-out 10",
        rows(trips.accept_fanout_10_in_a_row),
        3.0,
        "",
        &ms(trips.accept_fanout_10_ms),
    );
    let svix = format!(
        "{}; svix-server, accept to arrival on loopback: p50 {} ms",
        ms(trips.to_request_ms),
        peers.svix.end_to_end_p50_ms
    );
    table.at_most("delivery, before the request leaves", rows(trips.delivery_in_a_row), 2.0, "", &svix);
    table.figure(
        "delivery, answer to record",
        trips.after_answer_in_a_row.to_string(),
        &ms(trips.to_record_ms),
    );
}
