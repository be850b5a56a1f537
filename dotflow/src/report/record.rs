//! What is noted of a task while its run goes on: as little as a report can be made of later.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::status::Status;
use crate::error::TaskError;

/// How many of the last failed attempts are kept, beside the first one.
const LAST_KEPT: usize = 15;

/// Since when a task could have begun, from the start of the run, in nanoseconds: it is moved around
/// with tasks that nobody is told of.
#[derive(Clone, Copy)]
pub(crate) struct Ready(u64);

impl From<Duration> for Ready {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Ready {
    /// It is not known, as the run is not followed.
    pub(crate) const UNKNOWN: Self = Self(u64::MAX);

    /// How long it then was until a time; nothing where it is not known.
    pub(crate) fn until(self, time: Duration) -> Duration {
        time.saturating_sub(Duration::from_nanos(self.0))
    }
}

/// What became of one task, or one item.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) status: Status,
    pub(crate) restored: bool,
    pub(crate) attempts: u32,
    /// When it was started, from the start of the run; `None` where it never was.
    pub(crate) started: Option<Duration>,
    pub(crate) duration: Duration,
    pub(crate) failures: Option<Box<Failures>>,
}

impl Record {
    /// How long further attempts waited for a thread before they began.
    pub(crate) fn waited_between(&self) -> Duration {
        let failures = self.failures.as_deref();
        failures.map_or(Duration::ZERO, |failures| failures.waited)
    }

    /// When it ended, from the start of the run; `None` where it was never started.
    pub(crate) fn ended(&self) -> Option<Duration> {
        Some(self.started? + self.duration + self.waited_between())
    }
}

/// The failed attempts of a task: the first one and the last ones, so that a task that fails for a
/// week does not fill the memory.
#[derive(Clone)]
pub(crate) struct Failures {
    first: Failure,
    last: VecDeque<Failure>,
    /// When the attempt after them began, and how long it took, where it did not fail.
    pub(crate) followed_by: Option<(Duration, Duration)>,
    /// How long further attempts waited for a thread before they began.
    pub(crate) waited: Duration,
    /// When the present attempt began.
    pub(crate) present_since: Option<Instant>,
}

/// One failed attempt.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) error: TaskError,
    /// When the attempt began, from the start of its task, and how long it took.
    pub(crate) started: Duration,
    pub(crate) duration: Duration,
}

impl Failures {
    /// Adds one to those that there are, if any.
    pub(crate) fn add(failures: &mut Option<Box<Self>>, failure: Failure) {
        match failures {
            None => {
                *failures = Some(Box::new(Self {
                    first: failure,
                    last: VecDeque::new(),
                    followed_by: None,
                    waited: Duration::ZERO,
                    present_since: None,
                }));
            }
            Some(failures) => {
                if failures.last.len() == LAST_KEPT {
                    failures.last.pop_front();
                }
                failures.last.push_back(failure);
            }
        }
    }

    pub(crate) fn last(&self) -> &Failure {
        self.last.back().unwrap_or(&self.first)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Failure> {
        [&self.first].into_iter().chain(&self.last)
    }
}
