//! Random workflows under random limits and rates: nothing ever runs that may not, everything ends,
//! nobody starves, and what comes of it is what comes of it without limits.

use std::{
    collections::BTreeMap,
    env,
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use dotflow::{
    DotFlow, PreviousContext, Run, Status, Task, TaskContext, action, join_all,
    limits::{Limit, Rate},
    task,
};
use dotflow_tests::{paused, threaded};
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::time::{Instant, sleep, timeout};

const GROUPS: usize = 3;

/// One unit of work: its attempts fail as often as this says.
#[derive(Debug, Clone, Copy)]
struct Work {
    failures: u32,
    millis: u64,
    group: usize,
}

/// Something that comes to a number.
#[derive(Debug, Clone)]
enum Shape {
    Leaf(Work),
    Then(Box<Shape>, Work),
    Join(Vec<Shape>),
    /// Items of one group, with so many attempts.
    Each(Vec<Work>),
    Within(Box<Shape>),
    EachWithin(u32, Box<Shape>),
    Expand(Box<Shape>),
}

/// What a group of one workflow is limited by: of the limits and rates that the workflows share, in
/// some order, and of each run on its own.
#[derive(Debug, Clone)]
struct Bounds {
    shared: Vec<usize>,
    per_run: Option<usize>,
    rate: Option<u64>,
}

#[derive(Debug, Clone)]
struct Plan {
    shape: Shape,
    groups: Vec<Bounds>,
    concurrency: usize,
    keep_going: bool,
    attempts: u32,
    delay: u64,
    starts_at: u64,
}

/// Workflows that run at the same time, and what they share.
#[derive(Debug, Clone)]
struct Program {
    plans: Vec<Plan>,
    counts: Vec<usize>,
    rates: Vec<u64>,
}

impl Program {
    fn shared(&self) -> Vec<Limit> {
        let counts = self.counts.iter().map(|count| Limit::at_once(*count));
        let rates = self.rates.iter().map(|rate| Limit::rate(every(*rate)));
        counts.chain(rates).collect()
    }
}

fn every(millis: u64) -> Rate {
    Rate::every(Duration::from_millis(millis))
}

/// What is counted: all that is under one limit or rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Count {
    Shared(usize),
    PerRun { run: usize, group: usize },
    Run(usize),
}

#[derive(Default)]
struct Counted {
    running: usize,
    most: usize,
    begun: Vec<Instant>,
}

/// What the attempts of all runs do.
#[derive(Clone)]
struct Log(Arc<(Program, Mutex<BTreeMap<Count, Counted>>)>);

impl Log {
    fn of(program: &Program) -> Self {
        Self(Arc::new((program.clone(), Mutex::default())))
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Count, Counted>> {
        self.0.1.lock().unwrap()
    }

    /// All that an attempt counts for.
    fn counted(&self, run: usize, group: usize) -> Vec<Count> {
        let shared = self.0.0.plans[run].groups[group].shared.iter();
        let shared = shared.map(|limit| Count::Shared(*limit));
        let own = [Count::PerRun { run, group }, Count::Run(run)];
        shared.chain(own).collect()
    }

    async fn work(&self, run: usize, work: Work, attempt: u32) -> Result<(), String> {
        let open = Open::new(self, self.counted(run, work.group));
        if work.millis > 0 {
            sleep(Duration::from_millis(work.millis)).await;
        } else {
            tokio::task::yield_now().await;
        }
        drop(open);
        if attempt <= work.failures {
            return Err("as it was planned".into());
        }
        Ok(())
    }

    /// Nothing was ever more than it may be, and nothing too early.
    fn check(&self, has_exact_clock: bool) -> Result<(), TestCaseError> {
        let program = &self.0.0;
        let first_rate = program.counts.len();
        for (count, counted) in &*self.counts() {
            let (most, rate) = match *count {
                Count::Run(run) => (Some(program.plans[run].concurrency), None),
                Count::Shared(limit) if limit < first_rate => (Some(program.counts[limit]), None),
                Count::Shared(rate) => (None, Some(program.rates[rate - first_rate])),
                Count::PerRun { run, group } => {
                    let bounds = &program.plans[run].groups[group];
                    (bounds.per_run, bounds.rate)
                }
            };
            prop_assert_eq!(counted.running, 0);
            if let Some(most) = most {
                prop_assert!(
                    counted.most <= most,
                    "{} at once of {count:?}",
                    counted.most
                );
            }
            if let Some(rate) = rate.filter(|_| has_exact_clock) {
                for two in counted.begun.windows(2) {
                    let between = two[1] - two[0];
                    prop_assert!(
                        between >= Duration::from_millis(rate),
                        "{between:?}: {count:?}"
                    );
                }
            }
        }
        Ok(())
    }
}

/// An attempt, until it ends in whatever way.
struct Open<'log>(&'log Log, Vec<Count>);

