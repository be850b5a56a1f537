//! Limits and rates of groups: how many tasks are attempted at once, how often one begins, and that who
//! waits for that is in nobody's way.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use dotflow::{
    DotFlow, PreviousContext, Run, Status, Task, TaskContext, TaskError, TaskReport, action,
    limits::{Limit, Rate},
    report::{AttemptReport, EventKind, WaitReason},
    storage::MemoryStorage,
    task,
};
use dotflow_tests::{Value, paused, recorded};
use tokio::time::{Instant, sleep, timeout};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// When each attempt began, by its label, and how many of one kind ran at the same time at most.
#[derive(Clone)]
struct Journal(Arc<(Instant, Mutex<Noted>)>);

#[derive(Default)]
struct Noted {
    begun: Vec<(String, u64)>,
    running: HashMap<String, (usize, usize)>,
}

/// An attempt, until it ends in whatever way.
struct Open(Journal, String);

impl Journal {
    fn new() -> Self {
        Self(Arc::new((Instant::now(), Mutex::default())))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.0.elapsed().as_millis()).unwrap()
    }

    /// The kind is the first letter of the label.
    fn begin(&self, label: &str) -> Open {
        let mut noted = self.0.1.lock().unwrap();
        let kind = label[..1].to_owned();
        noted.begun.push((label.to_owned(), self.now()));
        let (running, most) = noted.running.entry(kind.clone()).or_default();
        *running += 1;
        *most = (*most).max(*running);
        Open(self.clone(), kind)
    }

    fn most(&self, kind: &str) -> usize {
        self.0.1.lock().unwrap().running[kind].1
    }

    /// When those of a kind began, in milliseconds.
    fn begun(&self, kind: &str) -> Vec<u64> {
        let noted = self.0.1.lock().unwrap();
        let begun = noted.begun.iter();
        begun
            .filter(|(label, _)| label.starts_with(kind))
            .map(|(_, at)| *at)
            .collect()
    }

    fn labels(&self) -> Vec<String> {
        let noted = self.0.1.lock().unwrap();
        noted.begun.iter().map(|(label, _)| label.clone()).collect()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut noted = self.0.0.1.lock().unwrap();
        noted.running.get_mut(&self.1).unwrap().0 -= 1;
    }
}

#[action]
async fn job(journal: Journal, label: String, millis: u64) {
    let _open = journal.begin(&label);
    sleep(ms(millis)).await;
}

#[action]
async fn page(
    journal: Journal,
    label: &'static str,
    millis: u64,
    number: PreviousContext<u32>,
) -> u32 {
    let _open = journal.begin(label);
    sleep(ms(millis)).await;
    *number
}

/// Fails so many times before it succeeds.
#[action]
async fn flaky(
    journal: Journal,
    label: String,
    millis: u64,
    failures: u32,
    context: TaskContext,
) -> Result<(), String> {
    let _open = journal.begin(&label);
    sleep(ms(millis)).await;
    if context.attempt() <= failures {
        return Err("not yet".into());
    }
    Ok(())
}

#[action(inline)]
fn numbers(count: u32) -> Vec<u32> {
    (0..count).collect()
}

/// So many tasks of a group, labelled by the kind and their number.
fn jobs(journal: &Journal, kind: &str, group: &str, count: usize, millis: u64) -> Vec<Task<()>> {
    let job = |number| task(job(journal.clone(), format!("{kind}{number}"), millis));
    (0..count).map(|number| job(number).group(group)).collect()
}

fn statuses<T>(run: &Run<T>) -> Vec<Status> {
    run.tasks().iter().map(TaskReport::status).collect()
}

fn count<T>(run: &Run<T>, status: Status) -> usize {
    let tasks = run.tasks().iter();
    tasks.filter(|task| task.status() == status).count()
}

/// Ends the test where something would wait for ever: the clock moves on by itself.
async fn in_time<F: Future>(future: F) -> F::Output {
    let future = timeout(HOUR * 24 * 365, future);
    future.await.expect("nothing waits for ever")
}

#[test]
fn a_number_limits_each_run_on_its_own() {
    paused(async {
        let journal = Journal::new();
        let workflow = DotFlow::new("w", jobs(&journal, "a", "db", 6, 10)).limit("db", 2);
        let (one, two) = (workflow.spawn(), workflow.spawn());
        let (one, two) = (in_time(one).await.unwrap(), in_time(two).await.unwrap());
        assert_eq!(journal.most("a"), 4, "two of each run");
        assert_eq!((one.duration(), two.duration()), (ms(30), ms(30)));
        let run = in_time(workflow.start()).await.unwrap();
        assert_eq!(run.duration(), ms(30));
    });
}

#[test]
fn the_largest_number_is_no_limit() {
    paused(async {
        let journal = Journal::new();
        let workflow = DotFlow::new("w", jobs(&journal, "a", "db", 6, 10)).limit("db", usize::MAX);
        let run = in_time(workflow.start()).await.unwrap();
        assert_eq!((run.duration(), journal.most("a")), (ms(10), 6));
    });
}

#[test]
fn other_groups_and_tasks_without_one_are_not_limited() {
    paused(async {
        let journal = Journal::new();
        let mut all = jobs(&journal, "a", "db", 4, 10);
        all.extend(jobs(&journal, "b", "http", 4, 10));
        all.extend((0..4).map(|n| task(job(journal.clone(), format!("c{n}"), 10))));
        let run = in_time(DotFlow::new("w", all).limit("db", 1).start()).await;
        assert_eq!(run.unwrap().duration(), ms(40));
        let most = ["a", "b", "c"].map(|kind| journal.most(kind));
        assert_eq!(most, [1, 4, 4]);
    });
}

