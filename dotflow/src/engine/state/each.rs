//! The items of a task made by `each`, as the state of a run knows them: which of them has begun,
//! what came of each, and when the list of outputs is complete.

use crate::{
    error::{TaskError, TaskErrorKind},
    report::status::Status,
};

/// A task made by `each` while its items are run.
pub(super) struct EachState<V> {
    items: Vec<ItemState<V>>,
    next: u32,
    running: u32,
    /// How many items were given out and have to wait: no further one is given out as long as there
    /// are any.
    held: u32,
    /// Whether no further item is to be begun.
    is_abandoned: bool,
    /// Whether failures of items are handed on as they are, so that the task itself can't fail.
    settles: bool,
    /// Whether the list follows from a failure.
    pub(super) follows_failure: bool,
    /// Whether what comes after the task takes its failure, once that was asked.
    pub(super) is_handled: Option<bool>,
    /// The failure of the item with the smallest index.
    failure: Option<(u32, TaskError)>,
}

struct ItemState<V> {
    status: Status,
    result: Option<Result<V, TaskError>>,
}

/// What came of all items.
pub(super) enum EachEnd<V> {
    /// All have an output; or an error, where these are handed on.
    Results(Vec<Result<V, TaskError>>),
    Failed(TaskError),
    /// The run stopped before all had begun, and none has failed.
    CutShort,
}

impl<V> EachState<V> {
    pub(super) fn new(count: u32, settles: bool, follows_failure: bool) -> Self {
        let items = (0..count).map(|_| ItemState {
            status: Status::NotStarted,
            result: None,
        });
        Self {
            items: items.collect(),
            next: 0,
            running: 0,
            held: 0,
            is_abandoned: false,
            settles,
            follows_failure,
            is_handled: None,
            failure: None,
        }
    }

    /// Begins the next item; the caller has made sure that there is one.
    pub(super) fn begin(&mut self) -> u32 {
        let item = self.next;
        self.next += 1;
        self.running += 1;
        item
    }

    /// Takes in that an item that was given out will not be begun.
    pub(super) fn withdraw(&mut self) {
        self.running -= 1;
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    /// Gives out no further item until this one has begun.
    pub(super) fn hold(&mut self) {
        self.held += 1;
    }

    /// Takes in that an item that had to wait has begun. Returns whether it was the last of them.
    pub(super) fn release(&mut self) -> bool {
        self.held -= 1;
        self.held == 0
    }

    pub(super) fn has_further(&self) -> bool {
        !self.is_abandoned() && (self.next as usize) < self.items.len()
    }

    pub(super) fn abandon(&mut self) {
        self.is_abandoned = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.running == 0 && !self.has_further()
    }

    /// Whether failures of items are handed on.
    pub(super) fn settles(&self) -> bool {
        self.settles
    }

    pub(super) fn settle(&mut self, item: u32, result: Result<V, TaskError>) {
        self.running -= 1;
        let state = &mut self.items[item as usize];
        match result {
            Ok(output) => {
                state.status = Status::Completed;
                state.result = Some(Ok(output));
            }
            Err(error) if self.settles => {
                state.status = Status::Failed;
                state.result = Some(Err(error));
            }
            Err(error) => {
                state.status = Status::Failed;
                let is_first = self.failure.as_ref().is_none_or(|(first, reason)| {
                    item < *first || reason.kind() == TaskErrorKind::Stopped
                });
                if is_first {
                    self.failure = Some((item, error));
                }
            }
        }
    }

    /// Takes in that an item has ended the run: the task ends with it.
    pub(super) fn end_early(&mut self, item: u32, reason: TaskError) {
        self.running -= 1;
        self.items[item as usize].status = Status::Completed;
        self.failure.get_or_insert((item, reason));
    }

    pub(super) fn interrupt(&mut self, item: u32) {
        self.items[item as usize].status = Status::Cancelled;
    }

    /// What came of them, once they are [over](Self::is_over).
    pub(super) fn end(&mut self) -> EachEnd<V> {
        if let Some((_, error)) = self.failure.take() {
            return EachEnd::Failed(error);
        }
        if self.items.iter().any(|item| item.result.is_none()) {
            return EachEnd::CutShort;
        }
        let results = self.items.iter_mut();
        EachEnd::Results(results.filter_map(|item| item.result.take()).collect())
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = Status> {
        self.items.iter().map(|item| item.status)
    }
}
