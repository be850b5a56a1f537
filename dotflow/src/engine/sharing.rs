//! Drives a run that shares its slots with nested workflows, or whose tasks have limits: what is given
//! out begins once it has what it needs, and workflows run beside it without a slot of their own.

use std::{
    future::{Future, poll_fn},
    panic::resume_unwind,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{
    StreamExt,
    future::{Either, select},
};
use tokio::task::JoinError;

use super::{
    Engine,
    guard::Outcome,
    perform::{Begin, perform},
};
use crate::{
    limits::{Admission, Permits},
    offload::carried,
    report::{event::WaitReason, id::TaskId},
};

/// What a run that shares waits for.
enum Next {
    Admitted(TaskId, Permits),
    Ended(Result<Outcome, JoinError>),
    /// Nothing runs and nothing waits.
    Nothing,
}

impl Engine<'_> {
    /// Starts tasks and settles them. Returns whether the run was halted before its end.
    pub(super) async fn drive_sharing(
        &mut self,
        admission: &Arc<Admission>,
        mut halted: Pin<&mut impl Future<Output = ()>>,
    ) -> bool {
        let context = self.context;
        loop {
            while self.waiting.takes_more() && !context.is_draining() {
                if context.is_halted() {
                    return true;
                }
                let Some(begin) = self.next() else {
                    break;
                };
                let Some(begin) = self.admit(begin, admission) else {
                    continue;
                };
                if !(self.state.is_idle() && self.running.is_empty() && self.waiting.is_idle()) {
                    self.spawn(begin);
                    continue;
                }
                let running = pin!(perform(&**context, begin));
                match select(running, halted.as_mut()).await {
                    Either::Left((outcome, _)) => self.settle(outcome),
                    Either::Right(_) => return true,
                }
                tokio::task::consume_budget().await;
            }
            if context.is_draining() {
                self.waiting.clear();
            }
            let next = poll_fn(|task| self.poll_next(task));
            match select(pin!(next), halted.as_mut()).await {
                Either::Right(_) => return true,
                Either::Left((Next::Nothing, _)) => return context.is_draining(),
                Either::Left((Next::Admitted(id, permits), _)) => {
                    if let Some(begin) = self.waiting.admit(id, permits) {
                        self.state.give_out(id);
                        self.spawn(begin);
                    }
                }
                Either::Left((Next::Ended(Ok(outcome)), _)) => {
                    self.settle(outcome);
                    self.withdraw();
                    self.begin_held();
                }
                // All user code is caught within, so this is a fault of a subscriber, or of ours.
                Either::Left((Next::Ended(Err(error)), _)) if error.is_panic() => {
                    resume_unwind(error.into_panic())
                }
                // Only a runtime that shuts down ends our tasks before they end by themselves.
                Either::Left((Next::Ended(Err(_)), _)) => return true,
            }
        }
    }

    /// Has a task begin if it has what it needs; else it waits. A workflow begins here, as it needs
    /// nothing but that not too many others run.
    fn admit(&mut self, mut begin: Begin, admission: &Arc<Admission>) -> Option<Begin> {
        let task = self.context.task(begin.id);
        if task.is_workflow() {
            if self.waiting.workflows.len() < self.concurrency {
                self.spawn_workflow(begin);
            } else {
                self.state.hold_items(begin.id);
                self.waiting.hold(begin);
            }
            return None;
        }
        match admission.try_admit(task.group()) {
            Ok(permits) => {
                begin.permits = Some(Box::new(permits));
                Some(begin)
            }
            Err(reason) => {
                if reason != WaitReason::Slot {
                    self.context.waits(begin.id, reason);
                }
                self.state.hold_items(begin.id);
                self.waiting.wait(begin, admission, task.group());
                None
            }
        }
    }

    fn spawn_workflow(&mut self, begin: Begin) {
        let task = perform(Arc::clone(self.context), begin);
        let workflows = &mut self.waiting.workflows;
        match &self.subscriber {
            Some(subscriber) => workflows.spawn(carried(subscriber.clone(), task)),
            None => workflows.spawn(task),
        };
    }

    /// Begins workflows that waited for others to end.
    fn begin_held(&mut self) {
        while self.waiting.workflows.len() < self.concurrency {
            let Some(begin) = self.waiting.release() else {
                return;
            };
            self.state.give_out(begin.id);
            self.spawn_workflow(begin);
        }
    }

    /// Gives up what waits, and is not to be begun any more since a task has failed.
    fn withdraw(&mut self) {
        if !self.state.withdraws() {
            return;
        }
        let state = &self.state;
        for id in self.waiting.give_up(|id| state.is_withdrawn(id)) {
            let collect = self.state.withdraw(id);
            // Nothing is to be put together, since this item has never begun.
            debug_assert!(collect.is_none(), "an item of the list was never begun");
        }
        self.tell();
    }

    fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Next> {
        if let Poll::Ready(Some(ended)) = self.running.poll_join_next(task) {
            return Poll::Ready(Next::Ended(ended));
        }
        if let Poll::Ready(Some(ended)) = self.waiting.workflows.poll_join_next(task) {
            return Poll::Ready(Next::Ended(ended));
        }
        if let Poll::Ready(Some((id, permits))) = self.waiting.admitted.poll_next_unpin(task) {
            return Poll::Ready(Next::Admitted(id, permits));
        }
        if self.running.is_empty() && self.waiting.is_idle() {
            return Poll::Ready(Next::Nothing);
        }
        Poll::Pending
    }
}
