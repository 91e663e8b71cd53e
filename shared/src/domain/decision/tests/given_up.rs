use super::*;

fn retrying() -> (Delivery, DeliveryJob) {
    let (mut delivery, _, job) = fixture();
    delivery.status = DeliveryStatus::Retrying;
    delivery.attempt_count = 1;
    delivery.chain = Some(Chain::new());
    delivery.updated_at = at(10);
    delivery.next_retry_at = Some(at(70));
    let job = DeliveryJob { chain: delivery.chain, ..job };
    (delivery, job)
}

#[test]
fn the_delivery_of_a_dead_letter_ends_by_our_fault() {
    let (delivery, job) = retrying();
    for is_told in [false, true] {
        let ended = given_up(&delivery, &job, is_told, at(100)).expect("an end");
        assert_eq!(
            (ended.status, ended.failure_reason),
            (DeliveryStatus::Failed, Some(FailureReason::Internal))
        );
        assert_eq!((ended.next_retry_at, ended.attempt.as_ref(), ended.uncounted), (None, None, is_told));
    }
}

#[test]
fn a_delivery_that_has_ended_stays_as_it_is() {
    let (delivery, job) = retrying();
    for status in [DeliveryStatus::Success, DeliveryStatus::Failed] {
        let ended = Delivery { status, ..delivery.clone() };
        assert_eq!(given_up(&ended, &job, true, at(400_000)), None);
    }
}

#[test]
fn a_copy_ends_its_delivery_only_three_days_after_another_job_should_have_acted() {
    let (delivery, job) = retrying();
    let three_days = 3 * 86_400;
    for chain in [None, Some(Chain::new())] {
        let copy = DeliveryJob { chain, ..job.clone() };
        let ends = |delivery: &Delivery, now| given_up(delivery, &copy, true, now).is_some();
        assert!(!ends(&delivery, at(100)));
        assert!(!ends(&delivery, at(70 + three_days - 1)), "counted from the due time");
        assert!(ends(&delivery, at(70 + three_days)));
        let changed = Delivery { updated_at: at(1_000), ..delivery.clone() };
        assert!(!ends(&changed, at(1_000 + three_days - 1)), "counted from the last change");
        assert!(ends(&changed, at(1_000 + three_days)));
    }
}
