//! What an invocation counts for CloudWatch.

use std::sync::atomic::{AtomicU64, Ordering};

use echo_shared::time::Timestamp;

/// One metric's count.
#[derive(Debug)]
pub(crate) struct Count {
    name: &'static str,
    count: AtomicU64,
}

impl Count {
    pub(crate) const fn of(name: &'static str) -> Self {
        Self { name, count: AtomicU64::new(0) }
    }

    pub(crate) fn add_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes the metric in CloudWatch's embedded format, if there is something to count.
    pub(crate) fn report(&self, stack_name: &str) {
        let count = self.count.load(Ordering::Relaxed);
        if count > 0 {
            println!("{}", embedded(self.name, count, stack_name, Timestamp::now()));
        }
    }
}

fn embedded(name: &str, count: u64, stack_name: &str, now: Timestamp) -> serde_json::Value {
    serde_json::json!({
        "_aws": {
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{
                "Namespace": "EchoWebhooks",
                "Dimensions": [["Stack"]],
                "Metrics": [{ "Name": name, "Unit": "Count" }],
            }],
        },
        "Stack": stack_name,
        name: count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_is_in_cloudwatchs_embedded_format() {
        let metric = embedded("DeadLettered", 3, "my-stack", Timestamp::from_millis(1_776_009_119_499));
        let expected = r#"{"_aws":{"Timestamp":1776009119499,"CloudWatchMetrics":[{"Namespace":"EchoWebhooks","Dimensions":[["Stack"]],"Metrics":[{"Name":"DeadLettered","Unit":"Count"}]}]},"Stack":"my-stack","DeadLettered":3}"#;
        assert_eq!(metric, serde_json::from_str::<serde_json::Value>(expected).expect("JSON"));
    }
}
