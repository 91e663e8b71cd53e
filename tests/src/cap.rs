//! The most things that there may be of a kind (contract §2 and §3).

use crate::api::Answer;
use crate::wait::{at_once, bounded};

/// Creates things until eight more fit, four at a time, and then 16 at once. Eight of these are refused, by a message
/// that contains `refusal`. Returns the answers to the other eight.
///
/// # Panics
/// When more or fewer are created.
pub async fn meet<F>(until_eight_fit: usize, refusal: &str, create: impl Fn() -> F) -> Vec<Answer>
where
    F: Future<Output = Answer>,
{
    let made = bounded(4, (0..until_eight_fit).map(|_| create())).await;
    assert!(made.iter().all(|answer| answer.status == 201));
    let raced = at_once(16, |_| create()).await;
    let (created, refused): (Vec<_>, Vec<_>) = raced.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(created.len(), 8);
    for answer in refused {
        let message = answer.refused(409);
        assert!(message.contains(refusal), "{message}");
    }
    created
}