#[test]
fn a_limit_that_workflows_share_holds_for_all_their_runs() {
    paused(async {
        let (journal, limit) = (Journal::new(), Limit::at_once(3));
        let workflow =
            |name: &str| DotFlow::new(name, jobs(&journal, "a", name, 6, 10)).limit(name, &limit);
        let (left, right) = (workflow("left"), workflow("right"));
        let runs = [left.spawn(), right.spawn(), right.spawn()];
        for run in runs {
            assert!(in_time(run).await.unwrap().succeeded());
        }
        assert_eq!(journal.most("a"), 3);
        assert_eq!(journal.now(), 60, "and none is ever free");
    });
}

#[test]
fn a_rate_that_workflows_share_holds_for_all_their_runs() {
    paused(async {
        let (journal, rate) = (Journal::new(), Limit::rate(Rate::per_second(10)));
        let workflow =
            |name: &str| DotFlow::new(name, jobs(&journal, "a", "api", 5, 1)).limit("api", &rate);
        let runs = [workflow("left").spawn(), workflow("right").spawn()];
        for run in runs {
            assert!(in_time(run).await.unwrap().succeeded());
        }
        let even: Vec<u64> = (0..10).map(|number| number * 100).collect();
        assert_eq!(journal.begun("a"), even);
    });
}

#[test]
fn a_rate_of_a_run_is_its_own() {
    paused(async {
        let journal = Journal::new();
        let workflow = DotFlow::new("w", jobs(&journal, "a", "api", 5, 1));
        let workflow = workflow.rate("api", Rate::per_second(10));
        let runs = [workflow.spawn(), workflow.spawn()];
        for run in runs {
            assert_eq!(in_time(run).await.unwrap().duration(), ms(401));
        }
        let even: Vec<u64> = (0..5).flat_map(|number| [number * 100; 2]).collect();
        assert_eq!(journal.begun("a"), even);
    });
}

#[test]
fn a_rate_begins_anew_after_a_time_without_attempts() {
    // What was not used is not saved up: there is no burst after a pause.
    paused(async {
        let journal = Journal::new();
        let pause = task(job(journal.clone(), "pause".into(), 1000));
        let later = (0..3).map(|n| {
            let later = action::from_fn("later", {
                let journal = journal.clone();
                move |_: PreviousContext<()>| {
                    let open = journal.begin(&format!("a{n}"));
                    async move {
                        drop(open);
                        Ok::<_, TaskError>(())
                    }
                }
            });
            pause.then(later).group("api")
        });
        let mut all = jobs(&journal, "a", "api", 1, 1);
        all.extend(later);
        let workflow = DotFlow::new("w", all).rate("api", Rate::per_second(10));
        assert!(in_time(workflow.start()).await.unwrap().succeeded());
        assert_eq!(journal.begun("a"), [0, 1000, 1100, 1200]);
    });
}

#[test]
fn a_rate_is_met_though_the_timer_counts_in_milliseconds() {
    for (per_second, count) in [(3, 31), (300, 3001), (3000, 30_001)] {
        paused(async {
            let journal = Journal::new();
            let list = task(numbers(count)).each(page(journal.clone(), "a", 0));
            let rate = Limit::rate(Rate::per_second(per_second));
            let one = DotFlow::new("list", list.group("api")).limit("api", &rate);
            let run = in_time(one.start()).await.unwrap();
            let (shortest, longest) = (ms(9_998), ms(10_002));
            assert!((shortest..=longest).contains(&run.duration()), "{run:#}");

            sleep(ms(5000)).await;
            let jobs = jobs(&journal, "b", "api", 31, 0);
            let two = DotFlow::new("tasks", jobs).limit("api", &rate);
            let at = journal.now();
            assert!(in_time(two.start()).await.unwrap().succeeded());
            let took = ms(journal.now() - at);
            let ideal = Duration::from_secs(30) / per_second;
            assert!(took + ms(2) >= ideal && took <= ideal + ms(2), "{took:?}");
        });
    }
}

#[test]
fn limits_and_rates_of_one_group_hold_together() {
    paused(async {
        let journal = Journal::new();
        let workflow = DotFlow::new("w", jobs(&journal, "a", "api", 5, 250))
            .limit("api", 2)
            .rate("api", Rate::per_second(10));
        assert!(in_time(workflow.start()).await.unwrap().succeeded());
        assert_eq!(journal.begun("a"), [0, 100, 250, 350, 500]);
    });
}

#[test]
fn waiting_for_a_rate_counts_against_no_timeout() {
    paused(async {
        let journal = Journal::new();
        let pages = task(numbers(60)).each(page(journal.clone(), "page", 49));
        let pages = pages.timeout(ms(50)).group("api");
        let workflow = DotFlow::new("w", pages).rate("api", Rate::per_second(50));
        let run = in_time(workflow.start()).await.unwrap();
        assert_eq!(*run.output().unwrap(), (0..60).collect::<Vec<_>>());
        assert_eq!(run.duration(), ms(59 * 20 + 49));
        let even: Vec<u64> = (0..60).map(|number| number * 20).collect();
        assert_eq!(journal.begun("p"), even);
        assert!(run.tasks().iter().all(|task| task.errors().is_empty()));
    });
}

