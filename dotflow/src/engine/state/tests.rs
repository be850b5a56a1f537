//! Random graphs and outcomes, settled in any order, against a model of what must come of them.

mod model;

use std::{
    collections::BTreeSet,
    rc::{Rc, Weak},
};

use proptest::{collection::vec, prelude::*};

use self::model::{Graph, Kind, Model, graphs};
use super::{Change, Collect, State, Work};
use crate::{
    action::inputs::{Slot, Slots},
    error::TaskError,
    graph::plan::Plan,
    report::{id::TaskId, status::Status},
};

/// Outputs are the numbers of their tasks, shared, so that a test sees who still has one.
type Output = Rc<u32>;

/// What a run was seen to do, in order.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Begun(TaskId),
    Settled(TaskId),
    Changed(Change),
}

/// A run without an executor: what is given out is settled in an order that a list of numbers says.
struct Run<'graph> {
    graph: &'graph Graph,
    plan: &'graph Plan,
    model: &'graph Model,
    state: State<&'graph Plan, Output>,
    keep_going: bool,
    running: Vec<TaskId>,
    begun: BTreeSet<u32>,
    /// Tasks that others were begun without, in a run that has stopped.
    given_up: BTreeSet<u32>,
    outputs: Vec<Weak<u32>>,
    seen: Vec<Seen>,
}

impl<'graph> Run<'graph> {
    fn new(
        graph: &'graph Graph,
        plan: &'graph Plan,
        model: &'graph Model,
        keep_going: bool,
    ) -> Self {
        Self {
            graph,
            plan,
            model,
            state: State::new(plan, None, keep_going, false),
            keep_going,
            running: Vec::new(),
            begun: BTreeSet::new(),
            given_up: BTreeSet::new(),
            outputs: graph.nodes.iter().map(|_| Weak::new()).collect(),
            seen: Vec::new(),
        }
    }

    /// Carries the run out. Each number says whether to begin something or which task to settle.
    fn drive(mut self, order: &[u8]) -> Self {
        let mut order = order.iter().copied().cycle().map(usize::from);
        loop {
            let choice = order.next().expect("it goes round and round");
            let begins = self.running.is_empty() || choice % 3 > 0;
            if !(begins && self.begin()) {
                if self.running.is_empty() {
                    self.note_changes();
                    return self;
                }
                let settled = self.running.swap_remove(choice % self.running.len());
                self.settle(settled);
            }
            self.note_changes();
            self.check_outputs();
        }
    }

    /// Begins what is next. Returns whether there was anything.
    fn begin(&mut self) -> bool {
        let id = match self.state.next() {
            None => return false,
            Some(Work::Run { id, slots, .. }) => {
                self.check_inputs(id.number, slots);
                id
            }
            Some(Work::Split { task, list }) => {
                self.check_inputs(task, Slots::One(Slot::Value(list)));
                let items = self.graph.nodes[task as usize].items();
                let count = u32::try_from(items.len()).unwrap();
                let collect = self.state.split(task, count);
                assert_eq!(collect.is_some(), count == 0);
                self.collect(collect);
                return true;
            }
            Some(Work::Item { id, .. }) => id,
        };
        self.check_may_begin(id.number);
        self.seen.push(Seen::Begun(id));
        self.running.push(id);
        true
    }

    fn settle(&mut self, id: TaskId) {
        self.seen.push(Seen::Settled(id));
        let result = if self.graph.nodes[id.number as usize].succeeds(id.item) {
            Ok(Rc::new(id.number))
        } else {
            Err(TaskError::failed("no"))
        };
        if let (Ok(output), None) = (&result, id.item) {
            self.outputs[id.number as usize] = Rc::downgrade(output);
        }
        let collect = self.state.settle(id, result, false);
        self.collect(collect);
    }

