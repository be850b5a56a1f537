//! What is told of a run when it has ended: plain data, without the outputs of its tasks.

pub mod event;
pub(crate) mod id;
pub(crate) mod record;
pub(crate) mod recorded;
pub(crate) mod status;
mod times;
pub mod tree;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

#[doc(inline)]
pub use self::{
    event::{Event, EventKind, TaskRef, WaitReason},
    id::TaskId,
    recorded::{Progress, Recorded},
};
use self::{
    status::Status,
    tree::{Line, Tree},
};
use crate::error::TaskError;

/// The version of the written form.
const FORMAT: u32 = 1;

/// What a run was: its status, and one report per task.
///
/// It is plain data: it can be cloned, kept, written by any `serde` format and read back.
/// `Display` draws it as a tree. Outputs are not in it.
///
/// ```
/// use dotflow::{action, task, DotFlow, Report, Status};
///
/// #[action]
/// fn extract() -> u32 { 3 }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = DotFlow::new("sales", task(extract())).start_blocking()?;
/// let written = serde_json::to_string(run.report())?;
/// let report: Report = serde_json::from_str(&written)?;
/// assert_eq!(report.status(), Status::Completed);
/// assert_eq!(report.tasks()[0].name(), "extract");
/// assert_eq!(report.to_string(), run.to_string());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    #[serde(deserialize_with = "format")]
    pub(crate) format: u32,
    pub(crate) workflow_id: String,
    pub(crate) name: String,
    pub(crate) status: Status,
    #[serde(with = "times::utc")]
    pub(crate) started_at: SystemTime,
    #[serde(with = "times::utc")]
    pub(crate) finished_at: SystemTime,
    #[serde(with = "times::seconds")]
    pub(crate) duration: Duration,
    /// Why the run is not a success, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    pub(crate) tasks: Vec<TaskReport>,
}

/// Reports of a later form may mean something else by what they say.
fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        FORMAT => Ok(FORMAT),
        other => Err(D::Error::custom(format_args!(
            "the report has format {other}, and this version of dotflow reads format {FORMAT}"
        ))),
    }
}

impl Report {
    pub(crate) const FORMAT: u32 = FORMAT;

    /// The id of the run, as in its traces.
    pub fn workflow_id(&self) -> &str {
        &self.workflow_id
    }

    /// The name of the workflow.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the run ended.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether every output that was asked for is there and no failure was left unhandled.
    ///
    /// ```
    /// # use dotflow::{action, task, DotFlow};
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("refused", task(refuse())).start_blocking()?;
    /// assert!(!run.report().succeeded());
    /// # Ok(()) }
    /// ```
    pub fn succeeded(&self) -> bool {
        self.status == Status::Completed
    }

    /// When the run began.
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// When the run ended.
    pub fn finished_at(&self) -> SystemTime {
        self.finished_at
    }

    /// How long the run took.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Why the run is not a success, in words; `None` where it is one.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What became of each task, by number; items of one task by their index. The tasks of nested
    /// workflows come after those of the workflow that they are nested in, and know their
    /// [`parent`](TaskReport::parent).
    pub fn tasks(&self) -> &[TaskReport] {
        &self.tasks
    }

    /// The tasks in the order of the tree, each with its depth: nested ones below their parents.
    fn in_depth(&self) -> Vec<(usize, &TaskReport)> {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.tasks.len()];
        let mut open: Vec<(usize, usize)> = Vec::new();
        for (place, task) in self.tasks.iter().enumerate() {
            match task.parent.and_then(|parent| children.get_mut(parent)) {
                Some(siblings) => siblings.push(place),
                None => open.push((1, place)),
            }
        }
        open.reverse();
        let mut tasks = Vec::with_capacity(self.tasks.len());
        while let Some((depth, place)) = open.pop() {
            tasks.push((depth, &self.tasks[place]));
            // Taken, so that a report from elsewhere whose parents go round in a circle has an end.
            let below = std::mem::take(&mut children[place]);
            open.extend(below.into_iter().rev().map(|place| (depth + 1, place)));
        }
        tasks
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tree = Tree::new();
        let (ok, status) = (self.status.ok(), self.status.as_str());
        let with_times = !formatter.alternate();
        tree.push(
            0,
            if with_times {
                Line::trace(&*self.workflow_id, &*self.name).ended(self.duration, ok, status)
            } else {
                Line::trace("…", &*self.name).without_duration(ok, status)
            },
        );
        for (depth, task) in self.in_depth() {
            task.draw(&mut tree, depth, with_times);
        }
        fmt::Display::fmt(&tree, formatter)
    }
}