#[test]
fn who_waits_for_a_limit_takes_no_slot() {
    paused(async {
        let journal = Journal::new();
        let mut all = jobs(&journal, "db", "db", 40, 10);
        all.extend(jobs(&journal, "http", "http", 40, 10));
        let workflow = DotFlow::new("w", all).concurrency(8).limit("db", 2);
        let run = in_time(workflow.start()).await.unwrap();
        assert_eq!(journal.begun("h")[0], 0);
        assert_eq!(journal.most("d"), 2);
        // 20 rounds of `db`, beside which `http` has the other six slots.
        assert_eq!(run.duration(), ms(200));
    });
}

#[test]
fn who_waits_for_a_limit_takes_no_slot_as_an_item_either() {
    paused(async {
        let journal = Journal::new();
        let list = task(numbers(40));
        let db = list.each(page(journal.clone(), "db", 10)).group("db");
        let http = list.each(page(journal.clone(), "http", 10)).group("http");
        let workflow = DotFlow::new("w", (db, http)).concurrency(8).limit("db", 2);
        let run = in_time(workflow.start()).await.unwrap();
        assert_eq!(journal.begun("h")[0], 0);
        assert_eq!((journal.most("d"), run.duration()), (2, ms(200)));
    });
}

#[test]
fn limits_are_given_back_between_two_attempts() {
    paused(async {
        let journal = Journal::new();
        let retried = task(flaky(journal.clone(), "a".into(), 10, 1)).group("db");
        let retried = retried.retry(2).retry_delay(ms(100));
        let other = task(job(journal.clone(), "b".into(), 200)).group("db");
        let workflow = DotFlow::new("w", (retried, other))
            .concurrency(2)
            .limit("db", 1);
        let run = in_time(workflow.start()).await.unwrap();
        assert!(run.succeeded());
        assert_eq!(journal.begun("a"), [0, 210]);
        assert_eq!(journal.begun("b"), [10]);
        assert_eq!(
            run.tasks()[0].wait(),
            ms(100),
            "after the delay, for the limit"
        );
        let attempts = run.tasks()[0].attempts().iter();
        let attempts: Vec<_> = attempts.map(AttemptReport::duration).collect();
        assert_eq!(attempts, [ms(10), ms(10)]);
    });
}

#[test]
fn a_further_attempt_that_waits_for_a_limit_takes_no_slot() {
    paused(async {
        let (journal, limit) = (Journal::new(), Limit::at_once(1));
        let retried = task(flaky(journal.clone(), "a".into(), 10, 1)).group("db");
        let retried = retried.retry(2).retry_delay(ms(100));
        let free = task(job(journal.clone(), "c".into(), 10));
        let workflow = DotFlow::new("one", (retried, free));
        let one = workflow.concurrency(1).limit("db", &limit).spawn();
        sleep(ms(5)).await;
        let other = DotFlow::new("two", jobs(&journal, "b", "db", 1, 500)).limit("db", &limit);
        let two = other.spawn();
        assert!(in_time(one).await.unwrap().succeeded());
        assert!(in_time(two).await.unwrap().succeeded());
        assert_eq!(journal.begun("b"), [10]);
        // The delay is over at 110, when the limit is the other workflow's: the slot is free.
        assert_eq!(journal.begun("c"), [110]);
        assert_eq!(journal.begun("a"), [0, 510]);
    });
}

#[test]
fn a_further_attempt_waits_for_the_rate_as_well() {
    paused(async {
        let journal = Journal::new();
        let retried = task(flaky(journal.clone(), "a".into(), 1, 2)).group("api");
        let retried = retried.retry(3).retry_delay(ms(10)).timeout(ms(5));
        let workflow = DotFlow::new("w", retried).rate("api", Rate::per_second(10));
        let run = in_time(workflow.start()).await.unwrap();
        assert!(run.succeeded());
        assert_eq!(journal.begun("a"), [0, 100, 200]);
        assert_eq!(run.tasks()[0].waited_for(), Some(WaitReason::Rate));
        assert_eq!(run.tasks()[0].wait(), ms(2 * 89));
    });
}

#[test]
fn one_at_a_time_with_a_retry_waits_for_itself_in_no_way() {
    paused(async {
        let journal = Journal::new();
        let flaky = |label: &str| {
            let flaky = task(flaky(journal.clone(), label.into(), 10, 2)).group("db");
            flaky.retry(3).retry_delay(ms(100))
        };
        let workflow = DotFlow::new("w", (flaky("a"), flaky("b")));
        let workflow = workflow.concurrency(1).limit("db", 1);
        let run = in_time(workflow.start()).await.unwrap();
        assert!(run.succeeded());
        // The delay keeps the slot, so that one is done after the other.
        assert_eq!(run.duration(), ms(2 * (3 * 10 + 2 * 100)));
        assert_eq!(journal.most("a"), 1);
    });
}

#[test]
fn nested_workflows_share_the_limits_of_their_run() {
    for concurrency in [1, 3, 256] {
        paused(async {
            let journal = Journal::new();
            let inner = |name: &str| DotFlow::new(name, jobs(&journal, "a", "db", 5, 10));
            let built = task(numbers(1)).expand("grown", {
                let journal = journal.clone();
                move |_: PreviousContext<Vec<u32>>| {
                    DotFlow::new("built", jobs(&journal, "a", "db", 5, 10))
                }
            });
            let deep = DotFlow::new("deep", task(inner("deeper")));
            let all = (task(inner("left")), task(deep), built);
            let workflow = DotFlow::new("w", all).concurrency(concurrency);
            let run = in_time(workflow.limit("db", 2).start()).await.unwrap();
            assert!(run.succeeded());
            let at_once = concurrency.min(2);
            assert_eq!(journal.most("a"), at_once);
            let rounds = u32::try_from(15_usize.div_ceil(at_once)).unwrap();
            assert_eq!(run.duration(), ms(10) * rounds);
        });
    }
}

