//! Bar charts as SVG, written by hand: readable on light and dark pages, without colours, and to screen readers.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 250.0;
const VALUES: f64 = 110.0;
const BAR: f64 = 18.0;
const ROW: f64 = 26.0;
const TOP: f64 = 58.0;

/// Colours by class; each one contrasts with white and with near-black.
const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .note { font-size: 12px; fill: #59636e }
  .axis { stroke: #818b98; stroke-width: 1 }
  .target { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 4 3 }
  .c0 { fill: #2f6feb } .c1 { fill: #818b98 } .c2 { fill: #bf8700 } .c3 { fill: #2da44e } .c4 { fill: #a475f9 } .c5 { fill: #e16f24 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 } .target { stroke: #f85149 }
    .c0 { fill: #4493f8 } .c2 { fill: #d29922 } .c3 { fill: #3fb950 } .c4 { fill: #ab7df8 } .c5 { fill: #f0883e }
  }
";

/// A bar of one or more parts; a part's number is its colour.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) parts: Vec<(usize, f64)>,
    /// The text at the end of the bar.
    pub(crate) value: String,
}

impl Bar {
    pub(crate) fn one(label: impl Into<String>, colour: usize, length: f64, value: String) -> Self {
        Self { label: label.into(), parts: vec![(colour, length)], value }
    }

    fn length(&self) -> f64 {
        self.parts.iter().map(|(_, length)| length).sum()
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) bars: Vec<Bar>,
    /// A line across all bars, with its name.
    pub(crate) target: Option<(f64, String)>,
    /// The names of the colours, for bars with parts.
    pub(crate) legend: Vec<(usize, &'static str)>,
}

impl Chart {
    #[must_use]
    pub(crate) fn svg(&self) -> String {
        let longest = self
            .bars
            .iter()
            .map(Bar::length)
            .chain(self.target.as_ref().map(|(at, _)| *at))
            .fold(0.0, f64::max);
        let scale = (WIDTH - LABELS - VALUES) / longest.max(f64::MIN_POSITIVE);
        let rows = f64::from(u32::try_from(self.bars.len()).unwrap_or(0));
        let legend = if self.legend.is_empty() { 0.0 } else { ROW };
        let target_room = if self.target.is_some() { 20.0 } else { 6.0 };
        let height = TOP + rows * ROW + legend + target_room + 8.0;
        let mut svg = String::new();
        let described: Vec<String> =
            self.bars.iter().map(|bar| format!("{}: {}", bar.label, bar.value)).collect();
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"t d\">\n\
             <title id=\"t\">{}</title>\n<desc id=\"d\">{}</desc>\n<style>{STYLE}</style>\n\
             <text class=\"title\" x=\"8\" y=\"22\">{}</text>\n<text class=\"note\" x=\"8\" y=\"42\">{}</text>\n",
            escape(&self.title),
            escape(&described.join("; ")),
            escape(&self.title),
            escape(&self.note),
        );
        for (row, bar) in self.bars.iter().enumerate() {
            let y = TOP + ROW * f64::from(u32::try_from(row).unwrap_or(0));
            let middle = y + BAR - 4.5;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
                LABELS - 8.0,
                escape(&bar.label)
            );
            let mut x = LABELS;
            for (colour, length) in &bar.parts {
                let width = (length * scale).max(if *length > 0.0 { 1.0 } else { 0.0 });
                let _ = writeln!(
                    svg,
                    "<rect class=\"c{colour}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
                );
                x += width;
            }
            let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{middle}\">{}</text>", x + 6.0, escape(&bar.value));
        }
        let bottom = TOP + rows * ROW;
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LABELS}\" y1=\"{}\" x2=\"{LABELS}\" y2=\"{bottom}\"/>",
            TOP - 4.0
        );
        if let Some((at, name)) = &self.target {
            let x = LABELS + at * scale;
            let _ = writeln!(
                svg,
                "<line class=\"target\" x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\n\
                 <text class=\"note\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                TOP - 4.0,
                bottom + 14.0,
                escape(name),
            );
        }
        let mut x = 8.0;
        let y = bottom + target_room + ROW - 8.0;
        for (colour, name) in &self.legend {
            let _ = writeln!(
                svg,
                "<rect class=\"c{colour}\" x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\"/><text class=\"note\" x=\"{}\" y=\"{y}\">{}</text>",
                y - 10.0,
                x + 17.0,
                escape(name),
            );
            x += 34.0 + 7.0 * f64::from(u32::try_from(name.len()).unwrap_or(0));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_says_in_words_what_it_draws() {
        let chart = Chart {
            title: "A & B".to_owned(),
            note: "1 < 2".to_owned(),
            bars: vec![
                Bar::one("ours", 0, 1.0, "1 s".to_owned()),
                Bar::one("theirs", 1, 2.0, "2 s".to_owned()),
            ],
            target: Some((1.5, "target".to_owned())),
            legend: vec![(0, "ours")],
        };
        let svg = chart.svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("<desc id=\"d\">ours: 1 s; theirs: 2 s</desc>"));
        assert!(
            svg.contains("A &amp; B")
                && svg.contains("1 &lt; 2")
                && svg.contains("prefers-color-scheme: dark")
        );
        assert_eq!(svg.matches("<rect").count(), 3);
    }
}
