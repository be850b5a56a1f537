//! Drives a run that shares its slots with nested workflows, or whose tasks have limits: what is given
//! out begins once it has what it needs, and workflows run beside it without a slot of their own.
//!
//! What is stored needs no limit: where something may be, a task that has one is looked up first, with a
//! slot alone.

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
    perform::{Begin, may_restore, perform, restore},
};
use crate::{
    limits::{Admission, Permits},
    offload::carried,
    report::{event::WaitReason, id::TaskId},
};

/// What a run that shares waits for.
enum Next {
    Admitted(TaskId, Permits),
    LookedUp(Box<Result<Outcome, Begin>>),
    Ended(Result<Outcome, JoinError>),
    Drained,
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
        let mut drained = pin!(context.identity.drained());
        loop {
            let is_draining = context.is_draining();
            if is_draining {
                self.waiting.get_or_insert_default().clear();
            } else {
                self.withdraw();
                // What has waited comes before what is ready only now.
                while let Some((id, permits)) = poll_fn(|task| self.admitted_now(task)).await {
                    self.begin_admitted(id, permits, admission);
                }
                self.begin_held();
            }
            while self.waiting.get_or_insert_default().takes_more() && !context.is_draining() {
                if context.is_halted() {
                    return true;
                }
                let Some(begin) = self.next() else {
                    break;
                };
                let Some(begin) = self.admit(begin, admission) else {
                    continue;
                };
                if !(self.state.is_idle()
                    && self.running.is_empty()
                    && self.waiting.get_or_insert_default().is_idle())
                {
                    self.spawn(begin);
                    continue;
                }
                let running = pin!(perform(context, begin));
                match select(running, halted.as_mut()).await {
                    Either::Left((outcome, _)) => self.settle(outcome),
                    Either::Right(_) => return true,
                }
                tokio::task::consume_budget().await;
            }
            if !is_draining && self.withdraw() {
                continue;
            }
            let next = poll_fn(|task| {
                if !is_draining && drained.as_mut().poll(task).is_ready() {
                    return Poll::Ready(Next::Drained);
                }
                self.poll_next(task)
            });
            let next = match select(pin!(next), halted.as_mut()).await {
                Either::Right(_) => return true,
                Either::Left((next, _)) => next,
            };
            match next {
                Next::Nothing => return context.is_draining(),
                Next::Drained => {}
                Next::Admitted(id, permits) => self.begin_admitted(id, permits, admission),
                Next::LookedUp(found) => match *found {
                    Ok(outcome) => self.settle(outcome),
                    Err(begin) if self.state.is_withdrawn(begin.id) => self.take_back(begin.id),
                    Err(begin) => {
                        if let Some(begin) = self.admit(begin, admission) {
                            self.spawn(begin);
                        }
                    }
                },
                Next::Ended(Ok(outcome)) => self.settle(outcome),
                // All user code is caught within, so this is a fault of a subscriber, or of ours.
                Next::Ended(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
                // Only a runtime that shuts down ends our tasks before they end by themselves.
                Next::Ended(Err(_)) => return true,
            }
        }
    }

    /// Has a task begin if it has what it needs; else it waits. A workflow begins here, as it needs
    /// nothing but that not too many others run.
    fn admit(&mut self, mut begin: Begin, admission: &Arc<Admission>) -> Option<Begin> {
        let task = self.context.task(begin.id);
        if task.is_workflow() {
            // Those that are held were begun before, as far as there was room.
            if self.waiting.get_or_insert_default().workflows.len() < self.concurrency {
                self.spawn_workflow(begin);
            } else {
                self.state.hold_items(begin.id);
                self.waiting.get_or_insert_default().hold(begin);
            }
            return None;
        }
        let needs_limits = !self.is_looked_up(&begin, admission);
        let group = task.group().filter(|_| needs_limits);
        match admission.try_admit(group) {
            Ok(permits) => {
                begin.rare.get_or_insert_default().permits = Some(permits);
                self.look_up(begin, admission)
            }
            Err(reason) => {
                if reason != WaitReason::Slot {
                    self.context.waits(begin.id, reason);
                }
                self.state.hold_items(begin.id);
                self.waiting
                    .get_or_insert_default()
                    .wait(begin, admission, group);
                None
            }
        }
    }

