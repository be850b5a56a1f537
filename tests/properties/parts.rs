//! Random workflows of workflows: tasks, lists of items, joins, and runs within runs, each with a
//! model of what must come of it.

use std::{
    ops::AddAssign,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dotflow::{DotFlow, PreviousContext, Task, TaskContext, action, join_all, task};
use proptest::{collection::vec, prelude::*};

/// How one unit of work goes: its attempts fail as often as this says, and it is given so many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    failures: u32,
    attempts: u32,
    millis: u64,
}

impl Plan {
    fn succeeds(self) -> bool {
        self.failures < self.attempts
    }
}

/// Something that comes to a number.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// A task without inputs.
    Number(Plan),
    /// A task after another part.
    Then(Box<Part>, Plan),
    /// The sum of several parts.
    Join(Vec<Part>),
    /// The sum of the items of a list, each of which is worked on as planned.
    Each(Vec<Plan>),
    /// A workflow of its own, begun so many times at most.
    Within(Box<Part>, u32),
    /// A workflow of its own for each of so many items.
    EachWithin(u32, Box<Part>),
}

/// Begun and succeeded calls of the code of a random workflow.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    succeeded: AtomicUsize,
    running: AtomicUsize,
    peak: AtomicUsize,
}

impl Calls {
    pub(crate) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn succeeded(&self) -> usize {
        self.0.succeeded.load(Ordering::SeqCst)
    }

    /// How many ran at the same time, at most.
    pub(crate) fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }

    async fn work(&self, plan: Plan, attempt: u32) -> Result<(), String> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.peak.fetch_max(running, Ordering::SeqCst);
        let _ends = Running(self);
        if plan.millis > 0 {
            tokio::time::sleep(Duration::from_millis(plan.millis)).await;
        }
        if attempt <= plan.failures {
            return Err("as it was planned".into());
        }
        self.0.succeeded.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A call ends however its future does.
struct Running<'calls>(&'calls Calls);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[action]
async fn number(plan: Plan, calls: Calls, task: TaskContext) -> Result<u64, String> {
    calls.work(plan, task.attempt()).await?;
    Ok(1)
}

#[action]
async fn add(
    previous: PreviousContext<u64>,
    plan: Plan,
    calls: Calls,
    task: TaskContext,
) -> Result<u64, String> {
    calls.work(plan, task.attempt()).await?;
    Ok(*previous + 1)
}

/// The numbers of items, from zero.
#[action(inline)]
fn list(length: u64) -> Vec<u64> {
    (0..length).collect()
}

/// One item: its own number is its value.
#[action]
async fn item(
    number: PreviousContext<u64>,
    plans: Arc<[Plan]>,
    calls: Calls,
    task: TaskContext,
) -> Result<u64, String> {
    let number = number.into_inner();
    let plan = plans[usize::try_from(number).unwrap()];
    calls.work(plan, task.attempt()).await?;
    Ok(number)
}

#[action(inline)]
fn total(numbers: PreviousContext<Vec<u64>>) -> u64 {
    numbers.iter().sum()
}

#[action(inline)]
fn sum(numbers: Vec<PreviousContext<u64>>) -> u64 {
    numbers.iter().map(|number| **number).sum()
}

/// What must come of a part, when everything is run that can be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tasks and items of the workflow itself, as its run reports them.
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Spans of tasks and items, those of workflows within included.
    pub(crate) spans: usize,
    /// Spans of workflows within.
    pub(crate) workflows: usize,
    /// Further attempts, which the trace tells of.
    pub(crate) retries: usize,
    /// Calls of the user's code, and those that succeed.
    pub(crate) begun: usize,
    pub(crate) succeeded: usize,
    /// Calls that succeed where what was completed is never done again.
    pub(crate) distinct: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.completed += other.completed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.spans += other.spans;
        self.workflows += other.workflows;
        self.retries += other.retries;
        self.begun += other.begun;
        self.succeeded += other.succeeded;
        self.distinct += other.distinct;
    }
}

impl Tally {
    /// A task that only passes values on.
    fn passes(&mut self, runs: bool) {
        self.completed += usize::from(runs);
        self.spans += usize::from(runs);
        self.skipped += usize::from(!runs);
    }

    /// A unit of work.
    fn works(&mut self, plan: Plan) {
        let attempts = plan.attempts.min(plan.failures + 1) as usize;
        self.completed += usize::from(plan.succeeds());
        self.failed += usize::from(!plan.succeeds());
        self.spans += 1;
        self.begun += attempts;
        self.retries += attempts - 1;
        self.succeeded += usize::from(plan.succeeds());
        self.distinct += usize::from(plan.succeeds());
    }

    /// A workflow as a task, begun so many times.
    fn nests(&mut self, inner: Self, succeeds: bool, attempts: usize) {
        self.completed += usize::from(succeeds);
        self.failed += usize::from(!succeeds);
        self.spans += 1 + attempts * inner.spans;
        self.workflows += attempts * (1 + inner.workflows);
        self.retries += attempts - 1 + attempts * inner.retries;
        self.begun += attempts * inner.begun;
        self.succeeded += attempts * inner.succeeded;
        self.distinct += inner.distinct;
    }
}

