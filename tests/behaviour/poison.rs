//! User code that panics where nobody expects it: in drops, clones, callbacks and error texts.
//! The run goes on, and tells the truth.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use dotflow::{DotFlow, PreviousContext, Status, TaskErrorKind, action, join_all, task};
use dotflow_tests::{paused, recorded};

/// Panics when it is dropped, and counts how often.
#[derive(Clone)]
struct Poison(Arc<AtomicU32>);

impl Poison {
    fn new() -> Self {
        Self(Arc::new(AtomicU32::new(0)))
    }

    fn drops(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Dropped(Poison);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        panic!("poisoned");
    }
}

#[test]
fn outputs_that_panic_when_dropped_hurt_nobody() {
    let poison = Poison::new();
    let make = |name| {
        let poison = poison.clone();
        task(action::from_fn(name, move || {
            let dropped = Dropped(poison.clone());
            async move { Ok(dropped) }
        }))
    };
    #[action(inline)]
    fn follow() -> u32 {
        7
    }
    // Nobody takes the values: they are dropped by the engine, several of them at a time.
    let parts = join_all([make("a"), make("b"), make("c")]);
    let after = parts.then(follow());
    let workflow = DotFlow::new("poisoned", after);
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), 7);
    assert!(run.succeeded());
    assert_eq!(poison.drops(), 3);
    assert!(recording.named("task").all(|span| span.closed == 1));
    let panics: usize = recording.spans.iter().map(|span| span.events.len()).sum();
    assert_eq!(
        panics + recording.events.len(),
        3,
        "each is told:\n{}",
        recording.tree()
    );
}

#[test]
fn a_dropped_run_leaves_poisoned_outputs_behind() {
    let poison = Poison::new();
    let given = poison.clone();
    let make = move || {
        let dropped = Dropped(given.clone());
        async move { Ok(dropped) }
    };
    let made: Vec<_> = (0..3)
        .map(|_| task(action::from_fn("make", make.clone())))
        .collect();
    #[action]
    async fn forever(_parts: Vec<PreviousContext<Dropped>>) -> u32 {
        std::future::pending().await
    }
    let held = made.into_iter().map(dotflow::Task::keep);
    let workflow = DotFlow::new("left", join_all(held).then(forever()));
    paused(async {
        let run = workflow.start();
        assert!(
            tokio::time::timeout(Duration::from_secs(1), run)
                .await
                .is_err()
        );
        // Spawned tasks are taken down by the runtime, in its own time.
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(poison.drops(), 3);
}

#[test]
fn a_future_that_panics_when_dropped_fails_or_ends_its_task_only() {
    struct Explosive(bool);
    impl Future for Explosive {
        type Output = Result<u32, dotflow::TaskError>;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            if self.0 {
                Poll::Ready(Ok(3))
            } else {
                Poll::Pending
            }
        }
    }
    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("the future exploded");
        }
    }
    let ready = task(action::from_fn("ready", || Explosive(true)));
    let run = paused(DotFlow::new("future", ready).start()).unwrap();
    let error = &run.tasks()[0].errors()[0];
    assert_eq!(error.kind(), TaskErrorKind::Panicked);
    assert_eq!(error.to_string(), "the future exploded");

    // One that is dropped since its time is over.
    let late = task(action::from_fn("late", || Explosive(false))).timeout(Duration::from_secs(1));
    let run = paused(DotFlow::new("late", late).start()).unwrap();
    assert_eq!(run.tasks()[0].errors()[0].kind(), TaskErrorKind::TimedOut);

    // One that is dropped since the run is cancelled.
    let pending = task(action::from_fn("pending", || Explosive(false)));
    let workflow = DotFlow::new("cancel", pending).timeout(Duration::from_secs(1));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(run.tasks()[0].status(), Status::Cancelled);
    assert_eq!(recording.otel("task:0").closed, 1);
}

#[derive(Debug)]
struct PanicsWhenCloned;

impl Clone for PanicsWhenCloned {
    fn clone(&self) -> Self {
        panic!("not to be cloned")
    }
}