#[test]
fn a_nested_workflow_may_have_limits_of_its_own_beside() {
    paused(async {
        let journal = Journal::new();
        let shared = Limit::at_once(2);
        let inner = DotFlow::new("inner", jobs(&journal, "a", "db", 3, 1000));
        // The same limit again is taken once.
        let inner = inner.limit("db", 1).limit("db", &shared);
        let mut all = vec![task(inner).then(ended())];
        all.extend(jobs(&journal, "b", "db", 5, 10));
        let workflow = DotFlow::new("w", all).limit("db", &shared).concurrency(4);
        let run = in_time(workflow.start()).await.unwrap();
        assert!(run.succeeded());
        // Who waits for the limit of the inner one keeps those of the outer one from nothing.
        assert_eq!((journal.most("a"), journal.most("b")), (1, 2));
        assert!(journal.begun("b").iter().all(|at| *at < 100));
    });
}

#[test]
fn a_task_that_is_a_workflow_takes_neither_slot_nor_limit() {
    paused(async {
        let journal = Journal::new();
        let mut workflow = DotFlow::new("w0", jobs(&journal, "a", "db", 2, 10));
        for level in 1..6 {
            let inner = task(workflow).group("db").retry(2);
            workflow = DotFlow::new(format!("w{level}"), vec![inner.then(ended()).group("db")]);
        }
        let workflow = workflow.concurrency(1).limit("db", 1);
        let run = in_time(workflow.start()).await.unwrap();
        assert!(run.succeeded());
        assert_eq!((run.duration(), journal.most("a")), (ms(20), 1));
    });
}

#[action]
async fn ended(_previous: PreviousContext<Vec<Arc<()>>>) {}