    fn collect(&mut self, collect: Option<Collect<Output>>) {
        let Some(Collect { task, results }) = collect else {
            return;
        };
        let items = self.graph.nodes[task as usize].items();
        let came_of: Vec<bool> = results.iter().map(Result::is_ok).collect();
        assert_eq!(came_of, items);
        let output = Rc::new(task);
        self.outputs[task as usize] = Rc::downgrade(&output);
        let collect = self.state.settle(TaskId::task(task), Ok(output), false);
        assert!(collect.is_none());
    }

    fn note_changes(&mut self) {
        let changes: Vec<Change> = self.state.changes().collect();
        self.seen.extend(changes.into_iter().map(Seen::Changed));
    }

    /// Once a failure is left that no task behind it can handle any more, only tasks that can do
    /// without some input are begun.
    fn check_may_begin(&self, task: u32) {
        if self.keep_going || self.plan.tasks[task as usize].is_clean_up() {
            return;
        }
        for failed in &self.model.unhandled {
            if self.state.status(*failed) == Status::Failed {
                let is_open = self.has_open_tasks_after(*failed);
                assert!(is_open, "task {task} is begun though {failed} has failed");
            }
        }
    }

    fn has_open_tasks_after(&self, task: u32) -> bool {
        let mut after = self.plan.successors(task).iter();
        after.any(|after| {
            let is_skipped = self.state.status(*after) == Status::Skipped;
            !is_skipped && !self.begun.contains(after) || self.has_open_tasks_after(*after)
        })
    }

    /// A task is begun once, when all before it are settled, and with their outputs.
    fn check_inputs(&mut self, task: u32, slots: Slots<Output>) {
        assert!(self.begun.insert(task), "task {task} is begun twice");
        assert!(!self.given_up.contains(&task), "task {task} is begun late");
        let mut arrived = Vec::new();
        match slots {
            Slots::None => {}
            Slots::One(slot) => flatten(slot, &mut arrived),
            Slots::Many(slots) => slots.for_each(|slot| flatten(slot, &mut arrived)),
        }
        let before: Vec<u32> = self.plan.tasks[task as usize].after().collect();
        assert_eq!(arrived.len(), before.len());
        for (before, output) in before.into_iter().zip(arrived) {
            match self.state.status(before) {
                Status::Completed => assert_eq!(output.as_deref(), Some(&before)),
                Status::Failed | Status::Skipped => assert_eq!(output, None),
                Status::NotStarted => {
                    assert!(!self.keep_going, "task {task} is begun before {before}");
                    assert_eq!(output, None);
                    self.given_up.insert(before);
                }
                status => panic!("nothing is {status}"),
            }
        }
    }

    /// An output is kept as long as somebody will read it, and no longer. (In a run that stops,
    /// only the state knows who won't.)
    fn check_outputs(&self) {
        for (number, output) in (0u32..).zip(&self.outputs) {
            if self.state.status(number) != Status::Completed {
                assert_eq!(output.strong_count(), 0);
                continue;
            }
            let will_read = |task: &u32| {
                let is_skipped = self.state.status(*task) == Status::Skipped;
                !is_skipped && !self.begun.contains(task)
            };
            let is_needed =
                self.is_kept(number) || self.plan.successors(number).iter().any(will_read);
            if is_needed && !self.keep_going {
                continue;
            }
            assert_eq!(
                output.strong_count(),
                usize::from(is_needed),
                "task {number}"
            );
        }
    }

    fn is_kept(&self, task: u32) -> bool {
        self.plan.sinks.contains(&task) || self.plan.tasks[task as usize].settings.keep
    }

    /// Whether a run that has ended before its time explains the status of a task: it was never
    /// begun, or can't be, since one before it wasn't.
    fn is_cut_short(&self, task: u32) -> bool {
        let differs =
            |before: u32| self.state.status(before) != self.model.statuses[before as usize];
        match self.state.status(task) {
            Status::NotStarted | Status::Cancelled => true,
            Status::Skipped => self.plan.tasks[task as usize].after().any(differs),
            _ => false,
        }
    }