impl<'log> Open<'log> {
    fn new(log: &'log Log, counted: Vec<Count>) -> Self {
        let mut counts = log.counts();
        for count in &counted {
            let count = counts.entry(*count).or_default();
            count.running += 1;
            count.most = count.most.max(count.running);
            count.begun.push(Instant::now());
        }
        drop(counts);
        Self(log, counted)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        for count in &self.1 {
            counts.entry(*count).or_default().running -= 1;
        }
    }
}

#[action]
async fn leaf(log: Log, run: usize, work: Work, task: TaskContext) -> Result<u64, String> {
    log.work(run, work, task.attempt()).await?;
    Ok(1)
}

#[action]
async fn add(
    log: Log,
    run: usize,
    work: Work,
    before: PreviousContext<u64>,
    task: TaskContext,
) -> Result<u64, String> {
    log.work(run, work, task.attempt()).await?;
    Ok(*before + 1)
}

#[action(inline)]
fn list(length: u64) -> Vec<u64> {
    (0..length).collect()
}

#[action]
async fn item(
    log: Log,
    run: usize,
    work: Arc<[Work]>,
    number: PreviousContext<u64>,
    task: TaskContext,
) -> Result<u64, String> {
    let work = work[usize::try_from(*number).unwrap()];
    log.work(run, work, task.attempt()).await?;
    Ok(*number)
}

#[action(inline)]
fn total(numbers: PreviousContext<Vec<u64>>) -> u64 {
    numbers.iter().sum()
}

#[action(inline)]
fn sum(numbers: Vec<PreviousContext<u64>>) -> u64 {
    numbers.iter().map(|number| **number).sum()
}

impl Plan {
    /// A task of user code: it is attempted so often, and of a group.
    fn tried(&self, task: Task<u64>, group: usize) -> Task<u64> {
        let task = task.retry(self.attempts);
        let task = task.retry_delay(Duration::from_millis(self.delay));
        task.group(group.to_string())
    }

    fn task(&self, shape: &Shape, run: usize, log: &Log) -> Task<u64> {
        let inner = |shape: &Shape| {
            let inner = DotFlow::new("inner", self.task(shape, run, log));
            inner.concurrency(4).keep_going(self.keep_going)
        };
        match shape {
            Shape::Leaf(work) => self.tried(task(leaf(log.clone(), run, *work)), work.group),
            Shape::Then(before, work) => {
                let before = self.task(before, run, log);
                self.tried(before.then(add(log.clone(), run, *work)), work.group)
            }
            Shape::Join(shapes) => {
                let shapes = shapes.iter().map(|shape| self.task(shape, run, log));
                join_all(shapes).then(sum())
            }
            Shape::Each(work) => {
                // All items are of the group of the first one.
                let group = work.first().map_or(0, |work| work.group);
                let same = work.iter().map(|work| Work { group, ..*work });
                let item = item(log.clone(), run, same.collect());
                let items = task(list(work.len() as u64)).each(item);
                let items = items.retry(self.attempts);
                let items = items.retry_delay(Duration::from_millis(self.delay));
                items.group(group.to_string()).then(total())
            }
            // The workflow itself needs nothing, though it has a group.
            Shape::Within(shape) => task(inner(shape)).group("0"),
            Shape::EachWithin(items, shape) => {
                let inner = self.task(shape, run, log);
                let inner = DotFlow::with_input("inner", |_: &Task<u64>| inner);
                let inner = inner.keep_going(self.keep_going);
                let items = task(list(u64::from(*items))).each(inner).group("1");
                items.then(total())
            }
            Shape::Expand(shape) => {
                let (this, shape, log) = (self.clone(), shape.clone(), log.clone());
                task(list(1)).expand("grown", move |_: PreviousContext<Vec<u64>>| {
                    DotFlow::new("built", this.task(&shape, run, &log)).keep_going(this.keep_going)
                })
            }
        }
    }

