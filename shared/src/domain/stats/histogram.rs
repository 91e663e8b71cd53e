//! How many attempts took how long, in buckets that are fixed, so that counts of many invocations, shards and hours add up.
//!
//! Below 8 ms each millisecond has a bucket. Above, each doubling has four of equal width, so a bucket is at most a
//! quarter as wide as it is far from zero. A percentile is answered with the middle of its bucket, which is within an
//! eighth of the exact value. (Rejected: sketches such as t-digest. They are more exact, and no `ADD` in DynamoDB can
//! merge two of them.)

/// The number of buckets: 8 of a millisecond, and 4 for each doubling up to 2^15 ms. No request takes longer
/// (`RequestTimeoutSeconds`); if one did, the last bucket would hold it.
pub const BUCKETS: usize = 8 + 4 * 12;

/// The power of two at which buckets begin to be wider than a millisecond.
const EXACT_BELOW: u32 = 3;

/// Durations of attempts in milliseconds, as a count for each bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram([u64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Histogram {
    pub fn add(&mut self, millis: u64) {
        self.0[bucket_of(millis)] += 1;
    }

    /// Adds a bucket's count. An unknown bucket is overlooked.
    pub fn add_count(&mut self, bucket: usize, count: u64) {
        if let Some(own) = self.0.get_mut(bucket) {
            *own += count;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in other.counts() {
            self.add_count(bucket, count);
        }
    }

    /// The buckets that are not empty, from the shortest durations to the longest.
    pub fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The duration, in milliseconds, that `percent` of a hundred attempts did not exceed; `None` without attempts. It is
    /// the middle of the bucket in which the nearest rank lies.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.total() * percent).div_ceil(100).max(1);
        let mut so_far = 0;
        let bucket = self.counts().find(|(_, count)| {
            so_far += count;
            so_far >= rank
        });
        bucket.map(|(bucket, _)| middle_of(bucket))
    }
}

fn bucket_of(millis: u64) -> usize {
    if millis < 1 << EXACT_BELOW {
        return usize::try_from(millis).unwrap_or(BUCKETS);
    }
    let power = millis.ilog2();
    let quarter = (millis >> (power - 2)) & 3;
    let bucket = 8 + 4 * u64::from(power - EXACT_BELOW) + quarter;
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The middle of a bucket's whole milliseconds, rounded down.
fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 8 {
        return bucket;
    }
    let (power, quarter) = ((bucket - 8) / 4 + u64::from(EXACT_BELOW), (bucket - 8) % 4);
    let width = 1 << (power - 2);
    (1 << power) + quarter * width + (width - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest duration that has a bucket of its own.
    const LONGEST: u64 = (1 << 15) - 1;

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        durations.iter().for_each(|millis| histogram.add(*millis));
        histogram
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for millis in 0..=LONGEST {
            let bucket = bucket_of(millis);
            assert!(bucket == last || bucket == last + 1, "{millis} ms: {bucket} after {last}");
            assert_eq!(bucket_of(middle_of(bucket)), bucket, "{millis} ms");
            last = bucket;
        }
        assert_eq!(last, BUCKETS - 1, "every bucket has its durations");
    }

    #[test]
    fn a_longer_duration_counts_in_the_last_bucket() {
        for millis in [LONGEST + 1, 1_000_000, u64::MAX] {
            assert_eq!(bucket_of(millis), BUCKETS - 1, "{millis} ms");
        }
    }

    #[test]
    fn every_duration_is_answered_within_an_eighth() {
        for millis in 0..=LONGEST {
            let answered = middle_of(bucket_of(millis));
            assert!(answered.abs_diff(millis) * 8 <= millis, "{millis} ms is answered as {answered} ms");
        }
    }

    /// The exact percentile by the nearest rank.
    fn exact(durations: &[u64], percent: usize) -> u64 {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
    }

    #[test]
    fn a_percentile_is_within_an_eighth_of_the_nearest_rank() {
        // A fixed sequence that looks like chance: a linear congruence.
        let mut state = 1_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        for size in [1, 2, 3, 10, 99, 100, 101, 5_000] {
            // Durations of every scale: up to 2, 4, 8, … ms.
            let durations: Vec<u64> = (0..size).map(|_| next() % (2 << (next() % 14))).collect();
            for percent in [1, 50, 95, 99, 100] {
                let exact = exact(&durations, percent);
                let answered = of(&durations).percentile(percent as u64).expect("attempts");
                assert!(
                    answered.abs_diff(exact) * 8 <= exact,
                    "p{percent} of {size}: {answered}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn percentiles_of_few_attempts_are_their_durations() {
        assert_eq!(of(&[]).percentile(50), None);
        assert_eq!(of(&[5]).percentile(50), Some(5));
        assert_eq!(of(&[1, 2, 3, 4]).percentile(50), Some(2));
        assert_eq!(of(&[1, 2, 3, 4]).percentile(95), Some(4));
    }

    #[test]
    fn histograms_add_up_in_any_order() {
        let (one, other) = (of(&[1, 120, 120]), of(&[120, 4_000]));
        let (mut forth, mut back) = (one.clone(), other.clone());
        forth.merge(&other);
        back.merge(&one);
        assert_eq!((&forth, forth.total()), (&of(&[1, 120, 120, 120, 4_000]), 5));
        assert_eq!(forth, back);
    }
}
