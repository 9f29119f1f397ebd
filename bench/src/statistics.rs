//! Medians and spreads of a handful of rounds, percentiles of many calls.
//!
//! Must not know what the numbers mean.

/// The middle one, or the mean of the middle two; `None` of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted.get(middle).copied(),
        _ => Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0),
    }
}

/// The least and the greatest in percent of the median; `None` of fewer than
/// two, which say nothing about how far values go apart.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let sorted = sorted(values);
    if sorted.len() < 2 {
        return None;
    }
    let middle = median(sorted.iter().copied())?;
    let percent = |value: f64| 100.0 * (value / middle - 1.0);
    Some((percent(*sorted.first()?), percent(*sorted.last()?)))
}

/// The least value that this share of all does not exceed.
pub(crate) fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_should_not_depend_on_order_and_outliers() {
        for (values, expected) in [
            (&[][..], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0], Some(5.0)),
            (&[900.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 3.0, 2.0], Some(2.5)),
        ] {
            assert_eq!(median(values.iter().copied()), expected, "{values:?}");
        }
    }

    #[test]
    fn a_spread_should_be_in_percent_of_the_median() {
        assert_eq!(spread([100.0, 50.0, 150.0]), Some((-50.0, 50.0)));
        assert_eq!(spread([7.0]), None);
    }

    #[test]
    fn a_percentile_should_be_one_of_the_values() {
        let values = || (1..=1000).map(f64::from);
        assert_eq!(percentile(values(), 0.99), Some(990.0));
        assert_eq!(percentile(values(), 1.0), Some(1000.0));
        assert_eq!(percentile([7.0], 0.99), Some(7.0));
        assert_eq!(percentile([], 0.99), None);
    }
}
