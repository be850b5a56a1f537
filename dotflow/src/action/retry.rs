//! How many times a task is attempted and how long it waits in between: a policy, and no clock.

use std::time::Duration;

/// The longest duration that is taken, of a wait or of an attempt. A longer one is a mistake in the
/// unit, and timers are exact up to about two years.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The largest factor on each further wait.
const LARGEST_BACKOFF: f64 = 1000.0;

/// Panics in the words of `#[action]` if a duration is longer than one year.
const fn check_duration(duration: Duration) {
    assert!(
        duration.as_secs() < LONGEST.as_secs()
            || (duration.as_secs() == LONGEST.as_secs() && duration.subsec_nanos() == 0),
        "this duration is too long: the longest is one year (365 days)"
    );
}

/// Panics in the words of `#[action]` if no attempt could be made within a timeout, or if it is
/// longer than one year.
pub(crate) const fn check_timeout(timeout: Duration) {
    assert!(
        !timeout.is_zero(),
        "with a timeout of 0 every attempt fails: leave `timeout` out for no limit"
    );
    check_duration(timeout);
}

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
    /// One attempt in total. With more of them, 1 s before each further one (`delay`), always the
    /// same (`backoff` 1.0), at most 1 h (`max_delay`), and without jitter.
    ///
    /// ```
    /// use dotflow::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::new();
    /// assert_eq!(policy.max_attempts(), 1);
    /// assert_eq!(policy.delay_after(1), Duration::from_secs(1));
    /// ```
    pub const fn new() -> Self {
        Self {
            attempts: 1,
            delay: Duration::from_secs(1),
            backoff: 1.0,
            max_delay: Duration::from_secs(3600),
            jitter: false,
        }
    }

    /// Sets the number of attempts in total, the first one included; 1 by default.
    ///
    /// # Panics
    ///
    /// Panics if it is 0: a task that is never attempted has no output.
    ///
    /// ```
    /// use dotflow::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::new().attempts(3).max_attempts(), 3);
    /// ```
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        assert!(attempts >= 1, "a task needs at least 1 attempt");
        self.attempts = attempts;
        self
    }

    /// Sets the wait before the second attempt; 1 s by default. With zero there is no wait before
    /// any attempt.
    ///
    /// # Panics
    ///
    /// Panics if it is longer than one year (365 days).
    ///
    /// ```
    /// use dotflow::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::new().delay(Duration::from_millis(200));
    /// assert_eq!(policy.delay_after(1), Duration::from_millis(200));
    /// ```
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        check_duration(delay);
        self.delay = delay;
        self
    }

    /// Sets the factor by which each wait is longer than the one before it; 1.0 by default, which
    /// keeps waits equal.
    ///
    /// # Panics
    ///
    /// Panics if it is not a number, below 1 (waits would shrink to nothing), or above 1000.
    ///
    /// ```
    /// use dotflow::RetryPolicy;
    ///
    /// let policy = RetryPolicy::new().backoff(2.0);
    /// let waits: Vec<u64> = (1..4).map(|failed| policy.delay_after(failed).as_secs()).collect();
    /// assert_eq!(waits, [1, 2, 4]);
    /// ```
    #[must_use]
    pub const fn backoff(mut self, factor: f64) -> Self {
        assert!(
            factor.is_finite() && factor >= 1.0,
            "the backoff factor must be a number, and at least 1"
        );
        assert!(
            factor <= LARGEST_BACKOFF,
            "the backoff factor is too large: the most is 1000"
        );
        self.backoff = factor;
        self
    }

    /// Sets the longest wait between two attempts; 1 h by default. It also caps the first wait.
    ///
    /// # Panics
    ///
    /// Panics if it is longer than one year (365 days).
    ///
    /// ```
    /// use dotflow::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::new().backoff(10.0).max_delay(Duration::from_secs(60));
    /// assert_eq!(policy.delay_after(5), Duration::from_secs(60));
    /// ```
    #[must_use]
    pub const fn max_delay(mut self, max_delay: Duration) -> Self {
        check_duration(max_delay);
        self.max_delay = max_delay;
        self
    }

    /// Sets whether each wait is a random part of what it would be, from nothing to all of it;
    /// `false` by default.
    ///
    /// ```
    /// use dotflow::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::new().jitter(true);
    /// assert!(policy.delay_after(1) <= Duration::from_secs(1));
    /// ```
    #[must_use]
    pub const fn jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// The number of attempts in total.
    pub const fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// The longest wait between two attempts.
    pub(crate) fn longest_delay(&self) -> Duration {
        self.max_delay
    }

    /// The wait after the given number of failed attempts, from 1; 0 counts as 1.
    ///
    /// With [`jitter`](Self::jitter) each call gives another random wait. How many attempts there
    /// are does not matter here.
    ///
    /// ```
    /// use dotflow::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::new().delay(Duration::from_secs(3)).backoff(2.0);
    /// assert_eq!(policy.delay_after(1), Duration::from_secs(3));
    /// assert_eq!(policy.delay_after(2), Duration::from_secs(6));
    /// ```
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
        let policy = RetryPolicy::new().backoff(1000.0).attempts(u32::MAX);
        assert_eq!(policy.delay_after(u32::MAX), Duration::from_secs(3600));
    }

    #[test]
    fn no_delay_stays_no_delay() {
        let policy = RetryPolicy::new().delay(Duration::ZERO).backoff(2.0);
        assert_eq!(policy.delay_after(1), Duration::ZERO);
        // 0 × infinity is not a number, and not a reason to wait for an hour.
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
