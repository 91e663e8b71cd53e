//! Signs of an endpoint's speed (`crate::slowness`). They are written only while the endpoint is slow or hangs.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

use crate::endpoint::Endpoint;
use crate::slowness::Hanging;
use crate::store::endpoints::held;
use crate::store::{Store, StoreError, number};
use crate::time::Timestamp;

impl Store {
    /// Lets the slow lane serve the endpoint until `until`, or longer if the row says so already, and marks its routes. When
    /// the owner has replaced the URL since the attempt, nothing is written; that holds for each of these functions but
    /// [`Self::take_probe`].
    pub async fn mark_slow(&self, endpoint: &Endpoint, until: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update_receiver(endpoint, "(attribute_not_exists(slow_until) OR slow_until < :until)")
            .update_expression("SET slow_until = :until")
            .expression_attribute_values(":until", number(until.as_millis()));
        if held(update).await? {
            self.mark_route_slow(endpoint, until).await?;
        }
        Ok(())
    }

    /// Records that an endpoint hangs, after an attempt that began at `began_at` and timed out. The row stays as it is when
    /// the endpoint has answered since then, and when the endpoint is known to hang already.
    pub async fn mark_hanging(
        &self,
        endpoint: &Endpoint,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self
            .update_receiver(
                endpoint,
                "attribute_not_exists(hanging_since) AND (attribute_not_exists(answered_at) OR answered_at < :began)",
            )
            .update_expression("SET hanging_since = :now, hanging_tried_at = :now")
            .expression_attribute_values(":began", number(began_at.as_millis()))
            .expression_attribute_values(":now", number(now.as_millis()));
        held(update).await?;
        Ok(())
    }

    /// Records that a slow or hanging endpoint has answered, so it does not hang.
    pub async fn note_answer(&self, endpoint: &Endpoint, now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update_receiver(endpoint, "attribute_exists(id)")
            .update_expression("SET answered_at = :now REMOVE hanging_since, hanging_tried_at")
            .expression_attribute_values(":now", number(now.as_millis()));
        held(update).await?;
        Ok(())
    }

    /// Takes the probe of an endpoint that hangs; false when another job has taken it, or the endpoint no longer hangs.
    pub async fn take_probe(
        &self,
        endpoint: &Endpoint,
        seen: Hanging,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self
            .update_state(endpoint)
            .condition_expression("hanging_since = :since AND hanging_tried_at = :tried")
            .update_expression("SET hanging_tried_at = :now")
            .expression_attribute_values(":since", number(seen.since.as_millis()))
            .expression_attribute_values(":tried", number(seen.tried_at.as_millis()))
            .expression_attribute_values(":now", number(now.as_millis()));
        held(update).await
    }

    /// An update of the state under a condition, if the endpoint still has the URL of the attempt.
    fn update_receiver(&self, endpoint: &Endpoint, condition: &str) -> UpdateItemFluentBuilder {
        self.update_state(endpoint)
            .condition_expression(format!("url_since = :seen AND {condition}"))
            .expression_attribute_values(":seen", number(endpoint.url_since.as_millis()))
    }
}