/// What became of one task, or of one item of a task made by [`each`](crate::Task::each).
///
/// ```
/// use dotflow::{action, task, DotFlow, Status};
///
/// #[action(retry = 2, retry_delay = 0)]
/// fn load() -> Result<(), String> { Err("the table is locked".into()) }
///
/// # fn main() -> Result<(), dotflow::Error> {
/// let run = DotFlow::new("sales", task(load()).group("warehouse")).start_blocking()?;
/// let load = &run.tasks()[0];
/// assert_eq!((load.id(), load.name(), load.group()), (0, "load", Some("warehouse")));
/// assert_eq!(load.status(), Status::Failed);
/// assert_eq!((load.retry_count(), load.attempts().len()), (1, 2));
/// assert_eq!(load.errors()[1].to_string(), "the table is locked");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskReport {
    #[serde(flatten)]
    pub(crate) id: TaskId,
    /// The place of the task that it is nested in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waited_for: Option<WaitReason>,
    pub(crate) name: Cow<'static, str>,
    pub(crate) group: Option<String>,
    pub(crate) status: Status,
    /// The numbers of the tasks that it depends on.
    #[serde(default)]
    pub(crate) after: Vec<u32>,
    #[serde(with = "times::maybe_utc")]
    pub(crate) started_at: Option<SystemTime>,
    #[serde(with = "times::seconds")]
    pub(crate) duration: Duration,
    #[serde(default, with = "times::seconds")]
    pub(crate) wait: Duration,
    pub(crate) retry_count: u32,
    #[serde(default)]
    pub(crate) attempts: Vec<AttemptReport>,
    pub(crate) restored: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) item_label: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) recorded: BTreeMap<String, Recorded>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<Progress>,
    pub(crate) errors: Vec<TaskError>,
}

impl TaskReport {
    /// The number of the task in its workflow, and the index of the item.
    pub fn task_id(&self) -> TaskId {
        self.id
    }

    /// Where the task stands, in the list of the report, whose workflow this one is a task of; `None`
    /// for the tasks of the run's own workflow, which come first.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn answer() -> u32 { 42 }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let inner = DotFlow::new("inner", task(answer()));
    /// let run = DotFlow::new("outer", task(inner)).start_blocking()?;
    /// let told: Vec<_> = run.tasks().iter().map(|task| (task.name(), task.parent())).collect();
    /// assert_eq!(told, [("inner", None), ("answer", Some(0))]);
    /// # Ok(()) }
    /// ```
    pub fn parent(&self) -> Option<usize> {
        self.parent
    }

    /// The number of the task in its workflow, from 0.
    pub fn id(&self) -> usize {
        self.id.number as usize
    }

    /// The name of the task.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The group of the task; `None` where it was given none.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The index of the item, from 0, for a sub-task of [`each`](crate::Task::each); `None` for any
    /// other task.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn words() -> Vec<String> { vec!["to".into(), "trust".into()] }
    ///
    /// #[action]
    /// fn length(word: PreviousContext<String>) -> usize { word.len() }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("lengths", task(words()).each(length())).start_blocking()?;
    /// let items: Vec<_> = run.tasks().iter().map(|task| (task.id(), task.item())).collect();
    /// assert_eq!(items, [(0, None), (1, Some(0)), (1, Some(1))]);
    /// # Ok(()) }
    /// ```
    pub fn item(&self) -> Option<usize> {
        self.id.item.map(|item| item as usize)
    }

    /// The label of the item, as [`item_labels`](crate::Task::item_labels) gives it; `None` for a task
    /// without one.
    pub fn item_label(&self) -> Option<&str> {
        self.item_label.as_deref()
    }

    /// What the task has recorded of itself by
    /// [`TaskContext::record`](crate::TaskContext::record), the last value of each key.
    ///
    /// ```
    /// use dotflow::{action, report::Recorded, task, DotFlow, TaskContext};
    ///
    /// #[action]
    /// fn load(task: TaskContext) { task.record("rows", 3); }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("sales", task(load())).start_blocking()?;
    /// assert_eq!(run.tasks()[0].recorded()["rows"], Recorded::Int(3));
    /// # Ok(()) }
    /// ```
    pub fn recorded(&self) -> &BTreeMap<String, Recorded> {
        &self.recorded
    }