    fn workflow(&self, run: usize, log: &Log) -> DotFlow<u64> {
        DotFlow::new(format!("run {run}"), self.task(&self.shape, run, log))
            .concurrency(self.concurrency)
            .keep_going(self.keep_going)
    }

    fn limited(&self, run: usize, log: &Log, shared: &[Limit]) -> DotFlow<u64> {
        let mut workflow = self.workflow(run, log);
        for (number, bounds) in self.groups.iter().enumerate() {
            let group = number.to_string();
            for limit in &bounds.shared {
                workflow = workflow.limit(&*group, &shared[*limit]);
            }
            if let Some(most) = bounds.per_run {
                workflow = workflow.limit(&*group, most);
            }
            if let Some(rate) = bounds.rate {
                workflow = workflow.rate(&*group, every(rate));
            }
        }
        workflow
    }
}

fn work() -> impl Strategy<Value = Work> {
    let failures = prop_oneof![6 => Just(0_u32), 2 => 1_u32..3, 1 => Just(9_u32)];
    (failures, 0_u64..20, 0..GROUPS).prop_map(|(failures, millis, group)| Work {
        failures,
        millis,
        group,
    })
}

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        1 => work().prop_map(Shape::Leaf),
        2 => vec(work(), 0..9).prop_map(Shape::Each),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            2 => (inner.clone(), work()).prop_map(|(shape, work)| Shape::Then(shape.into(), work)),
            3 => vec(inner.clone(), 1..6).prop_map(Shape::Join),
            1 => inner.clone().prop_map(|shape| Shape::Within(shape.into())),
            1 => (0_u32..5, inner.clone())
                .prop_map(|(items, shape)| Shape::EachWithin(items, shape.into())),
            1 => inner.prop_map(|shape| Shape::Expand(shape.into())),
        ]
    })
}

/// Some of so many, in any order.
fn some(of: usize) -> impl Strategy<Value = Vec<usize>> {
    vec(any::<Index>(), 0..=of).prop_map(move |chosen| {
        let mut left: Vec<usize> = (0..of).collect();
        let take = |index: Index| left.remove(index.index(left.len()));
        chosen.into_iter().map(take).collect()
    })
}

fn plans(shared: usize) -> impl Strategy<Value = Plan> {
    let rate = proptest::option::weighted(0.3, 1_u64..30);
    let bounds = (some(shared), proptest::option::of(1_usize..4), rate);
    let bounds = bounds.prop_map(|(shared, per_run, rate)| Bounds {
        shared,
        per_run,
        rate,
    });
    let groups = vec(bounds, GROUPS);
    let retry = (1_u32..4, 0_u64..30);
    (
        shapes(),
        groups,
        1_usize..6,
        any::<bool>(),
        retry,
        0_u64..30,
    )
        .prop_map(
            |(shape, groups, concurrency, keep_going, (attempts, delay), starts_at)| Plan {
                shape,
                groups,
                concurrency,
                keep_going,
                attempts,
                delay,
                starts_at,
            },
        )
}

fn programs() -> impl Strategy<Value = Program> {
    let shared = (vec(1_usize..4, 0..4), vec(1_u64..30, 0..3));
    shared.prop_flat_map(|(counts, rates)| {
        let shared = counts.len() + rates.len();
        vec(plans(shared), 2..4).prop_map(move |plans| Program {
            plans,
            counts: counts.clone(),
            rates: rates.clone(),
        })
    })
}

/// The clock moves on by itself where all wait, so that a deadlock takes no time at all.
async fn in_time<F: Future>(future: F) -> Result<F::Output, TestCaseError> {
    let years = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let waited = timeout(years, future).await;
    waited.map_err(|_| TestCaseError::fail("some wait for ever"))
}

/// All workflows at the same time.
async fn run_all(
    program: &Program,
    log: &Log,
    shared: &[Limit],
) -> Result<Vec<Run<u64>>, TestCaseError> {
    let started = program.plans.iter().enumerate().map(|(run, plan)| {
        let workflow = plan.limited(run, log, shared);
        let starts_at = plan.starts_at;
        tokio::spawn(async move {
            sleep(Duration::from_millis(starts_at)).await;
            workflow.start().await.unwrap()
        })
    });
    let mut runs = Vec::new();
    for run in started.collect::<Vec<_>>() {
        runs.push(in_time(run).await?.unwrap());
    }
    Ok(runs)
}

