//! How many tasks of a group are attempted at once, and how often: what they wait for without taking
//! a slot of their run.
//!
//! [`DotFlow::limit`](crate::DotFlow::limit) and [`DotFlow::rate`](crate::DotFlow::rate) say for
//! which group of tasks they hold.

mod admission;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};

pub(crate) use self::admission::{Admission, Permits};

/// How many tasks may be attempted at once, or how often one may begin. Clones are the same limit, so
/// one can be shared by several workflows, and by all runs of each.
///
/// ```
/// use dotflow::{action, limits::Limit, task, DotFlow};
///
/// #[action]
/// async fn query(table: String) -> usize { table.len() }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let connections = Limit::at_once(2);
/// let workflow = |table: &str| {
///     let queries: Vec<_> = (0..4).map(|_| task(query(table.into())).group("db")).collect();
///     DotFlow::new(table, queries).limit("db", &connections)
/// };
/// let (sales, costs) = (workflow("sales").spawn(), workflow("costs").spawn());
/// assert!(sales.await?.succeeded() && costs.await?.succeeded()); // never more than 2 at once
/// # Ok::<(), dotflow::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Limit(Kind);

#[derive(Clone)]
enum Kind {
    /// So many at once in each run.
    PerRun(usize),
    Counted(Counted),
    Paced(Paced),
}

impl Limit {
    /// At most so many tasks at once, in all workflows that have this limit.
    ///
    /// A number alone, as in `.limit("db", 2)`, is a limit of each run on its own.
    ///
    /// # Panics
    ///
    /// Panics if it is 0, since nothing could ever run, or more than 2^61 - 1.
    ///
    /// ```
    /// use dotflow::limits::Limit;
    ///
    /// let connections = Limit::at_once(2);
    /// assert_eq!(format!("{connections:?}"), "Limit(at most 2 at once)");
    /// ```
    pub fn at_once(tasks: usize) -> Self {
        Self(Kind::Counted(Counted::new(tasks)))
    }

    /// At most so many attempts in a time, in all workflows that have this limit.
    ///
    /// ```
    /// use dotflow::limits::{Limit, Rate};
    ///
    /// let calls = Limit::rate(Rate::per_second(10));
    /// assert_eq!(format!("{calls:?}"), "Limit(one each 100ms)");
    /// ```
    pub fn rate(rate: Rate) -> Self {
        Self(Kind::Paced(Paced::new(rate)))
    }
}

impl From<usize> for Limit {
    /// At most so many tasks at once in each run.
    ///
    /// # Panics
    ///
    /// Panics if it is 0, since nothing could ever run.
    fn from(tasks: usize) -> Self {
        check(tasks);
        Self(Kind::PerRun(tasks.min(Semaphore::MAX_PERMITS)))
    }
}

impl From<&Self> for Limit {
    fn from(limit: &Self) -> Self {
        limit.clone()
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::PerRun(tasks) => write!(formatter, "Limit(at most {tasks} at once in each run)"),
            Kind::Counted(counted) => {
                write!(formatter, "Limit(at most {} at once)", counted.tasks)
            }
            Kind::Paced(paced) => write!(formatter, "Limit(one each {:?})", paced.interval),
        }
    }
}

/// How often an attempt may begin: evenly, one after each interval, so that no window of time has more
/// than its share.
///
/// ```
/// use dotflow::limits::Rate;
/// use std::time::Duration;
///
/// assert_eq!(Rate::per_second(10).interval(), Duration::from_millis(100));
/// assert_eq!(Rate::per_minute(30), Rate::every(Duration::from_secs(2)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    interval: Duration,
}

impl Rate {
    /// So many attempts a second.
    ///
    /// # Panics
    ///
    /// Panics if it is 0, or more than 1,000,000,000.
    ///
    /// ```
    /// use dotflow::limits::Rate;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Rate::per_second(4).interval(), Duration::from_millis(250));
    /// ```
    pub fn per_second(attempts: u32) -> Self {
        Self::per(Duration::from_secs(1), attempts)
    }

    /// So many attempts a minute.
    ///
    /// # Panics
    ///
    /// Panics if it is 0.
    ///
    /// ```
    /// use dotflow::limits::Rate;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Rate::per_minute(6).interval(), Duration::from_secs(10));
    /// ```
    pub fn per_minute(attempts: u32) -> Self {
        Self::per(Duration::from_secs(60), attempts)
    }

    /// One attempt each time the interval has passed.
    ///
    /// # Panics
    ///
    /// Panics if it is zero, or longer than one year (365 days).
    ///
    /// ```
    /// use dotflow::limits::Rate;
    /// use std::time::Duration;
    ///
    /// let hourly = Rate::every(Duration::from_secs(3600));
    /// assert_eq!(hourly.interval(), Duration::from_secs(3600));
    /// ```
    pub fn every(interval: Duration) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        assert!(
            !interval.is_zero(),
            "a rate without an interval is no limit"
        );
        assert!(
            interval <= YEAR,
            "a rate has an interval of at most one year"
        );
        Self { interval }
    }

    fn per(time: Duration, attempts: u32) -> Self {
        assert!(attempts >= 1, "at a rate of 0 nothing could ever run");
        Self::every(time / attempts)
    }

    /// The time between the beginnings of two attempts.
    pub fn interval(&self) -> Duration {
        self.interval
    }
}

fn check(tasks: usize) {
    assert!(tasks >= 1, "at a limit of 0 nothing could ever run");
}

/// Limits have numbers, so that all who take several take them in one order, the last one first: then
/// nobody waits for one that another one holds who waits for theirs. Those of a run are made when it
/// begins, and so taken before those that others take as well: who waits for a limit of its run, or of
/// a workflow within, keeps no other run from anything.
fn next_id() -> u64 {
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// So many at once.
#[derive(Clone)]
struct Counted {
    id: u64,
    tasks: usize,
    free: Arc<Semaphore>,
}

impl Counted {
    fn new(tasks: usize) -> Self {
        check(tasks);
        Self {
            id: next_id(),
            tasks,
            free: Arc::new(Semaphore::new(tasks)),
        }
    }
}

/// One each interval. Who is to be the next one holds the lock until it begins; within is from when it
/// may.
#[derive(Clone)]
struct Paced {
    id: u64,
    interval: Duration,
    next: Arc<Mutex<Option<Instant>>>,
}

impl Paced {
    fn new(rate: Rate) -> Self {
        Self {
            id: next_id(),
            interval: rate.interval,
            next: Arc::default(),
        }
    }
}

/// The limits of a workflow, by group.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupLimits {
    limits: Vec<(Arc<str>, Limit)>,
    rates: Vec<(Arc<str>, Rate)>,
}

impl GroupLimits {
    pub(crate) fn limit(&mut self, group: Arc<str>, limit: Limit) {
        self.limits.push((group, limit));
    }

    pub(crate) fn rate(&mut self, group: Arc<str>, rate: Rate) {
        self.rates.push((group, rate));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.rates.is_empty()
    }

    /// Whether some of them waits for a time.
    pub(crate) fn need_timer(&self) -> bool {
        let paced = |(_, limit): &(Arc<str>, Limit)| matches!(limit.0, Kind::Paced(_));
        !self.rates.is_empty() || self.limits.iter().any(paced)
    }
}
