//! What attempts show of an endpoint's speed (`crate::slowness`): written only while it is slow or hangs.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

use crate::endpoint::Endpoint;
use crate::slowness::Hanging;
use crate::store::endpoints::changed;
use crate::store::{Store, StoreError, number, text};
use crate::time::Timestamp;

impl Store {
    /// Lets the slow lane serve the endpoint until `until`, or for longer where that is noted. Like all that is noted here, it
    /// says nothing of a receiver that the owner replaced meanwhile.
    pub async fn mark_slow(&self, endpoint: &Endpoint, until: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update_receiver(endpoint, "(attribute_not_exists(slow_until) OR slow_until < :until)")
            .update_expression("SET slow_until = :until")
            .expression_attribute_values(":until", number(until.as_millis()));
        changed(update).await?;
        Ok(())
    }

    /// Notes that an endpoint hangs, after an attempt that began at `began_at` and timed out. One that was answered since
    /// then does not hang, and one that is known to hang has been hanging for longer: both stay as they are.
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
        changed(update).await?;
        Ok(())
    }

    /// Notes that an endpoint which was slow or hung has answered: it does not hang.
    pub async fn note_answer(&self, endpoint: &Endpoint, now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update_receiver(endpoint, "attribute_exists(id)")
            .update_expression("SET answered_at = :now REMOVE hanging_since, hanging_tried_at")
            .expression_attribute_values(":now", number(now.as_millis()));
        changed(update).await?;
        Ok(())
    }

    /// Takes the probe of an endpoint that hangs; false when somebody else has, or it hangs no more.
    pub async fn take_probe(
        &self,
        endpoint: &Endpoint,
        seen: Hanging,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression("hanging_since = :since AND hanging_tried_at = :tried")
            .update_expression("SET hanging_tried_at = :now")
            .expression_attribute_values(":since", number(seen.since.as_millis()))
            .expression_attribute_values(":tried", number(seen.tried_at.as_millis()))
            .expression_attribute_values(":now", number(now.as_millis()));
        Ok(changed(update).await?.is_some())
    }

    /// An update of the endpoint under a condition, if it still has the URL that the attempt was made at.
    fn update_receiver(&self, endpoint: &Endpoint, condition: &str) -> UpdateItemFluentBuilder {
        self.update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression(format!("#url = :url AND {condition}"))
            .expression_attribute_names("#url", "url")
            .expression_attribute_values(":url", text(&endpoint.url))
    }
}
