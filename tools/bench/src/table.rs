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

    /// Adds a figure whose target is at least `least`.
    fn at_least(&mut self, figure: &str, value: f64, least: f64, others: &str) {
        self.0.push(Row {
            figure: figure.to_owned(),
            value: short(value),
            target: format!("≥ {least}"),
            met: Some(value >= least),
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
    ceilings(results, &mut table);
    slow(results, &mut table);
    streams(results, &mut table);
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
    table.at_most("api to bare lambda_http", cold.hello_ratio(), 2.0, " x", "");
    let (few, many) = (peers.svix.fanout_1.peak_rss_mb, peers.svix.fanout_10.peak_rss_mb);
    let svix = format!("svix-server under load: {few:.0} to {many:.0} MB");
    table.at_most("api peak memory", cold.api.peak_rss_mb, 24.0, " MB", &svix);
    table.at_most("delivery peak memory", cold.delivery.peak_rss_mb, 24.0, " MB", "");
    table.at_most("api zipped", cold.api_zip_mb, 5.0, " MB", "");
    table.at_most("delivery zipped", cold.delivery_zip_mb, 5.0, " MB", "");
}

fn cpu(results: &Results, peers: &Peers, table: &mut Table) {
    let Some(full_speed) = &results.cpu else { return };
    table.heading("CPU time of a delivery, both functions at full speed, in bare lambda_http invocations");
    for (fan_out, svix) in [(1, peers.svix.fanout_1), (10, peers.svix.fanout_10)] {
        let to_bare = |seconds| peers.svix.to_bare(seconds);
        let others = format!(
            "svix-server {:.1} x on its machine; with its stores {:.1} x",
            to_bare(svix.server),
            to_bare(svix.with_stores())
        );
        for (way, batch) in [(Way::Https, 10), (Way::Https, 100), (Way::HttpsBatch, 10), (Way::Queue, 10)] {
            let Some(cpu) = full_speed.of(way, fan_out, batch) else { continue };
            let name = format!("fan-out {fan_out} by {}, batches of {batch}", way.as_words());
            let ratio = cpu.total() / full_speed.bare_s;
            let parts =
                format!("accepting {:.2} s + delivery {:.2} s; {others}", cpu.accept_s, cpu.delivery_s);
            match (way, fan_out, batch) {
                (Way::Https, 1, 10) => table.at_most(&name, ratio, 10.0, " x", &parts),
                (Way::HttpsBatch, 1, 10) => table.at_most(&name, ratio, 4.5, " x", &parts),
                _ => table.figure(&name, format!("{ratio:.1} x"), &parts),
            }
        }
    }
    let bare = format!("{:.3} s", full_speed.bare_s);
    table.figure("bare lambda_http, 1,000 invocations", bare, "the yardstick, in each round");
    let in_bare = full_speed.fifty_filters_ms / full_speed.bare_s;
    let in_bare = format!("{in_bare:.1} bare invocations; beside fifty endpoints without filters");
    table.at_most("fifty filters, accepting an event", full_speed.fifty_filters_ms, 0.1, " ms", &in_bare);
    table.heading("CPU seconds for 1,000 deliveries, one event at a time and AWS 3 ms away");
    for cpu in results.cpu_paced.iter().flatten() {
        let parts = format!("api {:.2} + delivery {:.2}", cpu.accept_s, cpu.delivery_s);
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
            "queue" | "https_batch_10" => Some(2.60),
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
            let value = format!("{:.1} ms", point.wall_ms);
            let units =
                format!("{:.2} R, {:.2} W, {:.1} ms CPU", point.read_units, point.write_units, point.cpu_ms);
            table.figure(&format!("{}, {}", point.operation, point.size), value, &units);
        }
    }
    for (size, mb) in &growth.api_rss_mb {
        table.figure(&format!("api peak memory, {size}"), format!("{mb:.1} MB"), "");
    }
}

fn ceilings(results: &Results, table: &mut Table) {
    let Some(ceilings) = &results.ceilings else { return };
    table.heading("Ceilings by the limits of DynamoDB's partitions, a second");
    let one_shard = format!("with one shard {}", short(ceilings.project_events_per_s_1_shard));
    table.at_least("events of a project, 16 shards", ceilings.project_events_per_s, 5_000.0, &one_shard);
    table.at_least(
        "events of a project, 32 shards, 50 endpoints of which one matches",
        ceilings.project_events_per_s_50_endpoints,
        10_000.0,
        "",
    );
    table.at_least("deliveries of an endpoint, 16 shards", ceilings.endpoint_deliveries_per_s, 5_000.0, "");
    table.at_most(
        "read units of a page with 16 shards to one with 1",
        ceilings.page_units_16_shards,
        2.0,
        " x",
        "",
    );
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

fn streams(results: &Results, table: &mut Table) {
    let Some(streams) = &results.streams else { return };
    table.heading("Ordered endpoints");
    let receiver =
        format!("deliveries of one stream a second, receiver answers in {:.0} ms", streams.answers_in_ms);
    table.at_least(&format!("{receiver}, AWS 3 ms away"), streams.per_s_at_a_distance, 50.0, "");
    table.figure(&format!("{receiver}, AWS on this machine"), format!("{:.0}", streams.per_s), "");
    let beside = format!(
        "beside {} blocked streams and {} waiting deliveries of one",
        streams.blocked, streams.backlog
    );
    for (situation, others) in [
        ("alone".to_owned(), streams.alone),
        (format!("{beside}, whose jobs are in the queue"), streams.beside_its_jobs),
        (beside, streams.beside_the_backlog),
    ] {
        for (endpoint, wait) in [("ordered", others.ordered), ("not ordered", others.plain)] {
            let longest = format!("longest {:.1} ms", wait.max_ms);
            table.figure(
                &format!("202 to arrival, {endpoint}, {situation}"),
                format!("p50 {:.1} ms", wait.p50_ms),
                &longest,
            );
        }
    }
}

fn trips(results: &Results, peers: &Peers, table: &mut Table) {
    let Some(trips) = &results.trips else { return };
    table.heading(&format!("Round trips in a row, AWS {} ms away", trips.distance_ms));
    let rows = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let ms = |ms: f64| format!("{ms:.1} ms");
    table.at_most("accept, key known", rows(trips.accept_in_a_row), 2.0, "", &ms(trips.accept_ms));
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
        2.0,
        "",
        &ms(trips.accept_fanout_10_ms),
    );
    let before = ms(trips.to_request_ms);
    table.at_most("delivery, before the request leaves", rows(trips.delivery_in_a_row), 2.0, "", &before);
    table.figure(
        "delivery, answer to record",
        trips.after_answer_in_a_row.to_string(),
        &ms(trips.to_record_ms),
    );
    let svix = format!(
        "p99 {}; svix-server on its machine, accept to arrival: p50 {} ms, p99 {} ms",
        ms(trips.arrival_p99_ms),
        peers.svix.end_to_end_p50_ms,
        peers.svix.end_to_end_p99_ms
    );
    table.figure("202 to arrival, all on one machine", format!("p50 {}", ms(trips.arrival_p50_ms)), &svix);
}