#[test]
fn a_workflow_per_item_is_limited_within() {
    paused(async {
        let journal = Journal::new();
        let inner = DotFlow::with_input("inner", |number: &Task<u32>| {
            let page = number.then(page(journal.clone(), "a", 10)).group("db");
            page.retry(2).then(page_again(journal.clone())).group("db")
        });
        let all = task(numbers(20)).each(inner).group("db");
        let workflow = DotFlow::new("w", all).concurrency(5).limit("db", 2);
        let run = in_time(workflow.start()).await.unwrap();
        assert_eq!(*run.output().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!((run.duration(), journal.most("a")), (ms(200), 2));
    });
}

#[action]
async fn page_again(journal: Journal, number: PreviousContext<u32>) -> u32 {
    let _open = journal.begin("a");
    sleep(ms(10)).await;
    *number
}

/// How many wait, that have not begun: now, and at most.
#[derive(Clone, Default)]
struct Pending(Arc<(AtomicUsize, AtomicUsize)>);

impl Pending {
    fn watch<T: Send + Sync + 'static>(&self, workflow: DotFlow<T>) -> DotFlow<T> {
        let this = self.clone();
        workflow.observe(move |event| match event.kind {
            EventKind::TaskWaiting { .. } => {
                let waiting = this.0.0.fetch_add(1, Ordering::SeqCst) + 1;
                this.0.1.fetch_max(waiting, Ordering::SeqCst);
            }
            // All but the first two tasks have to wait.
            EventKind::TaskStarted { .. } => {
                let less = |waiting: usize| Some(waiting.saturating_sub(1));
                let _ = this
                    .0
                    .0
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
            }
            _ => {}
        })
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[test]
fn a_long_list_waits_as_a_list_and_not_item_by_item() {
    paused(async {
        let (journal, pending) = (Journal::new(), Pending::default());
        let pages = task(numbers(10_000)).each(page(journal.clone(), "a", 10));
        let workflow = DotFlow::new("w", pages.group("db")).limit("db", 2);
        let run = in_time(pending.watch(workflow).start()).await.unwrap();
        assert_eq!(run.duration(), ms(50_000));
        assert_eq!((journal.most("a"), pending.most()), (2, 1));
    });
}

#[test]
fn first_come_first_served() {
    paused(async {
        let (journal, limit) = (Journal::new(), Limit::at_once(2));
        let workflow = |kind: &str| {
            let lengths = [7, 30, 3, 3, 12, 5, 1, 20];
            let jobs = lengths.iter().enumerate().map(|(number, millis)| {
                let job = job(journal.clone(), format!("{kind}{number}"), *millis);
                task(job).group("db")
            });
            DotFlow::new(kind, jobs.collect::<Vec<_>>()).limit("db", &limit)
        };
        let one = workflow("a").spawn();
        sleep(ms(1)).await;
        let two = workflow("b").spawn();
        let _ = in_time(one).await.unwrap();
        let _ = in_time(two).await.unwrap();
        let order = ["a", "b"].map(|kind| (0..8).map(move |number| format!("{kind}{number}")));
        let order: Vec<String> = order.into_iter().flatten().collect();
        assert_eq!(journal.labels(), order);
    });
}

#[test]
fn two_lists_that_share_a_limit_take_turns() {
    paused(async {
        let (journal, limit) = (Journal::new(), Limit::at_once(1));
        let workflow = |kind: &'static str| {
            let pages = task(numbers(50)).each(page(journal.clone(), kind, 10));
            DotFlow::new(kind, pages.group("db")).limit("db", &limit)
        };
        let (one, two) = (workflow("a").spawn(), workflow("b").spawn());
        let _ = in_time(one).await.unwrap();
        let _ = in_time(two).await.unwrap();
        let labels = journal.labels();
        assert!(
            labels
                .windows(3)
                .all(|three| three[0] != three[1] || three[1] != three[2])
        );
    });
}

#[test]
fn several_limits_in_any_order_are_no_deadlock() {
    paused(async {
        let journal = Journal::new();
        let limits: Vec<Limit> = (0..4).map(|_| Limit::at_once(1)).collect();
        let rates: Vec<Limit> = (0..2)
            .map(|_| Limit::rate(Rate::per_second(1000)))
            .collect();
        // Each takes all of them, beginning with another one, and in both directions.
        let workflow = |first: usize, is_forward: bool| {
            let mut all: Vec<&Limit> = limits.iter().chain(&rates).collect();
            all.rotate_left(first);
            if !is_forward {
                all.reverse();
            }
            let jobs = jobs(&journal, "a", "db", 10, 1);
            let workflow = DotFlow::new("w", jobs).concurrency(2);
            let add = |workflow: DotFlow<_>, limit: &&Limit| workflow.limit("db", *limit);
            all.iter().fold(workflow, add)
        };
        let runs = (0..6).flat_map(|first| [true, false].map(|to| workflow(first, to).spawn()));
        let runs: Vec<_> = runs.collect();
        for run in runs {
            assert!(in_time(run).await.unwrap().succeeded());
        }
        assert_eq!(journal.most("a"), 1);
        assert_eq!(journal.now(), 120);
    });
}

/// Blocking code that goes on until it is let go.
#[derive(Clone)]
struct Gate(mpsc::Sender<()>, Arc<Mutex<mpsc::Receiver<()>>>);

impl Gate {
    fn new() -> Self {
        let (open, opened) = mpsc::channel();
        Self(open, Arc::new(Mutex::new(opened)))
    }
}

#[action]
fn stuck(gate: Gate, has_ended: Arc<AtomicBool>) {
    gate.1.lock().unwrap().recv().unwrap();
    has_ended.store(true, Ordering::SeqCst);
}

#[action(inline)]
fn look(has_ended: Arc<AtomicBool>) -> bool {
    has_ended.load(Ordering::SeqCst)
}

/// On a clock that moves: while blocking code runs, the other one stands still.
fn on_a_real_clock<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

#[test]
fn blocking_code_past_its_timeout_keeps_its_limit_until_it_ends() {
    on_a_real_clock(async {
        let (gate, has_ended) = (Gate::new(), Arc::new(AtomicBool::new(false)));
        let late = task(stuck(gate.clone(), Arc::clone(&has_ended))).timeout(ms(20));
        let next = task(look(Arc::clone(&has_ended))).group("db");
        let both = DotFlow::new("w", (late.group("db"), next.clone())).limit("db", 1);
        let run = both.keep_going(true).spawn();
        sleep(ms(100)).await;
        assert!(!run.is_finished(), "the next one waits");
        gate.0.send(()).unwrap();
        let run = run.await.unwrap();
        assert_eq!(statuses(&run), [Status::Failed, Status::Completed]);
        assert!(
            *run.get(&next).unwrap().unwrap(),
            "it began when that had ended"
        );
        assert_eq!(run.tasks()[1].waited_for(), Some(WaitReason::Limit));
    });
}

#[test]
fn attempts_that_may_overlap_do_so_as_far_as_the_limit_allows() {
    #[action(may_overlap, retry = 3, retry_delay = 0, timeout = "20ms")]
    fn stuck(gate: Gate, begun: Arc<AtomicUsize>) {
        begun.fetch_add(1, Ordering::SeqCst);
        gate.1.lock().unwrap().recv().unwrap();
    }

    on_a_real_clock(async {
        let (gate, begun) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let late = task(stuck(gate.clone(), Arc::clone(&begun))).group("db");
        let run = DotFlow::new("w", late)
            .limit("db", 2)
            .concurrency(1)
            .spawn();
        sleep(ms(200)).await;
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        assert!(!run.is_finished());
        for _ in 0..3 {
            gate.0.send(()).unwrap();
        }
        let _ = run.await.unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn blocking_code_of_a_run_that_was_given_up_keeps_a_shared_limit() {
    on_a_real_clock(async {
        let (gate, has_ended) = (Gate::new(), Arc::new(AtomicBool::new(false)));
        let limit = Limit::at_once(1);
        let late = task(stuck(gate.clone(), Arc::clone(&has_ended))).group("db");
        let first = DotFlow::new("first", late).limit("db", &limit).spawn();
        sleep(ms(50)).await;
        first.cancel();
        assert_eq!(first.await.unwrap().status(), Status::Cancelled);
        let next = DotFlow::new("next", task(look(Arc::clone(&has_ended))).group("db"));
        let next = next.limit("db", &limit).spawn();
        sleep(ms(50)).await;
        assert!(!next.is_finished());
        gate.0.send(()).unwrap();
        assert!(*next.await.unwrap().output().unwrap());
    });
}

/// A run that has all of a limit for a long time.
fn occupied(journal: &Journal, limit: &Limit) -> DotFlow<Vec<Arc<()>>> {
    DotFlow::new("occupied", jobs(journal, "x", "db", 1, 1_000_000)).limit("db", limit)
}

#[test]
fn who_is_cancelled_or_dropped_while_it_waits_leaves_nothing_behind() {
    paused(async {
        let (journal, limit) = (Journal::new(), Limit::at_once(1));
        let waits =
            |kind: &str| DotFlow::new(kind, jobs(&journal, kind, "db", 3, 10)).limit("db", &limit);
        let holder = occupied(&journal, &limit).spawn();
        sleep(ms(1)).await;
        let cancelled = waits("a").spawn();
        let timed_out = waits("b").timeout(ms(50)).spawn();
        assert!(
            timeout(ms(50), waits("c").start()).await.is_err(),
            "it waits, and is dropped"
        );
        cancelled.cancel();
        let run = in_time(cancelled).await.unwrap();
        assert_eq!(run.status(), Status::Cancelled);
        assert_eq!(statuses(&run), [Status::NotStarted; 3]);
        let run = in_time(timed_out).await.unwrap();
        assert_eq!((run.status(), run.duration()), (Status::Failed, ms(50)));
        assert_eq!(statuses(&run), [Status::NotStarted; 3]);
        holder.cancel();
        let _ = in_time(holder).await.unwrap();
        let run = in_time(waits("d").start()).await.unwrap();
        assert_eq!(run.duration(), ms(30));
        assert_eq!(journal.labels(), ["x0", "d0", "d1", "d2"]);
    });
}

#[test]
fn the_turn_at_a_rate_goes_to_the_next_one_when_who_has_it_is_given_up() {
    paused(async {
        let (journal, rate) = (Journal::new(), Limit::rate(Rate::every(ms(1000))));
        let workflow =
            |kind: &str| DotFlow::new(kind, jobs(&journal, kind, "api", 3, 1)).limit("api", &rate);
        let first = workflow("a").spawn();
        sleep(ms(500)).await;
        let second = workflow("b").spawn();
        sleep(ms(100)).await;
        first.cancel();
        let run = in_time(first).await.unwrap();
        assert_eq!(count(&run, Status::Completed), 1);
        assert!(in_time(second).await.unwrap().succeeded());
        assert_eq!(journal.begun("b"), [1000, 2000, 3000]);
    });
}

#[test]
fn whoever_takes_over_a_turn_that_was_due_already_brings_the_next_one_no_closer() {
    paused(async {
        let (journal, rate) = (Journal::new(), Limit::rate(Rate::every(ms(25))));
        let workflow = |kind: &str, count| {
            DotFlow::new(kind, jobs(&journal, kind, "api", count, 1)).limit("api", &rate)
        };
        assert!(workflow("b", 1).start().await.unwrap().succeeded());
        // Its turn comes at 25 ms, but there is no slot for it before the run has failed, at 26 ms.
        let refused = task(refuse(journal.clone(), 25));
        let mut all = jobs(&journal, "a", "api", 1, 1);
        all.insert(0, refused);
        let first = DotFlow::new("a", all).limit("api", &rate).concurrency(1);
        let first = first.spawn();
        sleep(ms(1)).await;
        let second = in_time(workflow("b", 3).start()).await.unwrap();
        assert_eq!(in_time(first).await.unwrap().status(), Status::Failed);
        assert!(second.succeeded());
        assert_eq!(journal.begun("b"), [0, 26, 51, 76]);
        assert!(journal.begun("a").is_empty());
    });
}

#[test]
fn a_drained_run_does_not_wait_for_a_rate() {
    paused(async {
        let journal = Journal::new();
        let workflow = DotFlow::new("w", jobs(&journal, "a", "api", 3, 1));
        let handle = workflow.rate("api", Rate::every(HOUR)).spawn();
        sleep(ms(1000)).await;
        handle.drain();
        let run = in_time(handle).await.unwrap();
        assert_eq!(
            (run.status(), run.duration()),
            (Status::Cancelled, ms(1000))
        );
        let not_started = Status::NotStarted;
        assert_eq!(
            statuses(&run),
            [Status::Completed, not_started, not_started]
        );
    });
}

#[test]
fn a_drained_run_begins_nothing_that_waited() {
    paused(async {
        let journal = Journal::new();
        let inner = DotFlow::new("inner", jobs(&journal, "b", "db", 2, 1000));
        let pages = task(numbers(3))
            .each(page(journal.clone(), "c", 1000))
            .group("db");
        let more: Vec<_> = (0..2).map(|_| task(inner.clone())).collect();
        let all = (
            task(job(journal.clone(), "a".into(), 1000)).group("db"),
            dotflow::join_all(more).then(all_ended()),
            pages,
        );
        let workflow = DotFlow::new("w", all).concurrency(1).limit("db", 1);
        let handle = workflow.spawn();
        sleep(ms(500)).await;
        handle.drain();
        let run = in_time(handle).await.unwrap();
        assert_eq!(
            (run.status(), run.duration()),
            (Status::Cancelled, ms(1000))
        );
        assert_eq!(journal.labels(), ["a"], "{run}");
        // Of the workflows one was open, and ended with the run; the other was not begun.
        assert_eq!(count(&run, Status::Cancelled), 1, "{run}");
    });
}

#[action(inline)]
fn all_ended(_all: Vec<PreviousContext<Vec<Arc<()>>>>) {}

#[action]
async fn refuse(journal: Journal, millis: u64) -> Result<(), String> {
    let _open = journal.begin("refuse");
    sleep(ms(millis)).await;
    Err("no".into())
}

#[test]
fn what_waits_when_a_task_fails_is_not_started() {
    paused(async {
        let journal = Journal::new();
        let mut all = vec![task(refuse(journal.clone(), 10)).group("db")];
        all.extend(jobs(&journal, "a", "db", 3, 10));
        all.extend(jobs(&journal, "b", "api", 3, 1));
        let workflow = DotFlow::new("w", all)
            .limit("db", 1)
            .rate("api", Rate::every(HOUR));
        let run = in_time(workflow.start()).await.unwrap();
        assert_eq!((run.status(), run.duration()), (Status::Failed, ms(10)));
        assert_eq!(count(&run, Status::NotStarted), 5, "{run}");
        assert_eq!(journal.labels(), ["refuse", "b0"]);
        let run = in_time(workflow.keep_going(true).start()).await.unwrap();
        assert_eq!(count(&run, Status::Completed), 6);
        assert_eq!(run.duration(), 2 * HOUR + ms(1));
    });
}

#[test]
fn what_waits_when_a_task_stops_the_run_is_not_started() {
    #[action]
    async fn stop() -> Result<(), TaskError> {
        sleep(ms(10)).await;
        Err(TaskError::stop("nothing new"))
    }

    paused(async {
        let journal = Journal::new();
        let pages = task(numbers(5)).each(page(journal.clone(), "a", 1));
        let calls = jobs(&journal, "b", "api", 3, 1);
        let calls = dotflow::join_all(calls).then(joined());
        let workflow = DotFlow::new("w", (task(stop()), pages.group("api"), calls));
        let run = workflow.rate("api", Rate::every(HOUR)).start();
        let run = in_time(run).await.unwrap();
        assert_eq!(
            (run.status(), run.duration()),
            (Status::Completed, ms(10)),
            "{run}"
        );
        assert_eq!(journal.labels().len(), 1);
    });
}

#[action]
async fn refuse_first(number: PreviousContext<u32>) -> Result<u32, String> {
    sleep(ms(10)).await;
    if *number == 0 {
        Err("no".into())
    } else {
        Ok(*number)
    }
}

#[test]
fn what_waits_when_an_item_fails_is_not_started() {
    paused(async {
        let journal = Journal::new();
        let pages = task(numbers(5)).each(refuse_first()).group("db");
        let other = jobs(&journal, "b", "api", 2, 1);
        let workflow = DotFlow::new("w", (pages, dotflow::join_all(other).then(joined())));
        let workflow = workflow.limit("db", 1).rate("api", Rate::every(HOUR));
        let run = in_time(workflow.start()).await.unwrap();
        assert_eq!((run.status(), run.duration()), (Status::Failed, ms(10)));
        assert_eq!(count(&run, Status::NotStarted), 4 + 1 + 1, "{run}");
        assert_eq!(journal.labels(), ["b0"]);
    });
}

#[action(inline)]
fn joined(_all: Vec<PreviousContext<()>>) {}

/// An item that nobody else can have a copy of.
struct Single;

impl Clone for Single {
    fn clone(&self) -> Self {
        panic!("there is one")
    }
}

#[test]
fn what_waits_when_an_item_can_not_be_had_is_not_started() {
    #[action(inline)]
    fn singles() -> Vec<Single> {
        vec![Single]
    }
    #[action(inline)]
    fn count_them(singles: PreviousContext<Vec<Single>>) -> usize {
        singles.len()
    }
    #[action(inline)]
    fn take(_single: PreviousContext<Single>) {}

    paused(async {
        let journal = Journal::new();
        let list = task(singles());
        let items = list.each(take());
        let waits = list.then(count_them()).group("api");
        let other = jobs(&journal, "b", "api", 1, 1).remove(0);
        let workflow = DotFlow::new("w", (other, items, waits));
        let run = workflow.rate("api", Rate::every(HOUR)).start();
        let run = in_time(run).await.unwrap();
        assert_eq!(run.status(), Status::Failed);
        assert!(run.duration() <= ms(1), "{run}");
        assert_eq!(count(&run, Status::NotStarted), 1, "{run}");
    });
}

#[test]
fn what_is_given_up_takes_no_turn_of_a_shared_rate() {
    paused(async {
        let (journal, rate) = (Journal::new(), Limit::rate(Rate::every(ms(1000))));
        let limit = Limit::at_once(1);
        let mut all = jobs(&journal, "a", "api", 20, 1);
        all.push(task(refuse(journal.clone(), 10)));
        // It runs on, so that its run is not over.
        all.push(task(job(journal.clone(), "l".into(), 100_000)));
        all.extend(jobs(&journal, "c", "db", 20, 1));
        let fails = DotFlow::new("fails", all)
            .limit("api", &rate)
            .limit("db", &limit);
        let fails = fails.spawn();
        sleep(ms(100)).await;
        let other = jobs(&journal, "b", "api", 3, 1);
        let other = DotFlow::new("other", other)
            .limit("api", &rate)
            .limit("db", &limit);
        assert!(in_time(other.start()).await.unwrap().succeeded());
        assert_eq!(journal.begun("b"), [1000, 2000, 3000]);
        assert_eq!(in_time(fails).await.unwrap().duration(), ms(100_000));
    });
}

#[test]
fn clean_up_waits_for_its_limit_and_is_done_though_a_task_has_failed() {
    #[action]
    async fn clean_up(journal: Journal, _done: Option<PreviousContext<()>>) {
        let _open = journal.begin("clean");
    }

    paused(async {
        let journal = Journal::new();
        let failed = task(refuse(journal.clone(), 10)).group("db");
        let waits = jobs(&journal, "a", "db", 1, 10).remove(0);
        let clean = waits.then(clean_up(journal.clone())).group("api");
        let first = jobs(&journal, "b", "api", 1, 1).remove(0);
        let workflow = DotFlow::new("w", (failed, clean, first)).limit("db", 1);
        let run = in_time(workflow.rate("api", Rate::every(HOUR)).start())
            .await
            .unwrap();
        assert_eq!((run.status(), run.duration()), (Status::Failed, HOUR));
        assert_eq!(journal.labels(), ["refuse", "b0", "clean"]);
    });
}

#[test]
fn observers_reports_and_spans_tell_what_a_task_waited_for() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let (run, recording) = recorded(async move {
        let journal = Journal::new();
        let mut all = jobs(&journal, "a", "db", 2, 100);
        all.extend(jobs(&journal, "b", "api", 2, 1));
        let after = jobs(&journal, "c", "db", 1, 1).remove(0);
        let after = after.then(done()).group("db");
        all.push(after);
        let workflow = DotFlow::new("w", all).limit("db", 1);
        let workflow = workflow
            .rate("api", Rate::every(ms(1000)))
            .observe(move |event| {
                let mut told = told.lock().unwrap();
                match &event.kind {
                    EventKind::TaskWaiting { task, reason, .. } => {
                        told.push(format!("{} waits for {reason:?}", task.id.number));
                    }
                    EventKind::TaskStarted { task, .. } => {
                        told.push(format!("{} starts", task.id.number));
                    }
                    _ => {}
                }
            });
        in_time(workflow.start()).await.unwrap()
    });
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "1 waits for Limit",
            "3 waits for Rate",
            "4 waits for Limit",
            "0 starts",
            "2 starts",
            "1 starts",
            "4 starts",
            "5 starts",
            "3 starts",
        ]
    );
    let told = run
        .tasks()
        .iter()
        .map(|task| (task.waited_for(), task.wait()));
    let limit = Some(WaitReason::Limit);
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (None, ms(0)),
            (limit, ms(100)),
            (None, ms(0)),
            (Some(WaitReason::Rate), ms(1000)),
            (limit, ms(200)),
            (None, ms(0)),
        ]
    );
    for task in run.tasks() {
        let span = recording.otel(&format!("task:{}", task.id()));
        let wait = Value::Float(task.wait().as_secs_f64());
        assert_eq!(
            span.field("dotflow.task.wait"),
            Some(&wait),
            "{}",
            task.id()
        );
        let duration = Value::Float(task.duration().as_secs_f64());
        assert_eq!(span.field("dotflow.task.duration"), Some(&duration));
    }
}

