//! The exact numbers of a field. They are sorted, so one look by halves finds a number among a thousand.

use super::document::Number;

#[derive(Debug, Default)]
pub(super) struct Numbers {
    wholes: Vec<i128>,
    /// Those that are no whole numbers of up to 38 digits.
    doubles: Vec<f64>,
    /// All of them as doubles, because a double is compared with a double.
    all: Vec<f64>,
}

impl Numbers {
    pub(super) fn of(numbers: &[Number]) -> Self {
        let mut found = Self::default();
        for number in numbers {
            match number {
                Number::Whole(whole) => found.wholes.push(*whole),
                Number::Double(double) => found.doubles.push(*double),
            }
        }
        found.all = sorted(numbers.iter().map(|number| number.as_double()));
        found.doubles = sorted(found.doubles.into_iter());
        found.wholes.sort_unstable();
        found.wholes.dedup();
        found
    }

    /// Whether one of them equals this number.
    pub(super) fn contain(&self, number: Number) -> bool {
        match number {
            Number::Whole(whole) => {
                self.wholes.binary_search(&whole).is_ok() || has(&self.doubles, number.as_double())
            }
            Number::Double(double) => has(&self.all, double),
        }
    }
}

fn sorted(doubles: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut doubles: Vec<f64> = doubles.map(signless_zero).collect();
    doubles.sort_unstable_by(f64::total_cmp);
    doubles.dedup_by(|one, other| one.total_cmp(other).is_eq());
    doubles
}

fn has(sorted: &[f64], double: f64) -> bool {
    let wanted = signless_zero(double);
    sorted.binary_search_by(|one| one.total_cmp(&wanted)).is_ok()
}

/// The two zeros are equal, but not in a total order.
fn signless_zero(double: f64) -> f64 {
    double + 0.0
}
