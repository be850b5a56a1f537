//! A task made by `each`: its items, one unit of work each, and the list that comes of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Engine, Unit};
use crate::{
    error::{TaskError, TaskErrorKind},
    inputs::{Slot, Slots, Value},
    observer::{Happening, discard, panic_message},
    status::Status,
};

/// A task made by `each` while its items are run.
pub(super) struct Map {
    items: Box<dyn ExactSizeIterator<Item = Value> + Send>,
    /// How many items have not ended; those never begun included.
    unsettled: usize,
    next_item: u32,
    outputs: Vec<Option<Value>>,
    /// The failure of the item with the smallest index.
    error: Option<(u32, TaskError)>,
}

impl Engine {
    /// Takes the list of a task made by `each` apart.
    pub(super) fn begin_map(&mut self, task: u32, slots: Slots) {
        let planned = &self.shared.plan.tasks[task as usize];
        let mapping = planned.mapping.expect("only tasks made by `each` get here");
        let Some(Slot::Value(list)) = slots.into_iter().next() else {
            unreachable!("a task made by `each` is skipped without its list")
        };
        let items = (mapping.split)(list);
        let length = items.len();
        self.reports[task as usize].status = Status::InProgress;
        self.maps.insert(
            task,
            Map {
                items,
                unsettled: length,
                next_item: 0,
                outputs: vec![None; length],
                error: None,
            },
        );
        if length == 0 {
            self.finish_map(task);
        } else {
            self.ready.push_back(task);
        }
    }

    /// The next item of a task made by `each`, if it has one that is to be run.
    pub(super) fn next_item(&mut self, task: u32) -> Option<(Unit, Slots)> {
        if self.stopped_by.is_some() {
            self.abandon_items(task);
            return None;
        }
        let map = self.maps.get_mut(&task)?;
        // A list that others read too is cloned item by item, which is code of the user's.
        let next = catch_unwind(AssertUnwindSafe(|| map.items.next()));
        let item = map.next_item;
        map.next_item += 1;
        if map.items.len() > 0 {
            self.ready.push_back(task);
        }
        match next {
            Ok(value) => {
                let unit = Unit {
                    task,
                    item: Some(item),
                };
                Some((unit, Slots::One(Slot::Value(value?))))
            }
            Err(panic) => {
                let message = format!("item {item} can't be cloned: {}", panic_message(&*panic));
                discard(panic);
                let error = TaskError::of_kind(TaskErrorKind::Panicked, &message);
                self.settle_item(task, item, Err(error));
                None
            }
        }
    }

    /// Takes in what came of an item; with the last one the task is settled.
    pub(super) fn settle_item(&mut self, task: u32, item: u32, result: Result<Value, TaskError>) {
        let Some(map) = self.maps.get_mut(&task) else {
            return;
        };
        map.unsettled -= 1;
        match result {
            Ok(value) => map.outputs[item as usize] = Some(value),
            Err(error) => {
                if map.error.as_ref().is_none_or(|(first, _)| item < *first) {
                    map.error = Some((item, error));
                }
                if !self.limits.keep_going {
                    self.abandon_items(task);
                    return;
                }
            }
        }
        self.finish_map(task);
    }

    /// Begins no further item of this task.
    fn abandon_items(&mut self, task: u32) {
        if let Some(map) = self.maps.get_mut(&task) {
            let left = std::mem::replace(&mut map.items, Box::new(std::iter::empty()));
            map.unsettled -= left.len();
            discard(left);
            self.finish_map(task);
        }
    }

    fn finish_map(&mut self, task: u32) {
        let Some(map) = self.maps.get(&task) else {
            return;
        };
        if map.unsettled > 0 {
            return;
        }
        let Some(map) = self.maps.remove(&task) else {
            return;
        };
        let result = match map.error {
            Some((_, error)) => Err(error),
            None if map.outputs.iter().all(Option::is_some) => self.collect(task, map.outputs),
            None => {
                // The run stopped in between: the task has no output, but did not fail either.
                self.reports[task as usize].status = Status::NotStarted;
                discard(map.outputs);
                return self.propagate(task);
            }
        };
        let status = match &result {
            Ok(_) => Status::Completed,
            Err(_) => Status::Failed,
        };
        self.reports[task as usize].status = status;
        if map.next_item == 0 {
            let unit = Unit { task, item: None };
            let what = Happening::TaskEnded(self.shared.place(unit), status, None);
            self.shared.notify(what);
        }
        self.settle_task(task, result);
    }

    fn collect(&self, task: u32, outputs: Vec<Option<Value>>) -> Result<Value, TaskError> {
        let planned = &self.shared.plan.tasks[task as usize];
        let mapping = planned.mapping.expect("only tasks made by `each` get here");
        (mapping.collect)(outputs.into_iter().flatten().collect())
    }
}
