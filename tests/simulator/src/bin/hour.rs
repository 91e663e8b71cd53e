//! An hour with ten times the usual load: 2,000 events a second instead of 200, with the template's defaults and AWS's
//! limits. It prints the waits and the bill, and draws `docs/hour.svg`.
//!
//! The pollers begin with five invocations each and grow by 300 a minute, both functions share the account's 1,000
//! concurrent invocations, and SQS serves quiet projects first. The world does not count table units: the busiest project
//! posts 500 events a second, the most that a partition of deliveries takes (docs/operations.md).

use std::fmt::Write as _;
use std::path::Path;

use echo_shared::decision::Lane;
use echo_simulator::pollers::Ramp;
use echo_simulator::world::{Receiver, Row, Settings, World};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const BEFORE: i64 = 30 * MINUTE;
const PEAK: i64 = 60 * MINUTE;
const AFTER: i64 = 90 * MINUTE;
const END: i64 = BEFORE + PEAK + AFTER;

/// How much more the peak brings.
const TIMES: i64 = 10;

/// An event by HTTPS with its delivery, and each further attempt, in dollars a million (docs/cost.md).
const EVENT: f64 = 4.08;
const ATTEMPT: f64 = (11.0 - 4.08) / 3.0;

/// An api invocation's length, for the concurrency that the api takes from the account.
const API_MS: i64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prompt,
    Slow,
    Failing,
    Hanging,
}

/// An endpoint, each of a project of its own, and its usual time between two events.
struct Plan {
    kind: Kind,
    receiver: Receiver,
    every_ms: i64,
}

fn plans() -> Vec<Plan> {
    let plan = |kind, receiver, every_ms| Plan { kind, receiver, every_ms };
    let prompt = |ms| Receiver::Healthy { ms };
    let mut plans = vec![plan(Kind::Prompt, prompt(100), 20)];
    plans.extend((0..6).map(|_| plan(Kind::Prompt, prompt(100), 100)));
    plans.push(plan(Kind::Prompt, Receiver::Flaky { once_in: 20, ms: 100 }, 100));
    plans.push(plan(Kind::Slow, prompt(3_000), 100));
    plans.push(plan(Kind::Failing, Receiver::Failing { ms: 100 }, 100));
    plans.push(plan(Kind::Hanging, Receiver::Hanging, 100));
    plans.extend((0..45).map(|_| plan(Kind::Prompt, prompt(200), 1_000)));
    plans.extend((0..3).map(|_| plan(Kind::Slow, prompt(3_000), 1_000)));
    plans.extend((0..2).map(|_| plan(Kind::Hanging, Receiver::Hanging, 1_000)));
    plans
}

/// The state of the lanes at the end of a minute.
#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    running: [usize; 3],
    visible: [u64; 3],
    hidden: [u64; 3],
}

fn simulate(plans: &[Plan], ramp: Ramp) -> (World, Vec<Minute>) {
    let settings = Settings { ramp, ..Settings::template_defaults() };
    let mut world = World::new(1, settings, plans.iter().map(|plan| plan.receiver).collect());
    let mut minutes = Vec::new();
    for (begin, length, times) in [(0, BEFORE, 1), (BEFORE, PEAK, TIMES), (BEFORE + PEAK, AFTER, 1)] {
        for (endpoint, plan) in (0_u16..).zip(plans) {
            let every = plan.every_ms / times;
            world.produce(endpoint, every, length / every);
        }
        let events_per_s: i64 = plans.iter().map(|plan| SECOND * times / plan.every_ms).sum();
        world.broken.taken_by_others = usize::try_from(events_per_s * API_MS / SECOND).unwrap_or(0);
        for minute in 1..=length / MINUTE {
            world.run_out(begin + minute * MINUTE);
            minutes.push(Minute {
                running: Lane::ALL.map(|lane| world.running(lane)),
                visible: Lane::ALL.map(|lane| world.depth(lane).0),
                hidden: Lane::ALL.map(|lane| world.depth(lane).1),
            });
        }
    }
    (world, minutes)
}

/// The waits of some rows for their first attempt, shortest first. What still waits at the end waits until then.
fn waits<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<i64> {
    let mut waits: Vec<i64> = rows.map(|row| row.first_sent_at.unwrap_or(END) - row.accepted_at).collect();
    waits.sort_unstable();
    waits
}

fn at(sorted: &[i64], thousandths: usize) -> i64 {
    sorted.get((sorted.len().saturating_sub(1)) * thousandths / 1_000).copied().unwrap_or(0)
}

fn seconds(ms: i64) -> String {
    format!("{:.1} s", f64::from(i32::try_from(ms).unwrap_or(i32::MAX)) / 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "millions")]