    /// What must be true when nothing more is to be done.
    fn check_end(&self) {
        for (number, expected) in (0u32..).zip(&self.model.statuses) {
            let status = self.state.status(number);
            if self.keep_going || !self.model.has_failed || !self.is_cut_short(number) {
                assert_eq!(status, *expected, "task {number}");
            }
            if let Kind::Once { .. } = self.graph.nodes[number as usize].kind {
                let was_run = matches!(status, Status::Completed | Status::Failed);
                assert_eq!(was_run, self.begun.contains(&number), "task {number}");
            }
            let skipped = Seen::Changed(Change::Skipped(number));
            let told = self.seen.iter().filter(|seen| **seen == skipped).count();
            assert_eq!(
                told,
                usize::from(status == Status::Skipped),
                "task {number}"
            );
            let has_output = status == Status::Completed && self.is_kept(number);
            assert_eq!(
                self.outputs[number as usize].strong_count(),
                usize::from(has_output)
            );
            assert_eq!(self.state.output(number).is_ok(), has_output);
        }
        assert_eq!(self.state.failure().is_some(), self.model.has_failed);
        let numbers = 0..u32::try_from(self.graph.nodes.len()).unwrap();
        let is_unfinished = numbers.into_iter().any(|task| self.is_unfinished(task));
        assert_eq!(self.state.is_unfinished(), is_unfinished);
    }

    /// Whether a task, or one of its items, was never begun.
    fn is_unfinished(&self, task: u32) -> bool {
        let items = match &self.graph.nodes[task as usize].kind {
            Kind::Each(items) | Kind::Settled(items) if self.begun.contains(&task) => items.len(),
            _ => return self.state.status(task) == Status::NotStarted,
        };
        let begun = |seen: &&Seen| matches!(seen, Seen::Begun(id) if id.number == task);
        self.seen.iter().filter(begun).count() < items
    }
}

fn flatten(slot: Slot<Output>, arrived: &mut Vec<Option<Output>>) {
    match slot {
        Slot::Value(output) => arrived.push(Some(output)),
        Slot::Missing(_) => arrived.push(None),
        Slot::All(slots) => slots.into_iter().for_each(|slot| flatten(slot, arrived)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_comes_to_what_the_model_says(
        graph in graphs(),
        order in vec(any::<u8>(), 1..40),
        keep_going in any::<bool>(),
    ) {
        let (plan, model) = (graph.plan(), graph.model());
        let run = Run::new(&graph, &plan, &model, keep_going).drive(&order);
        run.check_end();
        // The same outcomes in the same order lead to the same work.
        let again = Run::new(&graph, &plan, &model, keep_going).drive(&order);
        prop_assert_eq!(&run.seen, &again.seen);
    }

    #[test]
    fn a_run_that_is_halted_still_has_one_status_per_task_and_a_reason_per_output(
        graph in graphs(),
        order in vec(any::<u8>(), 1..40),
        keep_going in any::<bool>(),
        steps in 0_usize..12,
    ) {
        let (plan, model) = (graph.plan(), graph.model());
        let mut run = Run::new(&graph, &plan, &model, keep_going);
        for choice in order.iter().cycle().take(steps) {
            if !run.begin() || choice % 2 == 0 {
                match run.running.pop() {
                    Some(id) => run.settle(id),
                    None => break,
                }
            }
        }
        let running = run.running.clone();
        for id in &running {
            run.state.interrupt(*id);
        }
        run.state.halt(TaskError::failed("halted"));
        for id in running.iter().filter(|id| id.item.is_none()) {
            prop_assert_eq!(run.state.status(id.number), Status::Cancelled);
        }
        prop_assert!(running.is_empty() || run.state.is_unfinished());
        for (number, expected) in (0u32..).zip(&model.statuses) {
            if !run.is_cut_short(number) {
                prop_assert_eq!(&run.state.status(number), expected);
            }
            if let Err(error) = run.state.output(number) {
                let message = error.to_string();
                prop_assert!(["no", "halted"].contains(&&*message) || message.starts_with("skipped"));
            }
        }
    }
}
