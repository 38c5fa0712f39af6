//! Random draws that are the same everywhere.
//!
//! Every draw comes from a sub-stream named by (seed, scenario, kind of object, platform, number, purpose): ChaCha8,
//! seeded by BLAKE3 of that name. A draw added for one purpose therefore shifts no other.
//!
//! Only integer arithmetic and the five IEEE 754 operations (+ − × ÷ √) are used: the system's `exp`, `ln` and `pow`
//! differ in the last bit between platforms, and one bit can move a rounded amount. [`exp`] and [`ln`] are good to some
//! 15 digits, which is far more than an amount in minor units can show.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The root of all sub-streams of one (seed, scenario).
#[derive(Clone, Debug)]
pub struct Source {
    key: [u8; 32],
}

/// What a draw is about: `("charge", platform, number)`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Object {
    /// Kind of object, up to 16 bytes.
    pub kind: &'static str,
    /// Platform, from 0.
    pub platform: u32,
    /// Number of the object within its platform and kind.
    pub number: u64,
}

impl Source {
    /// The root for a seed and a scenario's id.
    pub fn new(seed: u64, scenario_id: &str) -> Source {
        let mut hasher = blake3::Hasher::new_derive_key("florin simulation 1: draws of a scenario");
        hasher.update(&seed.to_le_bytes());
        hasher.update(scenario_id.as_bytes());
        Source { key: *hasher.finalize().as_bytes() }
    }

    /// The sub-stream of one object and purpose.
    pub fn stream(&self, object: Object, purpose: &str) -> Draws {
        // One BLAKE3 block: the name is short. Kind and purpose hold no zero byte, so names cannot run together.
        let mut name = [0_u8; 64];
        let mut end = 0;
        for part in [
            &object.platform.to_le_bytes()[..],
            &object.number.to_le_bytes(),
            object.kind.as_bytes(),
            &[0],
            purpose.as_bytes(),
        ] {
            let part = &part[..part.len().min(name.len() - end)];
            name[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        Draws { rng: ChaCha8Rng::from_seed(*blake3::keyed_hash(&self.key, &name[..end]).as_bytes()) }
    }
}

/// One sub-stream.
#[derive(Clone, Debug)]
pub struct Draws {
    rng: ChaCha8Rng,
}

impl Draws {
    /// A whole number below `bound`, each as likely as another (to 2^-64). Nothing lies below 0, so that gives 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.rng.next_u64()) * u128::from(bound);
        (product >> 64) as u64 // the high half is below `bound`
    }

    /// Whether something with a chance of `ppm` in a million happens.
    pub fn happens(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }

    /// A number in [0, 1), a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.rng.next_u64() >> 11) as f64 * STEP
    }

    /// A draw of the standard normal distribution, by Marsaglia's polar method (needs √ and [`ln`] only).
    pub fn normal(&mut self) -> f64 {
        loop {
            let (u, v) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                return u * (-2.0 * ln(s) / s).sqrt();
            }
        }
    }
}

/// e^x, the same bits on every platform. Saturates: 0 below -700, e^700 above 700.
pub fn exp(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    let x = x.min(700.0);
    // x = k ln 2 + r with |r| ≤ ln(2)/2; ln 2 in two parts, so that r keeps its digits.
    const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let k = (x / std::f64::consts::LN_2).round();
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    let mut sum = 1.0;
    for n in (1..=14_u8).rev() {
        sum = 1.0 + sum * r / f64::from(n);
    }
    // |k| ≤ 1010, so the exponent is that of a normal number.
    sum * f64::from_bits(((k as i64 + 1023) as u64) << 52)
}

/// The natural logarithm of a positive, normal number; the same bits on every platform.
pub fn ln(x: f64) -> f64 {
    debug_assert!(x.is_normal() && x > 0.0, "ln({x})");
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) as i32) - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh((m-1)/(m+1)); |s| ≤ 0.172, so the 12th term is below 10^-18.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for n in (0..13_u8).rev() {
        sum = sum * square + 1.0 / f64::from(2 * n + 1);
    }
    f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * s * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARGE: Object = Object { kind: "charge", platform: 0, number: 7 };

    #[test]
    fn own_exp_and_ln_agree_with_the_system_to_thirteen_digits() {
        for step in -400..400 {
            let x = f64::from(step) * 0.1733;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-13, "exp({x})");
            let y = x.exp();
            assert!((ln(y) - y.ln()).abs() < 1e-13 * y.ln().abs().max(1.0), "ln({y})");
        }
        assert_eq!((exp(0.0), ln(1.0)), (1.0, 0.0));
        assert_eq!(exp(-1e9), 0.0);
    }

    #[test]
    fn a_stream_is_its_name() {
        let source = Source::new(1, "smoke");
        let mut first = source.stream(CHARGE, "amount");
        let again: Vec<u64> = (0..4).map(|_| first.below(u64::MAX)).collect();
        let mut second = Source::new(1, "smoke").stream(CHARGE, "amount");
        assert_eq!(again, (0..4).map(|_| second.below(u64::MAX)).collect::<Vec<_>>());

        let first_of = |mut draws: Draws| draws.below(u64::MAX);
        let others = [
            source.stream(CHARGE, "seller"),
            source.stream(Object { number: 8, ..CHARGE }, "amount"),
            source.stream(Object { platform: 1, ..CHARGE }, "amount"),
            source.stream(Object { kind: "refund", ..CHARGE }, "amount"),
            Source::new(2, "smoke").stream(CHARGE, "amount"),
            Source::new(1, "smoked").stream(CHARGE, "amount"),
        ];
        for other in others {
            assert_ne!(first_of(other), again[0]);
        }
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let mut draws = Source::new(1, "smoke").stream(CHARGE, "test");
        let count = 20_000;
        let drawn: Vec<f64> = (0..count).map(|_| draws.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(count);
        let variance = drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(count);
        // Four standard errors: 1/√n for the mean, √(2/n) for the variance.
        assert!(mean.abs() < 4.0 / f64::from(count).sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / f64::from(count)).sqrt(), "{variance}");
    }
}