    /// How far the task said last that it had come; `None` where it has said nothing.
    pub fn progress(&self) -> Option<Progress> {
        self.progress
    }

    /// How the task ended.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The numbers of the tasks that it depends on: the edges of the graph.
    pub fn after(&self) -> &[u32] {
        &self.after
    }

    /// When the first attempt began, that is its function, which may have waited for a thread; `None`
    /// for a task that was never started.
    pub fn started_at(&self) -> Option<SystemTime> {
        self.started_at
    }

    /// How long the task took, with all attempts and the delays between them, but without what it
    /// [waited](Self::wait) for; zero for a task that was never started.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// How long the task waited: from when it could have begun until its first attempt did, and
    /// for a thread before each further one; zero for a task that was never started.
    ///
    /// It could have begun when the last task before it had ended. What it waits for is a slot among
    /// the tasks that may run at once, its checkpoint where there is a storage, and a thread of the
    /// blocking pool for a plain function.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// async fn nap() { tokio::time::sleep(Duration::from_millis(20)).await }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let both = DotFlow::new("both", (task(nap()), task(nap()))).concurrency(1);
    /// let run = both.start_blocking()?;
    /// assert!(run.tasks()[0].wait() < Duration::from_millis(20));
    /// assert!(run.tasks()[1].wait() >= Duration::from_millis(20)); // until the first one had ended
    /// # Ok(()) }
    /// ```
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// What the task waited for besides a slot and a thread; `None` for most tasks: nothing.
    ///
    /// ```
    /// use dotflow::{action, report::WaitReason, task, DotFlow};
    ///
    /// #[action]
    /// async fn query() { tokio::task::yield_now().await }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let queries = [(); 2].map(|()| task(query()).group("db"));
    /// let run = DotFlow::new("queries", Vec::from(queries)).limit("db", 1).start_blocking()?;
    /// assert_eq!(run.tasks()[0].waited_for(), None);
    /// assert_eq!(run.tasks()[1].waited_for(), Some(WaitReason::Limit));
    /// # Ok(()) }
    /// ```
    pub fn waited_for(&self) -> Option<WaitReason> {
        self.waited_for
    }

    /// How many attempts followed the first one. All of them count, also where not all are listed.
    pub fn retry_count(&self) -> u32 {
        self.retry_count
    }

    /// When each attempt began, and how long it took: the first one and the last ones, where there
    /// were many. Empty for a task that was restored or never started.
    pub fn attempts(&self) -> &[AttemptReport] {
        &self.attempts
    }

    /// The errors of failed attempts, in order: the first one and the last ones, where there were
    /// many, as each knows its [`attempt`](TaskError::attempt).
    pub fn errors(&self) -> &[TaskError] {
        &self.errors
    }

    /// Whether the output came from a checkpoint, and the task was not run.
    pub fn restored(&self) -> bool {
        self.restored
    }

    fn draw(&self, tree: &mut Tree, depth: usize, with_times: bool) {
        let line = match &self.item_label {
            Some(label) => Line::task(self.id(), &format!("{}[{label}]", self.name()), None),
            None => Line::task(self.id(), self.name(), self.item()),
        };
        let status = self.status.as_str();
        let was_begun = !matches!(self.status, Status::NotStarted | Status::Skipped);
        let line = if was_begun && with_times {
            line.ended(self.duration, self.status.ok(), status)
        } else {
            line.without_duration(self.status.ok().filter(|_| was_begun), status)
        };
        tree.push(depth, if self.restored { line.restored() } else { line });
        for error in &self.errors {
            let (name, text) = (error.type_name(), error.to_string());
            tree.push(
                depth + 1,
                match error.next_attempt_in() {
                    Some(delay) => Line::retry(error.attempt(), name, &text, delay),
                    None => Line::exception(name, &text),
                },
            );
        }
    }
}

/// One attempt of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptReport {
    pub(crate) number: u32,
    #[serde(with = "times::utc")]
    pub(crate) started_at: SystemTime,
    #[serde(with = "times::seconds")]
    pub(crate) duration: Duration,
}

impl AttemptReport {
    /// The number of the attempt, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// When its function began, which may have waited for a thread.
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}
