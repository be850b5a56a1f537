//! What a run takes: threads, tasks of the runtime, and memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dotflow::{DotFlow, PreviousContext, action, join_all, task};
use dotflow_tests::{paused, threaded};

/// How many there are at a time, and at most.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

#[action]
async fn occupy(gauge: Arc<Gauge>) {
    gauge.enter();
    tokio::time::sleep(Duration::from_secs(1)).await;
    gauge.leave();
}

#[action(inline)]
fn list() -> Vec<u32> {
    (0..50).collect()
}

#[action]
async fn occupy_for(_item: PreviousContext<u32>, gauge: Arc<Gauge>) {
    gauge.enter();
    tokio::time::sleep(Duration::from_secs(1)).await;
    gauge.leave();
}

#[test]
fn at_most_so_many_tasks_run_at_once() {
    for limit in [1, 2, 7, 256] {
        let gauge = Arc::new(Gauge::default());
        let single = (0..50)
            .map(|_| task(occupy(Arc::clone(&gauge))))
            .collect::<Vec<_>>();
        let mapped = task(list()).each(occupy_for(Arc::clone(&gauge)));
        let workflow = DotFlow::new(
            "wide",
            (
                join_all(single).then(action::from_fn(
                    "end",
                    |_: Vec<PreviousContext<()>>| async { Ok(()) },
                )),
                mapped,
            ),
        );
        let run = paused(workflow.concurrency(limit).start()).unwrap();
        assert!(run.succeeded());
        assert_eq!(gauge.peak(), limit.min(100));
        let rounds = 100_usize.div_ceil(limit) as u64;
        assert_eq!(run.duration(), Duration::from_secs(rounds));
    }
}

#[test]
fn the_default_is_256_at_once() {
    let gauge = Arc::new(Gauge::default());
    let all: Vec<_> = (0..300).map(|_| task(occupy(Arc::clone(&gauge)))).collect();
    assert!(
        paused(DotFlow::new("default", all).start())
            .unwrap()
            .succeeded()
    );
    assert_eq!(gauge.peak(), 256);
}

#[test]
#[should_panic(expected = "a workflow needs a concurrency of at least 1")]
fn a_concurrency_of_none_is_refused() {
    let _ = DotFlow::new("none", task(list())).concurrency(0);
}

#[test]
fn a_chain_is_one_task_of_the_runtime_and_a_fan_out_several() {
    #[action]
    async fn id() -> Option<tokio::task::Id> {
        tokio::task::yield_now().await;
        tokio::task::try_id()
    }
    let first = task(id());
    let second = first.then(id());
    let (left, right) = (second.then(id()), second.then(id()));
    let workflow = DotFlow::new("ids", (first, second, left, right));
    threaded(async move {
        let here = tokio::task::try_id();
        let run = workflow.start().await.unwrap();
        let (first, second, left, right) = &*run.output().unwrap();
        assert_eq!((**first, **second), (here, here));
        assert!(**left != here && **right != here && left != right);
        let run = workflow.concurrency(1).start().await.unwrap();
        let (_, _, left, right) = &*run.output().unwrap();
        assert_eq!((**left, **right), (here, here));
    });
}

#[test]
fn a_long_chain_lets_others_have_the_thread() {
    #[action(inline)]
    fn step(previous: PreviousContext<u32>) -> u32 {
        *previous + 1
    }
    #[action(inline)]
    fn zero() -> u32 {
        0
    }
    let chain = (0..10_000).fold(task(zero()), |chain, _| chain.then(step()));
    let workflow = DotFlow::new("long", chain);
    paused(async {
        let background = workflow.spawn();
        let mut turns = 0;
        while !background.is_finished() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        // tokio gives a task 128 steps at a time.
        assert!(turns > 50, "only {turns}");
        assert_eq!(*background.await.unwrap().output().unwrap(), 10_000);
    });
}

/// A value that counts how many of its kind live.
struct Living(Arc<Gauge>);

