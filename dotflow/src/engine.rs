//! Runs a workflow in this process: gives out what the state says is next, waits for what comes of
//! it, and ends what is left when the run is halted.
//!
//! One loop owns the state of a run; tasks only report to it. A single ready task is run in place,
//! so a chain is one tokio task; several are spawned, up to the workflow's concurrency. There is
//! no recursion over the graph anywhere.

pub(crate) mod state;
mod sharing;
mod waiting;
mod finishing;
mod perform;
mod attempts;
mod guard;
mod persist;
pub(crate) mod records;
mod call;
pub(crate) mod ends;
pub(crate) mod context;

use std::{
    collections::BTreeMap,
    future::Future,
    panic::resume_unwind,
    pin::{Pin, pin},
    sync::Arc,
};

use futures_util::future::{Either, select};
use tokio::task::JoinSet;
use tracing::Dispatch;

use self::{
    context::{Notes, RunContext},
    guard::Outcome,
    perform::{Begin, fail, perform},
    records::Records,
    state::{Change, Collect, State, Work},
    waiting::Waiting,
};
use crate::{
    action::{
        inputs::{Slot, Slots},
        value::Value,
    },
    error::{Cause, TaskError},
    graph::plan::Plan,
    limits::GroupLimits,
    offload::{self, carried},
    report::{id::TaskId, record::Record, status::Status},
    unwind::{bystander, drop_catching},
};

/// How a workflow is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) concurrency: usize,
    /// Whether tasks that don't depend on a failed one are still begun.
    pub(crate) keep_going: bool,
    pub(crate) groups: GroupLimits,
}

/// What a run came to.
pub(crate) struct Finished {
    pub(crate) status: Status,
    pub(crate) cause: Option<Box<Cause>>,
    pub(crate) records: Records,
    /// The outputs of the sinks, in their order, and then those of tasks that are to be kept; each
    /// with the id of the task's node.
    pub(crate) outputs: Vec<(u64, Result<Value, TaskError>)>,
    /// Whether an output follows from a failure that was handled.
    pub(crate) follows_failure: bool,
    /// What was noted of a few tasks.
    pub(crate) notes: Option<Box<Notes>>,
}

type Items = Box<dyn ExactSizeIterator<Item = Value> + Send>;

pub(crate) struct Engine<'run> {
    /// Borrowed, which avoids two atomic reference counts for a task that runs in place.
    context: &'run Arc<RunContext>,
    concurrency: usize,
    state: State<&'run Plan, Value>,
    records: Records,
    /// The lists of tasks made by `each`, as far as their items have not begun.
    items: BTreeMap<u32, Items>,
    running: JoinSet<Outcome>,
    /// What is to be begun, and waits for what the run shares; only where it does share.
    waiting: Option<Box<Waiting>>,
    /// The subscriber of the caller, which spawned tasks are to have as well.
    subscriber: Option<Dispatch>,
}

impl<'run> Engine<'run> {
    pub(crate) fn new(
        context: &'run Arc<RunContext>,
        limits: &Limits,
        input: Option<Value>,
    ) -> Self {
        let plan: &Plan = &context.plan;
        let subscriber = offload::subscriber();
        Self {
            context,
            concurrency: limits.concurrency,
            state: State::new(plan, input, limits.keep_going, context.follows_failure),
            records: Records::new(plan, context.telemetry.is_told()),
            items: BTreeMap::new(),
            running: JoinSet::new(),
            waiting: None,
            subscriber,
        }
    }

    /// Runs everything that can be run, until the run is halted.
    pub(crate) async fn run(mut self) -> Finished {
        let halted = pin!(self.context.halted());
        let was_halted = match &self.context.admission {
            None => self.drive(halted).await,
            // In a box, so that a run without is not the larger for it.
            Some(admission) => Box::pin(self.drive_sharing(admission, halted)).await,
        };
        if was_halted {
            self.give_up().await;
        }
        self.finish(was_halted)
    }

