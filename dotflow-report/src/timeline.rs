//! When things happened, as parts of the time that the run took.

use std::time::{Duration, SystemTime};

use dotflow::{Report, Status, TaskReport};
use serde::Serialize;

/// More bars than this in one row are drawn as one: nobody could tell them apart.
const MOST_BARS: usize = 16;

/// From the begin of a run to its end.
pub(crate) struct Timeline {
    begin: SystemTime,
    length: Duration,
}

/// What is drawn of a time: from where, how wide, and what it is.
#[derive(Serialize)]
pub(crate) struct Bar {
    left: String,
    width: String,
    class: &'static str,
}

impl Timeline {
    pub(crate) fn of(report: &Report) -> Self {
        let begin = report.started_at();
        let ends = report.tasks().iter().filter_map(|task| {
            let started = task.started_at()?.duration_since(begin).ok()?;
            started.checked_add(task.duration())
        });
        let last = ends.max().unwrap_or_default();
        Self {
            begin,
            length: report.duration().max(last),
        }
    }

    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// The waits and attempts of a task, in their order.
    pub(crate) fn bars(&self, task: &TaskReport) -> Vec<Bar> {
        let Some(started) = task.started_at() else {
            return Vec::new();
        };
        let mut bars = Vec::new();
        let waited = started.checked_sub(task.wait()).unwrap_or(self.begin);
        bars.extend(self.wait(waited, started));
        let attempts = task.attempts();
        if attempts.is_empty() || attempts.len() * 2 > MOST_BARS {
            bars.push(self.bar(started, task.duration(), class(task)));
            return bars;
        }
        let mut ended = started;
        for attempt in attempts {
            bars.extend(self.wait(ended, attempt.started_at()));
            let is_last = attempt.number() == task.retry_count() + 1;
            let class = if is_last { class(task) } else { "f" };
            bars.push(self.bar(attempt.started_at(), attempt.duration(), class));
            let end = attempt.started_at().checked_add(attempt.duration());
            ended = end.unwrap_or(ended);
        }
        bars
    }

    /// Of all these tasks together: one bar, and how long it is; `None` where none was begun.
    pub(crate) fn span(&self, tasks: &[&TaskReport]) -> Option<(Bar, Duration)> {
        let times = tasks.iter().filter_map(|task| {
            let started = task.started_at()?;
            Some((started, started.checked_add(task.duration())?))
        });
        let (first, last) = times
            .reduce(|(first, last), (started, ended)| (first.min(started), last.max(ended)))?;
        let length = last.duration_since(first).unwrap_or_default();
        Some((self.bar(first, length, worst(tasks)), length))
    }

    /// A time in which nothing was done, where it is long enough to be seen.
    fn wait(&self, from: SystemTime, to: SystemTime) -> Option<Bar> {
        let length = to.duration_since(from).ok()?;
        let is_seen = length.as_secs_f64() > self.length.as_secs_f64() / 500.0;
        is_seen.then(|| self.bar(from, length, "w"))
    }

    fn bar(&self, from: SystemTime, length: Duration, class: &'static str) -> Bar {
        let from = from.duration_since(self.begin).unwrap_or_default();
        let left = self.share(from).min(99.8);
        Bar {
            left: percent(left),
            width: percent(self.share(length).min(100.0 - left)),
            class,
        }
    }

    fn share(&self, time: Duration) -> f64 {
        if self.length.is_zero() {
            return 0.0;
        }
        (100.0 * time.as_secs_f64() / self.length.as_secs_f64()).clamp(0.0, 100.0)
    }
}

fn percent(share: f64) -> String {
    let written = format!("{share:.1}");
    let written = written.strip_suffix(".0").unwrap_or(&written);
    format!("{written}%")
}

/// How a task ended, as the class of what is drawn of it.
pub(crate) fn class(task: &TaskReport) -> &'static str {
    match task.status() {
        _ if task.restored() => "r",
        Status::Completed => "o",
        Status::Failed => "f",
        _ => "k",
    }
}

/// How the one that went worst of several tasks ended.
pub(crate) fn worst(tasks: &[&TaskReport]) -> &'static str {
    let badness = |class: &&str| ["r", "o", "k", "f"].iter().position(|other| other == class);
    let classes = tasks.iter().map(|task| class(task));
    classes.max_by_key(badness).unwrap_or("k")
}