fn report(plans: &[Plan], world: &World, minutes: &[Minute]) {
    let of = |kind: Kind, from: i64, to: i64| {
        let is_of = move |row: &&Row| {
            plans[usize::from(row.endpoint)].kind == kind && (from..to).contains(&row.accepted_at)
        };
        waits(world.rows.iter().filter(is_of))
    };
    println!("waits for the first attempt: p50, p99, p99.9, longest");
    for (phase, from, to) in [
        ("usual", MINUTE, BEFORE),
        ("first minute", BEFORE, BEFORE + MINUTE),
        ("rest of the hour", BEFORE + MINUTE, BEFORE + PEAK),
        ("afterwards", BEFORE + PEAK, END - 20 * MINUTE),
    ] {
        for kind in [Kind::Prompt, Kind::Slow, Kind::Failing, Kind::Hanging] {
            let waits = of(kind, from, to);
            let [p50, p99, p999, longest] = [500, 990, 999, 1_000].map(|share| seconds(at(&waits, share)));
            println!("  {phase}, {kind:?}: {p50}, {p99}, {p999}, {longest} ({} deliveries)", waits.len());
        }
    }
    for (phase, from, to) in
        [("usual", 1, BEFORE), ("peak", BEFORE, BEFORE + PEAK), ("after", BEFORE + PEAK, END)]
    {
        let (from, to) =
            (usize::try_from(from / MINUTE).unwrap_or(0), usize::try_from(to / MINUTE).unwrap_or(0));
        let most = |part: fn(&Minute) -> [u64; 3]| {
            let mut most = [0; 3];
            for minute in &minutes[from..to] {
                for (most, now) in most.iter_mut().zip(part(minute)) {
                    *most = now.max(*most);
                }
            }
            most
        };
        let running = most(|minute| minute.running.map(|count| count as u64));
        let (visible, hidden) = (most(|minute| minute.visible), most(|minute| minute.hidden));
        println!("{phase}: most running {running:?}, visible {visible:?}, hidden {hidden:?}");
    }
    for kind in [Kind::Prompt, Kind::Slow, Kind::Failing, Kind::Hanging] {
        let rows = world.rows.iter().filter(|row| plans[usize::from(row.endpoint)].kind == kind);
        let late = rows.map(|row| row.late_ms).max().unwrap_or(0);
        println!("{kind:?}: a retry came {} late at most", seconds(late));
    }
    let sends: u64 = world.rows.iter().map(|row| u64::from(row.sends)).sum();
    for (phase, from, to) in [("usual hour", 0, BEFORE), ("peak hour", BEFORE, BEFORE + PEAK)] {
        let rows: Vec<&Row> = world.rows.iter().filter(|row| (from..to).contains(&row.accepted_at)).collect();
        let attempts: u64 = rows.iter().map(|row| u64::from(row.sends)).sum();
        let hours = (to - from) as f64 / PEAK as f64;
        let (events, attempts) = (rows.len() as f64 / hours, attempts as f64 / hours);
        let bill = (events * EVENT + (attempts - events).max(0.0) * ATTEMPT) / 1e6;
        println!("{phase}: {events:.0} events, {attempts:.0} attempts, ${bill:.2}");
    }
    println!("{} rows, {sends} attempts in all", world.rows.len());
}

/// One panel of the drawing: lines over the minutes, each with its colour.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    lines: Vec<(&'a str, usize, Vec<f64>)>,
}

const STYLE: &str = "text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-size: 16px; font-weight: 600 } \
    .note { font-size: 12px; fill: #59636e } .axis { stroke: #818b98; stroke-width: 1 } path { fill: none; stroke-width: 1.6 } \
    .peak { fill: #818b98; opacity: .15 } .c0 { stroke: #2f6feb } .c1 { stroke: #bf8700 } .c2 { stroke: #cf222e } .k0 { fill: #2f6feb } \
    .k1 { fill: #bf8700 } .k2 { fill: #cf222e } @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .note { fill: #9198a1 } \
    .c0 { stroke: #4493f8 } .c1 { stroke: #d29922 } .c2 { stroke: #f85149 } .k0 { fill: #4493f8 } .k1 { fill: #d29922 } .k2 { fill: #f85149 } }";