#[test]
fn an_item_that_panics_when_cloned_fails_its_sub_task() {
    #[action(inline)]
    fn list() -> Vec<PanicsWhenCloned> {
        vec![PanicsWhenCloned, PanicsWhenCloned]
    }
    #[action(inline)]
    fn take(_item: PreviousContext<PanicsWhenCloned>) {}
    #[action(inline)]
    fn read(list: PreviousContext<Vec<PanicsWhenCloned>>) -> usize {
        list.len()
    }
    let list = task(list());
    // Kept, so that the items have to be cloned.
    let workflow =
        DotFlow::new("clone", (list.each(take()), list.then(read()), list)).keep_going(true);
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(run.status(), Status::Failed);
    for item in &run.tasks()[1..3] {
        assert_eq!(item.status(), Status::Failed);
        assert_eq!(
            item.errors()[0].to_string(),
            "the item can't be cloned: not to be cloned"
        );
    }
    assert_eq!(run.tasks()[3].status(), Status::Completed);
    let failed = recording
        .named("task")
        .filter(|span| span.text("dotflow.task.status") == Some("Failed") && span.closed == 1);
    assert_eq!(failed.count(), 2);
}

#[test]
fn an_own_input_that_panics_when_cloned_is_a_failure_of_the_task() {
    #[action]
    async fn take(_input: PanicsWhenCloned) {}
    #[action]
    fn take_on_a_thread(_input: PanicsWhenCloned) {}
    for taken in [
        task(take(PanicsWhenCloned)),
        task(take_on_a_thread(PanicsWhenCloned)),
    ] {
        let run = paused(DotFlow::new("own", taken).start()).unwrap();
        let error = &run.tasks()[0].errors()[0];
        assert_eq!(error.kind(), TaskErrorKind::Panicked);
        assert_eq!(error.to_string(), "not to be cloned");
    }
}

#[test]
fn a_retry_if_that_panics_is_a_failure_of_the_attempt() {
    fn judge(_error: &String) -> bool {
        panic!("no judgement")
    }
    #[action(inline, retry_if = judge, retry = 2)]
    fn fail() -> Result<(), String> {
        Err("failed".into())
    }
    let run = paused(DotFlow::new("judge", task(fail())).start()).unwrap();
    let errors = run.tasks()[0].errors();
    assert_eq!(errors.len(), 2);
    assert!(
        errors
            .iter()
            .all(|error| error.kind() == TaskErrorKind::Panicked)
    );
}

#[test]
fn an_error_whose_source_panics_is_told_as_far_as_can_be() {
    #[derive(Debug)]
    struct Outer;
    impl fmt::Display for Outer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            panic!("no source")
        }
    }
    #[action(inline)]
    fn fail() -> Result<(), Outer> {
        Err(Outer)
    }
    let workflow = DotFlow::new("source", task(fail()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(run.tasks()[0].errors()[0].to_string(), "outer");
    let exception = &recording.otel("task:0").events[0];
    assert!(
        exception.fields["exception.stacktrace"]
            .to_string()
            .contains("it panicked"),
        "{exception:?}"
    );
}

#[test]
fn callbacks_and_observers_that_panic_hurt_nobody() {
    #[action(inline)]
    fn work() -> u32 {
        5
    }
    let called = Arc::new(AtomicU32::new(0));
    let (first, second) = (Arc::clone(&called), Arc::clone(&called));
    let workflow = DotFlow::new("watched", task(work()).then(work()))
        .observe(|_| panic!("an observer"))
        .observe(move |_| {
            first.fetch_add(1, Ordering::Relaxed);
        })
        .on_success(|_| std::panic::panic_any(7))
        .on_success(move |run| {
            assert!(run.succeeded());
            second.fetch_add(100, Ordering::Relaxed);
        });
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert!(run.succeeded());
    // Begin and end of the run and of two tasks; and the second callback.
    assert_eq!(called.load(Ordering::Relaxed), 106);
    let told = recording
        .spans
        .iter()
        .map(|span| span.events.len())
        .sum::<usize>();
    assert_eq!(told + recording.events.len(), 7);
    let spans: Vec<_> = recording
        .spans
        .iter()
        .map(|span| span.text("otel.status_code"))
        .collect();
    assert_eq!(
        spans,
        [Some("OK"); 3],
        "a panic of a bystander is no error of a span"
    );
}

#[test]
fn what_a_workflow_holds_may_panic_when_the_run_drops_it() {
    let poison = Poison::new();
    #[action]
    async fn hold(_input: Arc<Dropped>) -> u32 {
        tokio::task::yield_now().await;
        9
    }
    let input = || Arc::new(Dropped(poison.clone()));
    let workflow = DotFlow::new("held", task(hold(input())).then(hold(input())));
    let run = paused(async {
        let background = workflow.spawn();
        // The run is the last owner of the workflow, and of the inputs in it.
        drop(workflow);
        background.await
    });
    assert_eq!(*run.unwrap().output().unwrap(), 9);
}