#[action]
async fn done(_previous: PreviousContext<()>) {}

#[action]
async fn fetch(
    calls: Arc<AtomicUsize>,
    stops_at: Arc<AtomicUsize>,
    number: PreviousContext<u32>,
) -> Result<u32, String> {
    if *number as usize == stops_at.load(Ordering::SeqCst) {
        return Err("no".into());
    }
    calls.fetch_add(1, Ordering::SeqCst);
    Ok(*number)
}

#[test]
fn what_is_restored_waits_for_no_rate() {
    paused(async {
        let (calls, stops_at) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(60)),
        );
        let fetch = || fetch(Arc::clone(&calls), Arc::clone(&stops_at));
        let one = task(numbers(100)).each(fetch()).group("api");
        let inner = DotFlow::with_input("inner", |number: &Task<u32>| {
            number.then(fetch()).group("api")
        });
        let two = task(numbers(100)).each(inner);
        // Of the workflows that are open, each comes to its end.
        for (pages, before) in [(one, 60), (two, 67)] {
            calls.store(0, Ordering::SeqCst);
            stops_at.store(60, Ordering::SeqCst);
            let pending = Pending::default();
            let workflow = DotFlow::new("w", pages).storage(MemoryStorage::new());
            let workflow = workflow.rate("api", Rate::every(ms(1000))).concurrency(8);
            let workflow = pending.watch(workflow);
            let run = in_time(workflow.resume("1")).await.unwrap();
            assert_eq!(run.status(), Status::Failed);
            assert_eq!(calls.load(Ordering::SeqCst), before);
            assert_eq!(run.duration(), ms(1000) * u32::try_from(before).unwrap());

            stops_at.store(usize::MAX, Ordering::SeqCst);
            sleep(ms(5000)).await;
            let run = in_time(workflow.resume("1")).await.unwrap();
            assert_eq!(*run.output().unwrap(), (0..100).collect::<Vec<_>>());
            assert_eq!(calls.load(Ordering::SeqCst), 100);
            // Those that were not stored, the first of them at once.
            let open = u32::try_from(100 - before).unwrap();
            assert_eq!(run.duration(), ms(1000) * (open - 1));
            let restored = run.tasks().iter().filter(|task| task.restored());
            assert!(restored.clone().count() >= before);
            assert!(restored.clone().all(|task| task.waited_for().is_none()));
            let again = in_time(workflow.resume("1")).await.unwrap();
            assert_eq!((again.succeeded(), again.duration()), (true, ms(0)));
            // One beside each slot: what is not stored comes back, and waits.
            assert!(pending.most() <= 2 * 8, "{}", pending.most());
        }
    });
}

#[test]
fn what_is_restored_needs_no_limit() {
    paused(async {
        let (journal, limit) = (Journal::new(), Limit::at_once(1));
        let jobs = jobs(&journal, "a", "db", 3, 10);
        let workflow = DotFlow::new("w", jobs).storage(MemoryStorage::new());
        let workflow = workflow.limit("db", &limit).concurrency(1);
        assert!(in_time(workflow.resume("1")).await.unwrap().succeeded());
        let holder = occupied(&journal, &limit).spawn();
        sleep(ms(1)).await;
        let run = in_time(workflow.resume("1")).await.unwrap();
        assert_eq!((run.succeeded(), run.duration()), (true, ms(0)));
        holder.cancel();
    });
}