/// What came of each task, whatever the order was.
fn outcome(run: &Run<u64>) -> (Option<u64>, Status, BTreeMap<String, usize>) {
    let mut tasks = BTreeMap::new();
    for task in run.tasks() {
        let key = format!("{} {:?} {}", task.name(), task.item(), task.status());
        *tasks
            .entry(format!("{key} {}", task.retry_count()))
            .or_default() += 1;
    }
    let output = run.output().ok().map(|output| *output);
    (output, run.status(), tasks)
}

/// Whatever happened before, all of each limit can be had afterwards.
async fn check_free(program: &Program, shared: &[Limit]) -> Result<(), TestCaseError> {
    for (limit, most) in shared.iter().zip(&program.counts) {
        let gauge = Arc::new(tokio::sync::Barrier::new(*most));
        let meet = || {
            let gauge = Arc::clone(&gauge);
            let meet = action::from_fn("meet", move || {
                let gauge = Arc::clone(&gauge);
                async move {
                    gauge.wait().await;
                    Ok::<(), dotflow::TaskError>(())
                }
            });
            task(meet).group("all")
        };
        let all: Vec<_> = (0..*most).map(|_| meet()).collect();
        let run = DotFlow::new("free", all).limit("all", limit).start();
        prop_assert!(in_time(run).await?.unwrap().succeeded());
    }
    for rate in &shared[program.counts.len()..] {
        let one = task(list(0)).group("all");
        let run = DotFlow::new("free", one).limit("all", rate).start();
        // In the time of one turn, which is 30 ms at most; a clock that really moves goes on meanwhile.
        let turn = Duration::from_secs(1);
        prop_assert!(in_time(run).await?.unwrap().duration() <= turn);
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    let wanted = env::var("DOTFLOW_PROGRAMS").map(|count| count.parse().expect("it is a number"));
    ProptestConfig {
        cases: wanted.unwrap_or(cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn limits_hold_and_everything_ends_as_it_does_without_them(program in programs()) {
        let log = Log::of(&program);
        let shared = program.shared();
        paused(async {
            let runs = run_all(&program, &log, &shared).await?;
            log.check(true)?;
            check_free(&program, &shared).await?;
            let free = Log::of(&program);
            for (number, (run, plan)) in runs.iter().zip(&program.plans).enumerate() {
                if plan.keep_going {
                    let other = in_time(plan.workflow(number, &free).start()).await?.unwrap();
                    prop_assert_eq!(outcome(run), outcome(&other));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_is_cut_short_leaves_all_limits_free(
        program in programs(),
        cuts in vec((0_u64..120, 0..4_u8), 3),
    ) {
        let log = Log::of(&program);
        let shared = program.shared();
        paused(async {
            let started = program.plans.iter().enumerate().zip(cuts).map(|((run, plan), cut)| {
                let workflow = plan.limited(run, &log, &shared);
                tokio::spawn(async move {
                    let time = Duration::from_millis(cut.0);
                    match cut.1 {
                        0 => drop(timeout(time, workflow.start()).await),
                        1 => drop(workflow.timeout(time).start().await),
                        how => {
                            let handle = workflow.spawn();
                            sleep(time).await;
                            if how == 2 { handle.cancel() } else { handle.drain() }
                            drop(handle.await);
                        }
                    }
                })
            });
            for run in started.collect::<Vec<_>>() {
                in_time(run).await?.unwrap();
            }
            log.check(true)?;
            check_free(&program, &shared).await
        })?;
    }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn limits_hold_on_several_threads(program in programs()) {
        let log = Log::of(&program);
        let all = {
            let (program, log) = (program.clone(), log.clone());
            async move {
                let shared = program.shared();
                run_all(&program, &log, &shared).await?;
                check_free(&program, &shared).await
            }
        };
        threaded(async move {
            let minute = timeout(Duration::from_secs(60), all).await;
            minute.map_err(|_| TestCaseError::fail("some wait for ever"))?
        })?;
        log.check(false)?;
    }
}
