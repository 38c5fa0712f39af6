//! Parts of amounts: percentages, proportions, splits. Every rule of rounding has its name in the function's.
//!
//! All amounts are minor units of one currency. Halves go away from zero ("half-up"), so a debit rounds like the credit
//! it mirrors.

/// `ppm` parts per million of an amount, half-up: the percentage part of a fee (29 000 ppm = 2.9 %).
///
/// # Panics
/// When the result has no room in an i64, which needs an amount beyond [`MAX_MINOR`](super::money::MAX_MINOR) and is
/// a mistake of the caller.
pub fn percent_half_up(amount_minor: i64, ppm: u32) -> i64 {
    narrow(divide_half_up(i128::from(amount_minor) * i128::from(ppm), 1_000_000))
}

/// `total × part / whole`, half-up: what a partial refund takes from the transfer and from the application fee.
///
/// The caller caps the result by what is left, and takes all that is left when the refund completes the charge; so
/// repeated partial refunds neither lose a unit nor take one too many.
///
/// # Panics
/// When `whole` is zero, or the result has no room in an i64: mistakes of the caller, which has a charge of at least one
/// unit and a part no larger than it.
pub fn proportional_half_up(total: i64, part: i64, whole: i64) -> i64 {
    assert!(whole != 0, "a share of nothing: {total} × {part} / 0");
    narrow(divide_half_up(i128::from(total) * i128::from(part), i128::from(whole)))
}

/// Splits `total` by weights into whole units that add up to it exactly.
///
/// Each share is the exact one rounded towards zero; the units left over go to the largest remainders, to the earlier
/// share where remainders are equal. A negative total splits like its positive twin. Weights that are all zero split
/// evenly.
///
/// # Panics
/// When there is something to split and nobody to take it.
pub fn largest_remainder(total: i64, weights: &[u64]) -> Vec<i64> {
    assert!(total == 0 || !weights.is_empty(), "{total} to split, but no weights");
    let weight_sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    let even = weight_sum == 0;
    let divisor = if even { weights.len() as u128 } else { weight_sum };
    let size = u128::from(total.unsigned_abs());

    // Room: size ≤ 2^63 and weight < 2^64, so the product stays below 2^127.
    let exact: Vec<(u128, u128)> = weights
        .iter()
        .map(|&weight| size * if even { 1 } else { u128::from(weight) })
        .map(|product| (product / divisor, product % divisor))
        .collect();
    let mut shares: Vec<u128> = exact.iter().map(|&(whole, _)| whole).collect();
    let mut left = size - shares.iter().sum::<u128>();

    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| exact[b].1.cmp(&exact[a].1)); // stable: the earlier one first among equals
    for place in order {
        if left == 0 {
            break;
        }
        shares[place] += 1;
        left -= 1;
    }
    let sign = i128::from(total.signum());
    shares.into_iter().map(|share| narrow(share as i128 * sign)).collect()
}

/// Nearest whole number, halves away from zero. The divisor is not zero; its sign counts.
pub(super) fn divide_half_up(dividend: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (dividend / divisor, dividend % divisor);
    // |remainder| ≥ |divisor| / 2, asked without doubling, which could overflow.
    let far = remainder.unsigned_abs() >= divisor.unsigned_abs() - remainder.unsigned_abs();
    match (far, (dividend < 0) == (divisor < 0)) {
        (false, _) => quotient,
        (true, true) => quotient + 1,
        (true, false) => quotient - 1,
    }
}