impl Living {
    fn new(gauge: &Arc<Gauge>) -> Self {
        gauge.enter();
        Self(Arc::clone(gauge))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[action(inline)]
fn born(gauge: Arc<Gauge>) -> Living {
    Living::new(&gauge)
}

#[action(inline)]
fn reborn(previous: PreviousContext<Living>) -> Living {
    Living::new(&previous.0)
}

#[test]
fn an_output_goes_with_its_last_reader() {
    let gauge = Arc::new(Gauge::default());
    let chain = (0..100).fold(task(born(Arc::clone(&gauge))), |chain, _| {
        chain.then(reborn())
    });
    let run = paused(DotFlow::new("chain", chain).start()).unwrap();
    assert_eq!(gauge.peak(), 2, "one that is read, and one that is made");
    assert_eq!(gauge.now.load(Ordering::SeqCst), 1, "the output of the run");
    drop(run);
    assert_eq!(gauge.now.load(Ordering::SeqCst), 0);
}

#[test]
fn an_output_that_nobody_reads_goes_at_once() {
    #[action(inline)]
    fn after() {}
    let gauge = Arc::new(Gauge::default());
    let chain = (0..50).fold(task(after()), |chain, _| {
        chain.then(born(Arc::clone(&gauge))).then(after())
    });
    assert!(
        paused(DotFlow::new("unread", chain).start())
            .unwrap()
            .succeeded()
    );
    assert_eq!(gauge.peak(), 1);
}

#[test]
fn an_output_goes_when_its_last_reader_is_skipped() {
    #[action(inline)]
    fn fail(_: PreviousContext<Living>) -> Result<u32, String> {
        Err("on purpose".into())
    }
    #[action(inline)]
    fn never(_: PreviousContext<Living>, number: PreviousContext<u32>) -> u32 {
        *number
    }
    #[action(inline)]
    fn alive(_: Option<PreviousContext<u32>>, gauge: Arc<Gauge>) -> usize {
        gauge.now.load(Ordering::SeqCst)
    }
    let gauge = Arc::new(Gauge::default());
    let living = task(born(Arc::clone(&gauge)));
    let skipped = living.and(&living.then(fail())).then(never());
    let workflow = DotFlow::new("skipped", skipped.then(alive(Arc::clone(&gauge))));
    let run = paused(workflow.start()).unwrap();
    assert_eq!(gauge.peak(), 1);
    assert_eq!(*run.output().unwrap(), 0);
}

#[test]
fn a_kept_output_stays_until_the_run_is_dropped() {
    let gauge = Arc::new(Gauge::default());
    let first = task(born(Arc::clone(&gauge))).keep();
    let last = first.then(reborn()).then(reborn());
    let run = paused(DotFlow::new("kept", last).start()).unwrap();
    assert_eq!(gauge.now.load(Ordering::SeqCst), 2);
    assert!(run.get(&first).unwrap().is_ok());
    drop(run);
    assert_eq!(gauge.now.load(Ordering::SeqCst), 0);
}

/// A value that counts its copies.
struct Copied(Arc<AtomicUsize>);

impl Clone for Copied {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(&self.0))
    }
}

#[action(inline)]
fn make(copies: Arc<AtomicUsize>) -> Copied {
    Copied(copies)
}

#[action(inline)]
fn pass(previous: PreviousContext<Copied>) -> Copied {
    previous.into_inner()
}

#[action(inline)]
fn pass_list(previous: PreviousContext<Vec<Copied>>) -> Vec<Copied> {
    previous.into_inner()
}

#[action(inline)]
fn many(copies: Arc<AtomicUsize>) -> Vec<Copied> {
    (0..10).map(|_| Copied(Arc::clone(&copies))).collect()
}

#[action(inline)]
fn end(_previous: PreviousContext<Vec<Copied>>) {}

#[test]
fn the_last_reader_takes_the_value_without_a_copy() {
    let copies = Arc::new(AtomicUsize::new(0));
    let count = || copies.swap(0, Ordering::SeqCst);
    let make = || task(make(Arc::clone(&copies)));

    let chain = (0..10).fold(make(), |chain, _| chain.then(pass()));
    assert!(
        paused(DotFlow::new("chain", chain).start())
            .unwrap()
            .succeeded()
    );
    assert_eq!(count(), 0);

    // Two readers, one after the other: the first one copies, the last one takes.
    let made = make();
    let both = (made.then(pass()), made.then(pass()));
    assert!(
        paused(DotFlow::new("two", both).concurrency(1).start())
            .unwrap()
            .succeeded()
    );
    assert_eq!(count(), 1);

    let made = make();
    let kept = (made.then(pass()), made);
    assert!(
        paused(DotFlow::new("sink", kept).start())
            .unwrap()
            .succeeded()
    );
    assert_eq!(count(), 1, "the run keeps a sink");

    // Through lists and nested workflows as well.
    let list = task(many(Arc::clone(&copies)))
        .each(pass())
        .then(pass_list())
        .then(end());
    assert!(
        paused(DotFlow::new("each", list).start())
            .unwrap()
            .succeeded()
    );
    assert_eq!(count(), 0);
    let inner = DotFlow::new("inner", make().then(pass()));
    let outer = task(inner).then(pass()).then(pass());
    assert!(
        paused(DotFlow::new("outer", outer).start())
            .unwrap()
            .succeeded()
    );
    assert_eq!(count(), 0);
}

