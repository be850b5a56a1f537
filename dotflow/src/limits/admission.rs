//! Who may begin: the slots and limits that all tasks of a run share, those of nested workflows
//! included, and how a task takes what it needs.
//!
//! Each of them is first come, first served. A task takes limits first, then rates, and its slot last,
//! always in the same order; and who holds a slot waits for nothing. So nobody waits for itself or in
//! a circle.

use std::{cmp::Reverse, collections::BTreeMap, fmt, sync::Arc};

use tokio::{
    sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::{Counted, GroupLimits, Kind, Paced};
use crate::report::event::WaitReason;

/// The slots and limits of a run, as one of its workflows sees them.
pub(crate) struct Admission {
    /// Of this workflow, and of those around it: the outermost comes last.
    slots: Vec<Arc<Semaphore>>,
    groups: BTreeMap<Arc<str>, Group>,
}

/// What a task of one group needs, in the order in which it is taken.
#[derive(Clone, Default)]
struct Group {
    limits: Vec<Counted>,
    rates: Vec<Paced>,
}

impl Admission {
    /// Of a workflow with this concurrency and these limits, within another one or not.
    pub(crate) fn new(concurrency: usize, own: &GroupLimits, outer: Option<&Self>) -> Arc<Self> {
        let most = concurrency.min(Semaphore::MAX_PERMITS);
        let mut slots = vec![Arc::new(Semaphore::new(most))];
        slots.extend(outer.into_iter().flat_map(|outer| outer.slots.clone()));
        let mut groups = outer.map(|outer| outer.groups.clone()).unwrap_or_default();
        for (name, limit) in &own.limits {
            let group: &mut Group = groups.entry(Arc::clone(name)).or_default();
            match &limit.0 {
                Kind::PerRun(tasks) => group.limits.push(Counted::new(*tasks)),
                Kind::Counted(counted) => group.limits.push(counted.clone()),
                Kind::Paced(paced) => group.rates.push(paced.clone()),
            }
        }
        for (name, rate) in &own.rates {
            let group = groups.entry(Arc::clone(name)).or_default();
            group.rates.push(Paced::new(*rate));
        }
        for group in groups.values_mut() {
            group.limits.sort_by_key(|limit| Reverse(limit.id));
            // To take one twice would be to wait for oneself.
            group.limits.dedup_by_key(|limit| limit.id);
            group.rates.sort_by_key(|rate| Reverse(rate.id));
            group.rates.dedup_by_key(|rate| rate.id);
        }
        Arc::new(Self { slots, groups })
    }

    /// Whether tasks of this group wait for anything but a slot.
    pub(crate) fn is_limited(&self, group: Option<&str>) -> bool {
        self.group(group).is_some()
    }

    fn group(&self, group: Option<&str>) -> Option<&Group> {
        self.groups.get(group?)
    }

    /// Takes what a task of this group needs, if all of it is free.
    pub(crate) fn try_admit(self: &Arc<Self>, group: Option<&str>) -> Result<Permits, WaitReason> {
        let mut permits = Permits {
            limits: Vec::new(),
            slots: Vec::new(),
            admission: Arc::clone(self),
            group: None,
        };
        let mut turns = Vec::new();
        if let Some(group) = self.group(group) {
            permits.group = Some(group.clone());
            turns = permits.try_limits(group)?;
        }
        for slots in &self.slots {
            let slot = Arc::clone(slots).try_acquire_owned();
            permits.slots.push(slot.map_err(|_| WaitReason::Slot)?);
        }
        take(turns);
        Ok(permits)
    }

    /// Waits for what a task of this group needs.
    pub(crate) async fn admit(self: Arc<Self>, group: Option<Arc<str>>) -> Permits {
        let mut permits = Permits {
            group: self.group(group.as_deref()).cloned(),
            limits: Vec::new(),
            slots: Vec::new(),
            admission: self,
        };
        permits.wait().await;
        permits
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Admission")
            .field("groups", &self.groups.keys())
            .finish_non_exhaustive()
    }
}

/// The turn at a rate, of who is to be the next one.
type Turn = (OwnedMutexGuard<Option<Instant>>, std::time::Duration);

/// Takes the turns, now that the attempt begins.
fn take(turns: Vec<Turn>) {
    for (mut next, interval) in turns {
        *next = Some(Instant::now() + interval);
    }
}

/// What a task holds while it is attempted.
pub(crate) struct Permits {
    limits: Vec<OwnedSemaphorePermit>,
    slots: Vec<OwnedSemaphorePermit>,
    admission: Arc<Admission>,
    group: Option<Group>,
}

impl Permits {
    fn try_limits(&mut self, group: &Group) -> Result<Vec<Turn>, WaitReason> {
        for limit in &group.limits {
            let permit = Arc::clone(&limit.free).try_acquire_owned();
            self.limits.push(permit.map_err(|_| WaitReason::Limit)?);
        }
        let mut turns = Vec::new();
        for rate in &group.rates {
            let next = Arc::clone(&rate.next).try_lock_owned();
            let next = next.map_err(|_| WaitReason::Rate)?;
            if next.is_some_and(|next| next > Instant::now()) {
                return Err(WaitReason::Rate);
            }
            turns.push((next, rate.interval));
        }
        Ok(turns)
    }

    async fn wait(&mut self) {
        let mut turns = Vec::new();
        if let Some(group) = &self.group {
            for limit in &group.limits {
                let permit = Arc::clone(&limit.free).acquire_owned().await;
                self.limits.push(permit.expect("limits are never closed"));
            }
            for rate in &group.rates {
                let next = Arc::clone(&rate.next).lock_owned().await;
                if let Some(next) = *next {
                    sleep_until(next).await;
                }
                turns.push((next, rate.interval));
            }
        }
        for slots in &self.admission.slots {
            let slot = Arc::clone(slots).acquire_owned().await;
            self.slots.push(slot.expect("slots are never closed"));
        }
        take(turns);
    }

    /// Whether it holds, or held, more than a slot.
    pub(crate) fn is_limited(&self) -> bool {
        self.group.is_some()
    }

    /// Gives the limits back while the task waits for its next attempt; the slot stays with it.
    pub(crate) fn pause(&mut self) {
        self.limits.clear();
    }

    /// Takes limits for a further attempt, if all are free.
    pub(crate) fn try_resume(&mut self) -> Result<(), WaitReason> {
        let Some(group) = self.group.clone() else {
            return Ok(());
        };
        match self.try_limits(&group) {
            Ok(turns) => {
                take(turns);
                Ok(())
            }
            Err(reason) => {
                self.limits.clear();
                Err(reason)
            }
        }
    }

    /// Waits for them, without the slot: it would keep those from running that hold them.
    pub(crate) async fn resume(&mut self) {
        self.slots.clear();
        self.wait().await;
    }

    /// The limits, for code that can't be stopped to keep.
    pub(crate) fn take_limits(&mut self) -> Vec<OwnedSemaphorePermit> {
        std::mem::take(&mut self.limits)
    }
}
