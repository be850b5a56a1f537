//! One attempt each interval: whose turn it is, and when.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, sleep_until},
};

/// How much of a timer's delay is made good: it counts in milliseconds, and rounds up.
const TIMER_DELAY: Duration = Duration::from_millis(2);

/// How long after another one somebody may ask who still counts as having waited.
const TICK: Duration = Duration::from_millis(1);

/// One each interval. Who is to be the next one holds the lock until it begins.
#[derive(Clone)]
pub(super) struct Paced {
    pub(super) id: u64,
    pub(super) interval: Duration,
    last: Arc<Mutex<Option<Last>>>,
}

/// The last attempt.
#[derive(Clone, Copy)]
struct Last {
    at: Instant,
    /// When the next one is due: an interval after this one was.
    next: Instant,
}

/// The turn of who is to be the next one.
pub(super) struct Turn {
    last: OwnedMutexGuard<Option<Last>>,
    interval: Duration,
    /// How much later it comes than it was due, by no fault of its own.
    late: Duration,
}

impl Paced {
    pub(super) fn new(id: u64, interval: Duration) -> Self {
        Self {
            id,
            interval,
            last: Arc::default(),
        }
    }

    /// The turn, if it is somebody's now.
    pub(super) fn try_turn(&self) -> Option<Turn> {
        let last = Arc::clone(&self.last).try_lock_owned().ok()?;
        let now = Instant::now();
        let is_due = last.is_none_or(|last| last.next <= now);
        is_due.then(|| self.turn(last, now))
    }

    /// Waits for it.
    pub(super) async fn wait(&self) -> Turn {
        let last = Arc::clone(&self.last).lock_owned().await;
        // Not since it asked: whoever had the turn before it and gave it up may have let it lie.
        let since = Instant::now();
        if let Some(last) = *last {
            sleep_until(last.next).await;
        }
        self.turn(last, since)
    }

    /// The turn, now that it is due, of somebody who is the next one since then.
    fn turn(&self, last: OwnedMutexGuard<Option<Last>>, since: Instant) -> Turn {
        let late = last.map_or(Duration::ZERO, |last| {
            let has_waited = since <= last.next.max(last.at + TICK);
            let late = last.next.elapsed().min(TIMER_DELAY);
            if has_waited { late } else { Duration::ZERO }
        });
        Turn {
            last,
            interval: self.interval,
            late,
        }
    }
}

impl Turn {
    /// Takes it, now that the attempt begins.
    pub(super) fn take(mut self) {
        let at = Instant::now();
        let next = at + self.interval;
        let next = next.checked_sub(self.late).unwrap_or(next);
        *self.last = Some(Last { at, next });
    }
}