/// Runs on a thread whose stack is far too small for a recursion over all tasks.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    thread.spawn(run).unwrap().join().unwrap();
}

#[action(inline)]
fn next(previous: PreviousContext<u32>) -> u32 {
    *previous + 1
}

#[action(inline)]
fn count_to(last: u32) -> Vec<u32> {
    (0..last).collect()
}

const MANY: u32 = 10_000;

#[test]
fn a_long_chain_needs_no_stack() {
    on_a_small_stack(|| {
        let first = task(action::from_fn("first", || async { Ok(0) }));
        let chain = (0..MANY).fold(first, |chain, _| chain.then(next()));
        let workflow = DotFlow::new("long", chain);
        let run = paused(workflow.start()).unwrap();
        assert_eq!(*run.output().unwrap(), MANY);
        assert_eq!(run.to_string().lines().count(), MANY as usize + 2);
    });
}

#[test]
fn a_long_chain_that_fails_needs_no_stack() {
    on_a_small_stack(|| {
        let first = task(action::from_fn("first", || async {
            Err(dotflow::TaskError::failed("no"))
        }));
        let chain = (0..MANY).fold(first, |chain, _| chain.then(next()));
        let run = paused(DotFlow::new("long", chain).start()).unwrap();
        assert!(
            run.output()
                .unwrap_err()
                .to_string()
                .contains("task:0 `first` failed: no")
        );
    });
}

#[test]
fn a_graph_that_never_becomes_a_workflow_needs_no_stack() {
    on_a_small_stack(|| {
        let first = task(action::from_fn("first", || async { Ok(0) }));
        let chain = (0..MANY).fold(first, |chain, _| chain.then(next()));
        let list = join_all([chain.clone(), chain]);
        drop(list);
    });
}

#[test]
fn a_long_list_needs_no_stack() {
    on_a_small_stack(|| {
        let mapped = task(count_to(MANY)).each(next());
        let run = paused(DotFlow::new("list", mapped).start()).unwrap();
        assert_eq!(
            run.output()
                .unwrap()
                .iter()
                .map(|item| u64::from(*item))
                .sum::<u64>(),
            (1..=u64::from(MANY)).sum::<u64>()
        );
        assert_eq!(run.tasks().len(), MANY as usize + 1);
    });
}

#[test]
fn large_outputs_of_tasks_side_by_side_all_arrive() {
    #[action]
    fn megabyte(byte: u8) -> Vec<u8> {
        vec![byte; 1 << 20]
    }
    #[action]
    fn lengths(parts: Vec<PreviousContext<Vec<u8>>>) -> Vec<(u8, usize)> {
        let parts = parts.iter();
        parts.map(|part| (part[0], part.len())).collect()
    }
    let parts = join_all((0..16).map(|byte| task(megabyte(byte))));
    let workflow = DotFlow::new("megabytes", parts.then(lengths()));
    let run = threaded(async move { workflow.start().await.unwrap() });
    let expected: Vec<_> = (0..16).map(|byte| (byte, 1 << 20)).collect();
    assert_eq!(*run.output().unwrap(), expected);
}

#[test]
fn an_output_may_be_anything_that_threads_may_share() {
    /// Neither `Clone`, nor `Debug`, nor anything that could be written down.
    struct Job(Box<dyn Fn(u32) -> u32 + Send + Sync>);
    #[action]
    fn prepare() -> Job {
        Job(Box::new(|number| number + 1))
    }
    #[action]
    fn apply(job: PreviousContext<Job>, number: u32) -> u32 {
        (job.0)(number)
    }
    let job = task(prepare());
    let workflow = DotFlow::new("jobs", (job.then(apply(1)), job.then(apply(2))));
    let run = threaded(async move { workflow.start().await.unwrap() });
    let (one, two) = &*run.output().unwrap();
    assert_eq!((**one, **two), (2, 3));
}
