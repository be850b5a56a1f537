//! What is noted of a task while its run goes on: as little as a report can be made of later.

use std::{collections::VecDeque, time::Duration};

use super::status::Status;
use crate::error::TaskError;

/// How many of the last failed attempts are kept, beside the first one.
const LAST_KEPT: usize = 15;

/// What became of one task, or one item.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) status: Status,
    pub(crate) restored: bool,
    pub(crate) attempts: u32,
    /// When it was begun, from the start of the run; none where it never was.
    pub(crate) started: Option<Duration>,
    pub(crate) duration: Duration,
    pub(crate) failures: Option<Box<Failures>>,
}

/// The failed attempts of a task: the first one and the last ones, so that a task that fails for a
/// week does not fill the memory.
#[derive(Clone)]
pub(crate) struct Failures {
    first: Failure,
    last: VecDeque<Failure>,
    /// When the attempt after them began, and how long it took, where it did not fail.
    pub(crate) followed_by: Option<(Duration, Duration)>,
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Failure> {
        [&self.first].into_iter().chain(&self.last)
    }
}
