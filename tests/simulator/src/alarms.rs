//! The template's alarms, evaluated as CloudWatch does
//! (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and alarms-and-missing-data.html).

use echo_template::{Template, number};
use serde_json::Value;

use crate::metrics::{Metric, Metrics};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Breaching,
    NotBreaching,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statistic {
    Sum,
    Minimum,
    Maximum,
}

#[derive(Debug, Clone)]
pub struct Alarm {
    pub name: String,
    metric: Metric,
    statistic: Statistic,
    period_minutes: usize,
    evaluation_periods: usize,
    datapoints_to_alarm: usize,
    threshold: f64,
    missing: Missing,
}

/// AWS does not document how far CloudWatch looks back and where its periods begin, so tests can ask for either
/// extreme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The fewest evaluations: whole periods from the world's beginning, and no more of them than the alarm names.
    Least,
    /// The most evaluations: periods that end in any minute, and two more of them, as in the documentation's examples.
    Most,
}

impl Alarm {
    /// Every alarm of the template, including the optional ones.
    ///
    /// # Panics
    /// When an alarm watches a metric that does not exist, or uses a statistic or a treatment of missing data that is
    /// unknown here.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let template = Template::with(&[("EventBusName", "default"), ("OperationalEventBusName", "default")]);
        template.of_type("AWS::CloudWatch::Alarm").map(|(name, alarm)| Self::read(name, alarm)).collect()
    }

    fn read(name: &str, alarm: &Value) -> Self {
        let properties = &alarm["Properties"];
        let text = |key: &str| properties[key].as_str().unwrap_or_default();
        let dimensions = properties["Dimensions"].as_array().into_iter().flatten();
        let spelled = |one: &Value| {
            format!("{}={}", one["Name"].as_str().unwrap_or("?"), one["Value"].as_str().unwrap_or("?"))
        };
        let dimensions: Vec<String> = dimensions.map(spelled).collect();
        let metric = Metric::named(text("Namespace"), text("MetricName"), &dimensions);
        let metric = metric.unwrap_or_else(|| panic!("{name} watches no metric: {properties}"));
        assert_eq!(text("ComparisonOperator"), "GreaterThanThreshold", "{name}");
        let whole = |key: &str| whole(number(&properties[key]));
        let evaluation_periods = whole("EvaluationPeriods");
        let is_m_of_n = properties.get("DatapointsToAlarm").is_some();
        Self {
            name: name.to_owned(),
            metric,
            statistic: match text("Statistic") {
                "Sum" => Statistic::Sum,
                "Minimum" => Statistic::Minimum,
                "Maximum" => Statistic::Maximum,
                other => panic!("{name}: no alarm has used {other} so far"),
            },
            period_minutes: whole("Period") / 60,
            evaluation_periods,
            datapoints_to_alarm: if is_m_of_n { whole("DatapointsToAlarm") } else { evaluation_periods },
            threshold: number(&properties["Threshold"]),
            missing: match text("TreatMissingData") {
                "notBreaching" => Missing::NotBreaching,
                "breaching" => Missing::Breaching,
                other => panic!("{name}: no alarm has used {other} so far"),
            },
        }
    }

    /// The first minute, from `from` on and before `to`, at whose beginning the alarm is on.
    #[must_use]
    pub fn first_on(&self, metrics: &Metrics, from: usize, to: usize, look: Look) -> Option<usize> {
        let values = metrics.values(self.metric);
        let (range, step) = match look {
            Look::Least => (self.evaluation_periods, self.period_minutes),
            Look::Most => (self.evaluation_periods + 2, 1),
        };
        let is_on = |minute: &usize| {
            let datapoint = |back: usize| {
                let end = minute.checked_sub(back * self.period_minutes)?;
                let begin = end.checked_sub(self.period_minutes)?;
                self.statistic(values.get(begin..end.min(values.len()))?)
            };
            let points: Vec<Option<bool>> =
                (0..range).rev().map(|back| datapoint(back).map(|value| value > self.threshold)).collect();
            is_alarm(&points, self.evaluation_periods, self.datapoints_to_alarm, self.missing)
        };
        (from..to).filter(|minute| minute.is_multiple_of(step)).find(is_on)
    }

    fn statistic(&self, values: &[Option<f64>]) -> Option<f64> {
        let real = values.iter().flatten().copied();
        match self.statistic {
            Statistic::Sum => real.reduce(|sum, value| sum + value),
            Statistic::Minimum => real.reduce(f64::min),
            Statistic::Maximum => real.reduce(f64::max),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small whole numbers of a template"
)]
fn whole(number: f64) -> usize {
    number as usize
}

/// Whether an alarm is on. `None` stands for a missing data point; the others say whether they are breaching. The
/// points are those of the evaluation range, oldest first. CloudWatch uses real data points, the latest first, before
/// it fills in missing ones.
#[must_use]
pub fn is_alarm(
    points: &[Option<bool>],
    evaluation_periods: usize,
    datapoints_to_alarm: usize,
    missing: Missing,
) -> bool {
    let real: Vec<bool> = points.iter().rev().flatten().copied().take(evaluation_periods).collect();
    let filled = evaluation_periods - real.len();
    let breaching = real.iter().filter(|is_breaching| **is_breaching).count();
    breaching + if missing == Missing::Breaching { filled } else { 0 } >= datapoints_to_alarm
}