    /// Has a task begin that has waited.
    fn begin_admitted(&mut self, id: TaskId, permits: Permits, admission: &Admission) {
        if let Some(begin) = self.waiting.get_or_insert_default().admit(id, permits) {
            self.state.give_out(id);
            if let Some(begin) = self.look_up(begin, admission) {
                self.spawn(begin);
            }
        }
    }

    /// Whether it is to be seen first whether an output of a task is stored, since it would have to
    /// wait for its limits in vain.
    fn is_looked_up(&self, begin: &Begin, admission: &Admission) -> bool {
        admission.is_limited(self.context.task(begin.id).group())
            && may_restore(self.context, begin)
    }

    /// Has a task be looked up that has its slot, if it is to be; gives back any other.
    fn look_up(&mut self, begin: Begin, admission: &Admission) -> Option<Begin> {
        if !self.is_looked_up(&begin, admission) {
            return Some(begin);
        }
        let looked_up = restore(Arc::clone(self.context), begin);
        self.waiting
            .get_or_insert_default()
            .looked_up
            .push(Box::pin(looked_up));
        None
    }

    /// Waits for workflows within: they see the token, and end by themselves to say what became of their
    /// tasks.
    pub(super) async fn end_workflows(&mut self) {
        while let Some(waiting) = &mut self.waiting
            && let Some(ended) = waiting.workflows.join_next().await
        {
            if let Ok(outcome) = ended {
                self.settle(outcome);
            }
        }
    }

    fn spawn_workflow(&mut self, begin: Begin) {
        let task = perform(Arc::clone(self.context), begin);
        let workflows = &mut self.waiting.get_or_insert_default().workflows;
        match &self.subscriber {
            Some(subscriber) => workflows.spawn(carried(subscriber.clone(), task)),
            None => workflows.spawn(task),
        };
    }

    /// Begins workflows that waited for others to end.
    fn begin_held(&mut self) {
        while self.waiting.get_or_insert_default().workflows.len() < self.concurrency {
            let Some(begin) = self.waiting.get_or_insert_default().release() else {
                return;
            };
            self.state.give_out(begin.id);
            self.spawn_workflow(begin);
        }
    }

    /// Gives up what waits, and is not to be begun any more since a task has failed. Returns whether
    /// there was something.
    fn withdraw(&mut self) -> bool {
        let mut has_any = false;
        // What is given up may be the last item of a list, which then fails and stops others.
        while self.state.withdraws() {
            let state = &self.state;
            let given_up = self
                .waiting
                .get_or_insert_default()
                .give_up(|id| state.is_withdrawn(id));
            if given_up.is_empty() {
                break;
            }
            has_any = true;
            for id in given_up {
                self.take_back(id);
            }
        }
        has_any
    }

    fn take_back(&mut self, id: TaskId) {
        let collect = self.state.withdraw(id);
        // Nothing is to be put together, since this item has never begun.
        debug_assert!(collect.is_none(), "an item of the list was never begun");
        self.tell();
    }

    /// A task that has waited and has what it needs now, if there is one.
    fn admitted_now(&mut self, task: &mut Context<'_>) -> Poll<Option<(TaskId, Permits)>> {
        while let Poll::Ready(Some(admitted)) = self
            .waiting
            .get_or_insert_default()
            .admitted
            .poll_next_unpin(task)
        {
            // What was given up leaves its places here.
            if let Ok(admitted) = admitted {
                return Poll::Ready(Some(admitted));
            }
        }
        Poll::Ready(None)
    }

    fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Next> {
        if let Poll::Ready(Some(ended)) = self.running.poll_join_next(task) {
            return Poll::Ready(Next::Ended(ended));
        }
        if let Poll::Ready(Some(ended)) = self
            .waiting
            .get_or_insert_default()
            .workflows
            .poll_join_next(task)
        {
            return Poll::Ready(Next::Ended(ended));
        }
        if let Poll::Ready(Some(found)) = self
            .waiting
            .get_or_insert_default()
            .looked_up
            .poll_next_unpin(task)
        {
            return Poll::Ready(Next::LookedUp(Box::new(found)));
        }
        if let Poll::Ready(Some((id, permits))) = self.admitted_now(task) {
            return Poll::Ready(Next::Admitted(id, permits));
        }
        if self.running.is_empty() && self.waiting.get_or_insert_default().is_idle() {
            return Poll::Ready(Next::Nothing);
        }
        Poll::Pending
    }
}