    /// Starts tasks and settles them. Returns whether the run was halted before its end.
    async fn drive(&mut self, mut halted: Pin<&mut impl Future<Output = ()>>) -> bool {
        let context = self.context;
        loop {
            while self.running.len() < self.concurrency && !context.is_draining() {
                if context.is_halted() {
                    return true;
                }
                let Some(begin) = self.next() else {
                    break;
                };
                let alone = self.state.is_idle() || self.concurrency == 1;
                if !(alone && self.running.is_empty()) {
                    self.spawn(begin);
                    continue;
                }
                let running = pin!(perform(context, begin));
                match select(running, halted.as_mut()).await {
                    Either::Left((outcome, _)) => self.settle(outcome),
                    Either::Right(_) => return true,
                }
                // A chain of tasks that never wait lets others have the thread now and then: as
                // often as tokio wants it, since each time costs as much as many such tasks do.
                tokio::task::consume_budget().await;
            }
            if self.running.is_empty() {
                return context.is_draining();
            }
            let ended = match select(pin!(self.running.join_next()), halted.as_mut()).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => return true,
            };
            match ended {
                Some(Ok(outcome)) => self.settle(outcome),
                // All user code is caught within, so this is a fault of a subscriber, or of ours:
                // it goes where it would go from a task that runs in place.
                Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
                // Only a runtime that shuts down ends our tasks before they end by themselves.
                Some(Err(_)) => return true,
                None => {}
            }
        }
    }

    /// The next task or item to run, with its inputs.
    #[inline]
    fn next(&mut self) -> Option<Begin> {
        loop {
            let work = self.state.next();
            self.tell();
            match work? {
                Work::Run {
                    id,
                    slots,
                    follows_failure,
                } => return Some(self.begin(id, slots, follows_failure)),
                Work::Split { task, list } => self.split(task, list),
                Work::Item {
                    id,
                    follows_failure,
                } => {
                    if let Some(slots) = self.item(id) {
                        return Some(self.begin(id, slots, follows_failure));
                    }
                }
            }
        }
    }

    #[inline]
    fn begin(&mut self, id: TaskId, slots: Slots, follows_failure: bool) -> Begin {
        Begin {
            id,
            slots,
            follows_failure,
            ready: self.records.ready(&self.context.plan, id),
            rare: None,
        }
    }

    /// Takes the list of a task made by `each` apart.
    fn split(&mut self, task: u32, list: Value) {
        let id = TaskId::task(task);
        let each = self.context.task(id).each;
        let items = (each.expect("only tasks made by `each` have a list").split)(list);
        let Ok(count) = u32::try_from(items.len()) else {
            // Only items without a size are so many.
            let message = format!(
                "a list may have 2^32 - 1 items, and this one has {}",
                items.len()
            );
            let ready = self.records.ready(&self.context.plan, id);
            self.settle(fail(self.context, id, ready, TaskError::failed(message)));
            return;
        };
        let subject = self.context.subject(id);
        self.context.telemetry.items_added(subject, count as usize);
        if count > 0 {
            self.items.insert(task, items);
            let records = vec![Record::default(); count as usize];
            self.records.items.insert(task, records);
        }
        let collect = self.state.split(task, count);
        if let Some(collect) = collect {
            self.context.telemetry.settled(subject, Status::Completed);
            self.collect(collect);
        }
    }

    /// The next item of a list. One that others read too is cloned, which is user code.
    fn item(&mut self, id: TaskId) -> Option<Slots> {
        let items = self.items.get_mut(&id.number);
        let items = items.expect("a list is kept as long as it has items to begin");
        match call::function(|| items.next()) {
            Ok(value) => {
                let value = value.expect("the state counts the items that are left");
                if let Some(label) = &self.context.task(id).item_label {
                    bystander("the label of an item", || {
                        self.context.telemetry.label(id, &label(&*value));
                    });
                }
                Some(Slots::One(Slot::Value(value)))
            }
            Err(message) => {
                let error = call::panicked(&format!("the item can't be cloned: {message}"));
                let ready = self.records.ready(&self.context.plan, id);
                let outcome = fail(self.context, id, ready, error);
                self.settle(outcome);
                None
            }
        }
    }

    fn spawn(&mut self, begin: Begin) {
        let task = perform(Arc::clone(self.context), begin);
        match &self.subscriber {
            Some(subscriber) => self.running.spawn(carried(subscriber.clone(), task)),
            None => self.running.spawn(task),
        };
    }

    /// Takes in what came of a task or an item.
    #[inline]
    fn settle(&mut self, outcome: Outcome) {
        let Outcome {
            id,
            result,
            follows_failure,
            record,
        } = outcome;
        let has_ended = record.status != Status::Cancelled;
        self.records.set(id, record);
        if !has_ended {
            // A workflow that has ended with this run.
            self.state.interrupt(id);
            return;
        }
        let collect = self.state.settle(id, result, follows_failure);
        if let Some(collect) = collect {
            self.collect(collect);
        }
        self.tell();
    }

    /// Puts what came of all items together.
    fn collect(&mut self, Collect { task, results }: Collect<Value>) {
        let id = TaskId::task(task);
        let each = self.context.task(id).each;
        let collect = each.expect("only tasks made by `each` have items").collect;
        // A single task has no outputs to be put together.
        let _: Option<Collect<Value>> = self.state.settle(id, collect(results), false);
    }

    /// Tells what has happened to tasks that did nothing themselves: nothing, for most tasks.
    #[inline]
    fn tell(&mut self) {
        if self.state.has_changed() {
            self.tell_changes();
        }
    }

    #[cold]
    fn tell_changes(&mut self) {
        for change in self.state.changes() {
            match change {
                Change::Skipped(task) => {
                    let subject = self.context.subject(TaskId::task(task));
                    self.context.telemetry.settled(subject, Status::Skipped);
                }
                Change::ItemsOver(task) => drop_catching(self.items.remove(&task)),
            }
        }
    }

    /// Ends what still runs: futures are dropped, and blocking code sees the token.
    async fn give_up(&mut self) {
        let is_idle = self
            .waiting
            .as_ref()
            .is_none_or(|waiting| waiting.is_idle());
        if self.running.is_empty() && is_idle && self.context.is_draining() {
            return;
        }
        self.context.identity.cancellation.cancel();
        self.running.abort_all();
        while let Some(ended) = self.running.join_next().await {
            // Some may have ended by themselves a moment before.
            if let Ok(outcome) = ended {
                self.settle(outcome);
            }
        }
        self.end_workflows().await;
    }
}