impl Part {
    /// What must come of this: the number, and how it comes to be.
    pub(crate) fn model(&self) -> (Option<u64>, Tally) {
        let mut tally = Tally::default();
        let value = match self {
            Self::Number(plan) => {
                tally.works(*plan);
                plan.succeeds().then_some(1)
            }
            Self::Then(before, plan) => {
                let (value, inner) = before.model();
                tally += inner;
                match value {
                    Some(_) => tally.works(*plan),
                    None => tally.passes(false),
                }
                value.filter(|_| plan.succeeds()).map(|value| value + 1)
            }
            Self::Join(parts) => {
                let mut values = Vec::new();
                for part in parts {
                    let (value, inner) = part.model();
                    tally += inner;
                    values.push(value);
                }
                let value = values.into_iter().sum::<Option<u64>>();
                tally.passes(value.is_some());
                value
            }
            Self::Each(plans) => {
                tally.passes(true);
                for plan in plans {
                    tally.works(*plan);
                }
                let succeeds = plans.iter().all(|plan| plan.succeeds());
                tally.passes(succeeds);
                // Without items, the task is reported for itself.
                tally.completed += usize::from(plans.is_empty());
                succeeds.then(|| (0..plans.len() as u64).sum())
            }
            Self::Within(part, attempts) => {
                let (value, inner) = part.model();
                let attempts = if value.is_some() { 1 } else { *attempts };
                tally.nests(inner, value.is_some(), attempts as usize);
                value
            }
            Self::EachWithin(items, part) => {
                let (value, inner) = part.model();
                tally.passes(true);
                for _ in 0..*items {
                    tally.nests(inner, value.is_some(), 1);
                }
                let value = if *items == 0 {
                    tally.completed += 1;
                    Some(0)
                } else {
                    value.map(|value| value * u64::from(*items))
                };
                tally.passes(value.is_some());
                value
            }
        };
        (value, tally)
    }

    /// The tasks of this, and the workflows within them.
    pub(crate) fn task(&self, concurrency: usize, calls: &Calls) -> Task<u64> {
        let once = Duration::from_millis(1);
        match self {
            Self::Number(plan) => {
                let work = task(number(*plan, calls.clone()));
                work.retry(plan.attempts).retry_delay(once)
            }
            Self::Then(before, plan) => {
                let before = before.task(concurrency, calls);
                let work = before.then(add(*plan, calls.clone()));
                work.retry(plan.attempts).retry_delay(once)
            }
            Self::Join(parts) => {
                let parts = parts.iter().map(|part| part.task(concurrency, calls));
                join_all(parts).then(sum())
            }
            Self::Each(plans) => {
                let list = task(list(plans.len() as u64));
                let items = list.each(item(plans.clone().into(), calls.clone()));
                // The policy is that of the task, and so of every item.
                let attempts = plans.first().map_or(1, |plan| plan.attempts);
                items.retry(attempts).retry_delay(once).then(total())
            }
            Self::Within(part, attempts) => {
                let inner = part.workflow("within", concurrency, calls);
                task(inner).retry(*attempts).retry_delay(once)
            }
            Self::EachWithin(items, part) => {
                let inner = part.task(concurrency, calls);
                let inner = DotFlow::with_input("within", |_: &Task<u64>| inner)
                    .concurrency(concurrency)
                    .keep_going(true);
                task(list(u64::from(*items))).each(inner).then(total())
            }
        }
    }

    pub(crate) fn workflow(&self, name: &str, concurrency: usize, calls: &Calls) -> DotFlow<u64> {
        DotFlow::new(name, self.task(concurrency, calls))
            .concurrency(concurrency)
            .keep_going(true)
    }
}

fn plans(attempts: impl Strategy<Value = u32>) -> impl Strategy<Value = Plan> {
    let failures = prop_oneof![5 => Just(0_u32), 1 => 1_u32..4];
    (failures, attempts, 0_u64..6).prop_map(|(failures, attempts, millis)| Plan {
        failures,
        attempts,
        millis,
    })
}

/// Parts with up to three levels of workflows in workflows.
pub(crate) fn parts() -> impl Strategy<Value = Part> {
    // All items of a list have the policy of their task.
    let items = (1_u32..4).prop_flat_map(|attempts| vec(plans(Just(attempts)), 0..5));
    let leaf = prop_oneof![
        2 => plans(1_u32..4).prop_map(Part::Number),
        1 => items.prop_map(Part::Each),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), plans(1_u32..4)).prop_map(|(part, plan)| Part::Then(part.into(), plan)),
            vec(inner.clone(), 0..4).prop_map(Part::Join),
            (inner.clone(), 1_u32..3)
                .prop_map(|(part, attempts)| Part::Within(part.into(), attempts)),
            (0_u32..4, inner).prop_map(|(items, part)| Part::EachWithin(items, part.into())),
        ]
    })
}