#[expect(clippy::cast_precision_loss, reason = "minutes")]
fn drawn(panels: &[Panel<'_>]) -> String {
    const WIDTH: f64 = 760.0;
    const LEFT: f64 = 60.0;
    const RIGHT: f64 = 16.0;
    const HEIGHT: f64 = 120.0;
    let total = END as f64 / MINUTE as f64;
    let x = |minute: f64| LEFT + minute / total * (WIDTH - LEFT - RIGHT);
    let height = 66.0 + panels.len() as f64 * (HEIGHT + 52.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"t\">\n\
         <title id=\"t\">An hour with ten times the usual load</title>\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"8\" y=\"22\">An hour with ten times the usual load</text>\n\
         <text class=\"note\" x=\"8\" y=\"42\">200 events a second, for an hour 2,000 (shaded); simulated with the template's defaults. Minutes below.</text>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let top = 82.0 + index as f64 * (HEIGHT + 52.0);
        let most = panel.lines.iter().flat_map(|line| &line.2).copied().fold(1.0, f64::max);
        let y = |value: f64| top + HEIGHT - value / most * HEIGHT;
        let (from, to) = (x(BEFORE as f64 / MINUTE as f64), x((BEFORE + PEAK) as f64 / MINUTE as f64));
        let _ = write!(
            svg,
            "<text x=\"8\" y=\"{}\">{}</text>\n<rect class=\"peak\" x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{HEIGHT}\"/>\n\
             <line class=\"axis\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>\n\
             <text class=\"note\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}{}</text>\n<text class=\"note\" x=\"{}\" y=\"{}\" text-anchor=\"end\">0</text>\n",
            top - 10.0,
            panel.title,
            to - from,
            WIDTH - RIGHT,
            top + HEIGHT,
            top + HEIGHT,
            LEFT - 6.0,
            top + 10.0,
            most.round(),
            panel.unit,
            LEFT - 6.0,
            top + HEIGHT,
        );
        let mut legend = 330.0;
        for (name, colour, values) in &panel.lines {
            let points: Vec<String> = (1..)
                .zip(values)
                .map(|(minute, value)| format!("{:.1} {:.1}", x(f64::from(minute)), y(*value)))
                .collect();
            let _ = writeln!(svg, "<path class=\"c{colour}\" d=\"M{}\"/>", points.join("L"));
            let _ = writeln!(
                svg,
                "<rect class=\"k{colour}\" x=\"{legend}\" y=\"{}\" width=\"10\" height=\"10\"/><text class=\"note\" x=\"{}\" y=\"{}\">{name}</text>",
                top - 19.0,
                legend + 14.0,
                top - 10.0
            );
            legend += 40.0 + 7.0 * name.len() as f64;
        }
    }
    for minute in (0..=END / MINUTE).step_by(30) {
        let _ = writeln!(
            svg,
            "<text class=\"note\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{minute}</text>",
            x(minute as f64),
            height - 14.0
        );
    }
    svg + "</svg>\n"
}

#[expect(clippy::cast_precision_loss, reason = "a few")]
fn draw(plans: &[Plan], world: &World, minutes: &[Minute]) -> String {
    let per_minute = |kind: Kind| {
        let mut by_minute: Vec<Vec<i64>> = vec![Vec::new(); minutes.len()];
        for row in world.rows.iter().filter(|row| plans[usize::from(row.endpoint)].kind == kind) {
            let minute = usize::try_from(row.accepted_at / MINUTE).unwrap_or(0);
            if let Some(waits) = by_minute.get_mut(minute) {
                waits.push(row.first_sent_at.unwrap_or(END) - row.accepted_at);
            }
        }
        let p99 = |mut waits: Vec<i64>| {
            waits.sort_unstable();
            at(&waits, 990) as f64 / 1e3
        };
        by_minute.into_iter().map(p99).collect::<Vec<_>>()
    };
    let lanes = |part: fn(&Minute) -> [u64; 3]| {
        let names = ["first attempts", "retries", "slow endpoints"];
        let line = |lane: usize| minutes.iter().map(|minute| part(minute)[lane] as f64).collect();
        names.iter().enumerate().map(|(lane, name)| (*name, lane, line(lane))).collect::<Vec<_>>()
    };
    drawn(&[
        Panel {
            title: "Wait for the first attempt, p99",
            unit: " s",
            lines: vec![("prompt endpoints", 0, per_minute(Kind::Prompt))],
        },
        Panel {
            title: "The same, endpoints that answer in 3 s",
            unit: " s",
            lines: vec![("slow endpoints", 2, per_minute(Kind::Slow))],
        },
        Panel {
            title: "Concurrent invocations",
            unit: "",
            lines: lanes(|minute| minute.running.map(|count| count as u64)),
        },
        Panel { title: "Jobs that wait hidden", unit: "", lines: lanes(|minute| minute.hidden) },
    ])
}

fn main() -> std::io::Result<()> {
    let plans = plans();
    for ramp in [Ramp::Evenly, Ramp::AtTheMinutesEnd] {
        let (world, minutes) = simulate(&plans, ramp);
        println!("pollers grow: {ramp:?}");
        report(&plans, &world, &minutes);
        if ramp == Ramp::Evenly {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/hour.svg");
            std::fs::write(file, draw(&plans, &world, &minutes))?;
        }
    }
    Ok(())
}
