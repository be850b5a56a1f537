//! How many times a task is attempted and how long it waits in between: a policy, and no clock.

use std::time::Duration;

/// How many times a task is attempted, and how long it waits before each further attempt.
///
/// The wait before attempt `n + 1` is `delay × backoff^(n − 1)`, at most `max_delay`. With
/// `jitter` it is a random part of that, from nothing to all of it ("full jitter"), so that many
/// clients that failed together don't come back together.
///
/// ```
/// use dotflow::RetryPolicy;
/// use std::time::Duration;
///
/// let policy = RetryPolicy::new()
///     .attempts(4)
///     .delay(Duration::from_secs(1))
///     .backoff(2.0)
///     .max_delay(Duration::from_secs(3));
/// let waits: Vec<u64> = (1..4).map(|failed| policy.delay_after(failed).as_secs()).collect();
/// assert_eq!(waits, [1, 2, 3]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    attempts: u32,
    delay: Duration,
    backoff: f64,
    max_delay: Duration,
    jitter: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryPolicy {
    /// One attempt; 1 s before each further one, without backoff or jitter, at most 1 h.
    pub const fn new() -> Self {
        Self {
            attempts: 1,
            delay: Duration::from_secs(1),
            backoff: 1.0,
            max_delay: Duration::from_secs(3600),
            jitter: false,
        }
    }

    /// Sets the number of attempts in total.
    ///
    /// # Panics
    ///
    /// Panics if it is 0: a task that is never attempted has no output.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        assert!(attempts >= 1, "a task needs at least 1 attempt");
        self.attempts = attempts;
        self
    }

    /// Sets the wait before the second attempt.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets the factor on each further wait.
    ///
    /// # Panics
    ///
    /// Panics if it is not a finite number, or below 1: waits would shrink to nothing.
    #[must_use]
    pub const fn backoff(mut self, factor: f64) -> Self {
        assert!(
            factor.is_finite() && factor >= 1.0,
            "the backoff factor must be a number, and at least 1"
        );
        self.backoff = factor;
        self
    }

    /// Sets the longest wait.
    #[must_use]
    pub const fn max_delay(mut self, max_delay: Duration) -> Self {
        self.max_delay = max_delay;
        self
    }

    /// Makes each wait a random part of what it would be.
    #[must_use]
    pub const fn jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// The number of attempts in total.
    pub const fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// The wait after the given number of failed attempts (from 1).
    pub fn delay_after(&self, failed_attempts: u32) -> Duration {
        if self.delay.is_zero() {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(failed_attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        // An overflow gives infinity here, which the cap below turns into a duration again.
        let seconds = self.delay.as_secs_f64() * self.backoff.powi(exponent);
        let capped = if seconds < self.max_delay.as_secs_f64() {
            Duration::from_secs_f64(seconds)
        } else {
            self.max_delay
        };
        if self.jitter {
            capped.mul_f64(fastrand::f64())
        } else {
            capped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_exponents_end_at_the_cap() {
        let policy = RetryPolicy::new().backoff(1e300).attempts(u32::MAX);
        assert_eq!(policy.delay_after(u32::MAX), Duration::from_secs(3600));
    }

    #[test]
    fn no_delay_stays_no_delay() {
        let policy = RetryPolicy::new().delay(Duration::ZERO).backoff(2.0);
        assert_eq!(policy.delay_after(1), Duration::ZERO);
        // 0 × infinity is not a number; it is no reason to wait for an hour.
        assert_eq!(policy.delay_after(5000), Duration::ZERO);
    }

    #[test]
    fn jitter_stays_within_the_delay() {
        let policy = RetryPolicy::new().jitter(true);
        for _ in 0..1000 {
            assert!(policy.delay_after(1) <= Duration::from_secs(1));
        }
    }
}
