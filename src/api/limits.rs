//! Rate limits: off unless configured. They live at the edge and know nothing of money; a limited request has not begun.
//!
//! The public profile imitates what test keys get from the public API: so many reads and so many writes a second for a
//! whole platform, and less for a few operations of their own. Each limit is a bucket that refills evenly and holds
//! what one second brings.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::Method;

use super::error::ApiError;

/// Requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of GETs.
    pub read: u32,
    /// Of the rest.
    pub write: u32,
    /// Whether some operations have a limit of their own ([`OWN`]).
    pub endpoints: bool,
}

impl Rates {
    /// What test keys get from the public API.
    pub const PUBLIC: Rates = Rates { read: 25, write: 25, endpoints: true };
}

/// Operations with a limit of their own, by method and path.
const OWN: &[(&str, &str, u32)] = &[
    ("GET", "/v1/charges/search", 20),
    ("GET", "/v1/customers/search", 20),
    ("GET", "/v1/payment_intents/search", 20),
    ("POST", "/v1/accounts", 5),
    ("POST", "/v1/payouts", 15),
];

/// All searches draw from one bucket.
const SEARCH: &str = "search";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Read,
    Write,
    Own(&'static str),
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Requests left, in millionths.
    left: u64,
    at: Instant,
}

const ONE: u64 = 1_000_000;

/// The limits in force.
#[derive(Debug)]
pub struct Limiter {
    rates: Rates,
    buckets: Mutex<BTreeMap<(u32, Name), Bucket>>,
}

impl Limiter {
    /// Limits with full buckets.
    pub fn new(rates: Rates) -> Limiter {
        Limiter { rates, buckets: Mutex::default() }
    }

    /// Lets a request of a platform pass.
    ///
    /// # Errors
    /// 429 with its reason.
    pub fn admit(&self, platform: u32, method: &Method, path: &str) -> Result<(), ApiError> {
        self.admit_at(platform, method, path, Instant::now())
    }

    fn admit_at(&self, platform: u32, method: &Method, path: &str, now: Instant) -> Result<(), ApiError> {
        let (name, rate) = if matches!(*method, Method::GET | Method::HEAD) {
            (Name::Read, self.rates.read)
        } else {
            (Name::Write, self.rates.write)
        };
        let own = OWN.iter().find(|(of, at, _)| self.rates.endpoints && method.as_str() == *of && path == *at);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !take(&mut buckets, (platform, name), rate, now) {
            return Err(ApiError::rate_limit("global-rate"));
        }
        if let Some(&(_, path, rate)) = own {
            let name = Name::Own(if path.ends_with("/search") { SEARCH } else { path });
            if !take(&mut buckets, (platform, name), rate, now) {
                return Err(ApiError::rate_limit("endpoint-rate"));
            }
        }
        Ok(())
    }
}

/// Takes one request from a bucket, if one is left.
fn take(buckets: &mut BTreeMap<(u32, Name), Bucket>, of: (u32, Name), per_second: u32, now: Instant) -> bool {
    let full = u64::from(per_second) * ONE;
    let bucket = buckets.entry(of).or_insert(Bucket { left: full, at: now });
    let micros = u64::try_from(now.saturating_duration_since(bucket.at).as_micros()).unwrap_or(u64::MAX);
    bucket.left = bucket.left.saturating_add(micros.saturating_mul(u64::from(per_second))).min(full);
    bucket.at = bucket.at.max(now);
    match bucket.left.checked_sub(ONE) {
        Some(left) => {
            bucket.left = left;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATES: Rates = Rates { read: 4, write: 2, endpoints: true };

    fn passed(limiter: &Limiter, method: &Method, path: &str, requests: u32, at: Instant) -> u32 {
        (0..requests).map(|_| u32::from(limiter.admit_at(1, method, path, at).is_ok())).sum()
    }

    #[test]
    fn a_second_brings_what_the_rate_says() {
        let limiter = Limiter::new(RATES);
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(passed(&limiter, &Method::GET, "/v1/charges", 10, start), 4, "a full bucket");
        assert_eq!(passed(&limiter, &Method::POST, "/v1/charges", 10, start), 2, "writes have their own");
        assert_eq!(passed(&limiter, &Method::DELETE, "/v1/x", 10, start), 0, "… which all writes share");
        assert!(limiter.admit_at(2, &Method::GET, "/v1/charges", start).is_ok(), "so has another platform");
        assert_eq!(passed(&limiter, &Method::GET, "/v1/charges", 10, after(249)), 0);
        assert_eq!(
            passed(&limiter, &Method::GET, "/v1/charges", 10, after(250)),
            1,
            "a quarter of a second, one of four"
        );
        assert_eq!(
            passed(&limiter, &Method::GET, "/v1/charges", 10, after(60_000)),
            4,
            "no more than a second's worth"
        );
        assert_eq!(
            passed(&limiter, &Method::GET, "/v1/charges", 10, start),
            0,
            "a clock that goes back brings nothing"
        );
    }

    #[test]
    fn the_refusal_names_its_reason() {
        let limiter = Limiter::new(Rates { read: 100, write: 100, endpoints: true });
        let now = Instant::now();
        assert_eq!(passed(&limiter, &Method::GET, "/v1/charges/search", 12, now), 12);
        assert_eq!(passed(&limiter, &Method::GET, "/v1/payment_intents/search", 12, now), 8, "searches share one");
        assert_eq!(passed(&limiter, &Method::POST, "/v1/accounts", 10, now), 5);
        let error = limiter.admit_at(1, &Method::POST, "/v1/accounts", now).unwrap_err();
        assert_eq!((error.status, error.code.as_deref()), (429, Some("rate_limit")));
        assert_eq!(error.rate_limited_reason, Some("endpoint-rate"));
        passed(&limiter, &Method::POST, "/v1/refunds", 200, now);
        let error = limiter.admit_at(1, &Method::POST, "/v1/refunds", now).unwrap_err();
        assert_eq!(error.rate_limited_reason, Some("global-rate"));
        let plain = Limiter::new(Rates { read: 100, write: 100, endpoints: false });
        assert_eq!(passed(&plain, &Method::POST, "/v1/accounts", 10, now), 10);
    }
}