fn narrow(amount: i128) -> i64 {
    match i64::try_from(amount) {
        Ok(amount) => amount,
        Err(_) => panic!("a share of {amount} minor units is beyond any bound of Florin"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::money::MAX_MINOR;
    use proptest::prelude::*;

    #[test]
    fn the_fee_table_of_the_reference() {
        // 2.9 % + 30: amount, fee, net.
        for (amount, fee, net) in
            [(50, 31, 19), (1000, 59, 941), (2050, 89, 1961), (10_000, 320, 9680), (12_345, 388, 11_957)]
        {
            let charged = percent_half_up(amount, 29_000) + 30;
            assert_eq!((charged, amount - charged), (fee, net), "amount {amount}");
        }
        // Fees worked elsewhere in it: 11000 -> 319 + 30, yen 3366 -> 97.61 -> 98 + 30.
        assert_eq!(percent_half_up(11_000, 29_000), 319);
        assert_eq!(percent_half_up(3366, 29_000), 98);
        assert_eq!(percent_half_up(-50, 10_000), -1, "a half goes away from zero on both sides");
        assert_eq!(percent_half_up(50, 10_000), 1);
        assert_eq!(percent_half_up(49, 10_000), 0);
    }

    #[test]
    fn recorded_partial_reversals() {
        // charge, transfer, refund, reversal: as recorded from live platforms.
        for (charge, transfer, refund, reversal) in [
            (1200, 880, 500, 367),
            (1200, 880, 1000, 733),
            (153, 109, 50, 36),
            (1000, 1342, 100, 134),
            (1000, 1356, 100, 136),
            (1000, 1342, 500, 671),
            (1000, 1356, 500, 678),
        ] {
            assert_eq!(proportional_half_up(transfer, refund, charge), reversal, "{transfer} × {refund} / {charge}");
        }
    }

    #[test]
    fn the_refund_table_of_the_reference() {
        // charge, fee, transfer, refund -> reversal, fee refund.
        for (charge, fee, transfer, refund, reversal, fee_refund) in [
            (10_000, 1000, 10_000, 4000, 4000, 400),
            (10_000, 1000, 10_000, 6000, 6000, 600),
            (1000, 123, 1000, 333, 333, 41),
            (10_000, 0, 8770, 5000, 4385, 0),
        ] {
            assert_eq!(proportional_half_up(transfer, refund, charge), reversal);
            assert_eq!(proportional_half_up(fee, refund, charge), fee_refund);
        }
    }

    #[test]
    fn splits_give_odd_units_to_the_largest_remainder_then_to_the_earlier() {
        assert_eq!(largest_remainder(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(largest_remainder(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(largest_remainder(10, &[1, 2, 3]), [2, 3, 5]);
        assert_eq!(largest_remainder(1, &[1, 3]), [0, 1]);
        assert_eq!(largest_remainder(7, &[0, 1]), [0, 7]);
        assert_eq!(largest_remainder(5, &[0, 0]), [3, 2]);
        assert_eq!(largest_remainder(0, &[]), [0_i64; 0]);
        assert_eq!(largest_remainder(i64::MIN, &[u64::MAX]), [i64::MIN]);
    }

    #[test]
    #[should_panic(expected = "no weights")]
    fn nobody_to_take_a_share_is_a_mistake() {
        largest_remainder(1, &[]);
    }

    proptest! {
        #[test]
        fn a_split_adds_up_and_no_share_is_a_unit_off(total: i64, weights in prop::collection::vec(any::<u64>(), 1..12)) {
            let shares = largest_remainder(total, &weights);
            prop_assert_eq!(shares.iter().map(|&share| i128::from(share)).sum::<i128>(), i128::from(total));
            let sum: u128 = weights.iter().map(|&w| u128::from(w)).sum();
            for (share, weight) in shares.iter().zip(&weights).filter(|_| sum > 0) {
                let exact = u128::from(total.unsigned_abs()) * u128::from(*weight) / sum;
                let off = u128::from(share.unsigned_abs()) - exact;
                prop_assert!(off <= 1);
            }
        }

        #[test]
        fn a_percentage_is_the_nearest_unit(amount in -MAX_MINOR..=MAX_MINOR, ppm in 0..=1_000_000_u32) {
            let part = percent_half_up(amount, ppm);
            let miss = (i128::from(part) * 1_000_000 - i128::from(amount) * i128::from(ppm)).abs();
            prop_assert!(miss <= 500_000);
            prop_assert_eq!(percent_half_up(-amount, ppm), -part);
        }

        #[test]
        fn any_percentage_of_a_bounded_amount_has_room(ppm: u32) {
            percent_half_up(MAX_MINOR, ppm);
            percent_half_up(-MAX_MINOR, ppm);
        }

        #[test]
        fn a_proportion_stays_within_the_whole(total in 0..=MAX_MINOR, whole in 1..=MAX_MINOR, seed: u64) {
            let part = (seed % (whole as u64 + 1)) as i64;
            let share = proportional_half_up(total, part, whole);
            prop_assert!((0..=total).contains(&share));
            prop_assert_eq!(proportional_half_up(total, whole, whole), total);
            let miss = (i128::from(share) * i128::from(whole) - i128::from(total) * i128::from(part)).abs();
            prop_assert!(miss * 2 <= i128::from(whole));
        }

        /// Repeated partial refunds with the cap and the rest at completion take exactly the whole.
        #[test]
        fn repeated_partials_leave_no_cents(fee in 0..100_000_i64, parts in prop::collection::vec(1..5_000_i64, 1..20)) {
            let charge: i64 = parts.iter().sum();
            let (mut refunded, mut returned) = (0, 0);
            for part in parts {
                refunded += part;
                let left = fee - returned;
                let share = if refunded == charge { left } else { proportional_half_up(fee, part, charge).min(left) };
                prop_assert!(share >= 0);
                returned += share;
            }
            prop_assert_eq!(returned, fee);
        }
    }
}
