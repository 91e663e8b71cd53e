//! The throttles of the HTTP API's stage: a bucket of tokens for each route
//! (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html). AWS calls its throttles targets
//! that traffic may exceed. The throttles here are exact.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use echo_template::{Template, number};
use serde_json::Value;

#[derive(Debug)]
pub struct Throttles {
    /// Each route's path prefix and its bucket, with the longest prefix first.
    routes: Vec<(String, Mutex<Bucket>)>,
    /// The bucket of all other paths, which go to the route `$default`.
    others: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(settings: &Value) -> Self {
        let burst = number(&settings["ThrottlingBurstLimit"]);
        let per_second = number(&settings["ThrottlingRateLimit"]);
        Self { per_second, burst, tokens: burst, filled: Instant::now() }
    }

    fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * self.per_second).min(self.burst);
        self.filled = self.filled.max(now);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

impl Throttles {
    /// The throttles of the template's stage.
    ///
    /// # Panics
    /// When the stage has settings for a route that the template does not have, or for a kind of route that this
    /// module does not know.
    #[must_use]
    pub fn of(template: &Template) -> Self {
        let stage = &template.resource("ApiStage")["Properties"];
        let keys: Vec<&str> = template
            .of_type("AWS::ApiGatewayV2::Route")
            .filter_map(|(_, route)| route["Properties"]["RouteKey"].as_str())
            .collect();
        let mut routes = Vec::new();
        for (key, settings) in stage["RouteSettings"].as_object().into_iter().flatten() {
            assert!(
                keys.contains(&key.as_str()),
                "the stage has settings for {key}, which is no route of the template"
            );
            let begins = key.strip_prefix("ANY ").and_then(|path| path.strip_suffix("{proxy+}"));
            let begins = begins.unwrap_or_else(|| panic!("no rule for this kind of route: {key}"));
            routes.push((begins.to_owned(), Mutex::new(Bucket::new(settings))));
        }
        routes.sort_by_key(|(begins, _)| std::cmp::Reverse(begins.len()));
        Self { routes, others: Mutex::new(Bucket::new(&stage["DefaultRouteSettings"])) }
    }

    /// Takes a token for a request with this path and query; false when its route has none left.
    pub fn admit(&self, target: &str) -> bool {
        let path = target.split('?').next().unwrap_or_default();
        let is_of = |begins: &str| path.len() > begins.len() && path.starts_with(begins);
        let own = self.routes.iter().find(|(begins, _)| is_of(begins)).map(|(_, bucket)| bucket);
        let bucket = own.unwrap_or(&self.others);
        bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_its_rate() {
        let mut bucket = Bucket::new(&json!({ "ThrottlingRateLimit": "10", "ThrottlingBurstLimit": 3 }));
        let start = bucket.filled;
        let mut taken = |millis| {
            let now = start + Duration::from_millis(millis);
            (0..20).filter(|_| bucket.take(now)).count()
        };
        assert_eq!([0, 50, 150, 390, 60_000].map(&mut taken), [3, 0, 1, 2, 3]);
    }
}
