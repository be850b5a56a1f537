//! A task made by `each`: its items, one unit of work each, and the list that comes of them.

use std::{
    collections::btree_map::Entry,
    iter,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{Engine, Unit, attempt::fail, restore};
use crate::{
    error::{TaskError, TaskErrorKind},
    inputs::{Slot, Slots},
    observer::Happening,
    run::TaskReport,
    shield::{discard, panic_message},
    status::Status,
    value::Value,
};

/// A task made by `each` while its items are run.
pub(super) struct Map {
    /// Those that have not begun.
    items: Box<dyn ExactSizeIterator<Item = Value> + Send>,
    next_item: u32,
    running: usize,
    outputs: Vec<Option<Value>>,
    /// The failure of the item with the smallest index.
    error: Option<(u32, TaskError)>,
}

impl Engine<'_> {
    /// Takes the list of a task made by `each` apart.
    pub(super) fn begin_map(&mut self, task: u32, mut slots: Slots) {
        let planned = &self.shared.plan.tasks[task as usize];
        let mapping = planned.mapping.expect("only tasks made by `each` get here");
        let Some(Slot::Value(list)) = slots.next() else {
            unreachable!("a task made by `each` is skipped without its list")
        };
        let items = (mapping.split)(list);
        let length = items.len();
        if let Some(checkpoints) = &self.shared.scope.checkpoints {
            // Here and not with its items, as there may be none.
            restore::mark(checkpoints, planned, task, false);
        }
        if length == 0 {
            return self.finish_empty(task);
        }
        let report = &self.reports[task as usize];
        let numbers = 0..u32::try_from(length).expect("at most 2^32 items fit in memory");
        let reports = numbers.map(|item| TaskReport {
            item: Some(item),
            ..report.clone()
        });
        self.item_reports.insert(task, reports.collect());
        self.maps.insert(
            task,
            Map {
                items,
                next_item: 0,
                running: 0,
                outputs: iter::repeat_with(|| None).take(length).collect(),
                error: None,
            },
        );
        self.ready.push_back(task);
    }

    /// The next item of a task made by `each`, if it has one that is to be run.
    pub(super) fn next_item(&mut self, task: u32) -> Option<(Unit, Slots)> {
        if self.stopped_by.is_some() {
            self.abandon_items(task);
            self.finish_map(task);
            return None;
        }
        let map = self.maps.get_mut(&task)?;
        // A list that others read too is cloned item by item, which is code of the user's.
        let next = catch_unwind(AssertUnwindSafe(|| map.items.next()));
        let item = map.next_item;
        map.next_item += 1;
        map.running += 1;
        if map.items.len() > 0 {
            self.ready.push_back(task);
        }
        let unit = Unit {
            task,
            item: Some(item),
        };
        match next {
            Ok(value) => {
                let value = value.expect("a task is ready only as long as it has further items");
                Some((unit, Slots::One(Slot::Value(value))))
            }
            Err(panic) => {
                let message = format!("the item can't be cloned: {}", panic_message(&*panic));
                discard(panic);
                let error = TaskError::of_kind(TaskErrorKind::Panicked, &message);
                let outcome = fail(self.shared, unit, error);
                self.settle(outcome);
                None
            }
        }
    }

    /// Takes in what came of an item; with the last one the task is settled.
    pub(super) fn settle_item(&mut self, task: u32, item: u32, result: Result<Value, TaskError>) {
        let Some(map) = self.maps.get_mut(&task) else {
            unreachable!("a task made by `each` is not over before its items are")
        };
        map.running -= 1;
        match result {
            Ok(value) => map.outputs[item as usize] = Some(value),
            Err(error) => {
                if map.error.as_ref().is_none_or(|(first, _)| item < *first) {
                    map.error = Some((item, error));
                }
                if !self.limits.keep_going {
                    self.abandon_items(task);
                }
            }
        }
        self.finish_map(task);
    }

    /// Begins no further item of this task.
    fn abandon_items(&mut self, task: u32) {
        self.ready.retain(|ready| *ready != task);
        if let Some(map) = self.maps.get_mut(&task) {
            discard(std::mem::replace(&mut map.items, Box::new(iter::empty())));
        }
    }

    /// Settles the task once none of its items runs, or will.
    fn finish_map(&mut self, task: u32) {
        let map = match self.maps.entry(task) {
            Entry::Occupied(map) if map.get().running == 0 && map.get().items.len() == 0 => {
                map.remove()
            }
            _ => return,
        };
        let result = match map.error {
            Some((_, error)) => Err(error),
            None if map.outputs.iter().all(Option::is_some) => self.collect(task, map.outputs),
            // The run stopped in between: the task has no output, but did not fail either.
            None => return self.propagate(task),
        };
        self.reports[task as usize].status = match &result {
            Ok(_) => Status::Completed,
            Err(_) => Status::Failed,
        };
        self.settle_task(task, result);
    }

    fn finish_empty(&mut self, task: u32) {
        self.reports[task as usize].status = Status::Completed;
        let place = self.shared.place(Unit { task, item: None });
        self.shared
            .notify(Happening::TaskEnded(place, Status::Completed, None));
        let result = self.collect(task, Vec::new());
        self.settle_task(task, result);
    }

    fn collect(&self, task: u32, outputs: Vec<Option<Value>>) -> Result<Value, TaskError> {
        let planned = &self.shared.plan.tasks[task as usize];
        let mapping = planned.mapping.expect("only tasks made by `each` get here");
        (mapping.collect)(outputs.into_iter().flatten().collect())
    }
}
