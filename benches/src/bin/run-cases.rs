//! Runs each case, for callgrind to count its instructions, or against the clock.
//!
//! `run-cases <listener> instructions` runs under callgrind, and prints a line per case and way,
//! `<case>;<way>`, in the order in which callgrind writes its counts. With a case and a way behind
//! it, only that is run: for a profile.
//!
//! `run-cases <listener> time` prints, per case and way, the median time of a run in nanoseconds
//! and the median of its ratios to dotflow's runs right before it:
//! `<case>;<way>;<nanoseconds>;<ratio>`.

use std::{
    env,
    time::{Duration, Instant},
};

use dotflow_bench::{
    cases::{Case, OneRun, Way},
    listener::{Listener, Listening},
};
use tokio::runtime::{Builder, Runtime};

fn main() {
    let name = env::args().nth(1).expect("the name of a listener");
    let listener = Listener::named(&name).expect("the name of a listener");
    let listening = listener.install();
    match env::args().nth(2).as_deref() {
        Some("instructions") => instructions(listener, &listening),
        Some("time") => time(listener, &listening),
        _ => panic!("the second argument is `instructions` or `time`"),
    }
}

/// One thread, so that every run takes the same way.
fn instructions(listener: Listener, listening: &Listening) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had");
    let wanted: Vec<String> = env::args().skip(3).collect();
    for case in Case::ALL {
        for &way in Way::of(case, listener) {
            if !wanted.is_empty() && wanted != [case.name(), way.name()] {
                continue;
            }
            let start = case.prepare(way);
            // The first run also pays for what a process sets up once.
            assert_eq!(runtime.block_on(start()), case.output());
            listening.settle();
            assert_eq!(counted_run(&runtime, &*start), case.output());
            listening.settle();
            println!("{};{}", case.name(), way.name());
        }
    }
}

/// Callgrind is told this name: it counts what happens in here, and writes its count at the end.
#[inline(never)]
fn counted_run(runtime: &Runtime, start: &dyn Fn() -> OneRun) -> u64 {
    runtime.block_on(start())
}

/// How long the runs between two looks at the clock should take together.
const STRETCH: Duration = Duration::from_millis(2);
const ROUNDS: usize = 25;

/// The runtime that `#[tokio::main]` gives. The ways take turns, since the speed of a machine
/// drifts; only their ratios say much.
fn time(listener: Listener, listening: &Listening) {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had");
    for case in Case::ALL {
        let mut ways: Vec<Timed> = Way::of(case, listener)
            .iter()
            .map(|way| Timed::new(&runtime, listening, case, *way))
            .collect();
        for _ in 0..ROUNDS {
            for way in &mut ways {
                way.measure(&runtime, listening, case);
            }
        }
        let dotflow = ways
            .last()
            .expect("dotflow is one of the ways")
            .rounds
            .clone();
        for timed in &ways {
            let rounds = timed.rounds.iter().zip(&dotflow);
            let ratio = median(rounds.map(|(way, dotflow)| dotflow / way).collect());
            let time = median(timed.rounds.clone());
            println!("{};{};{time};{ratio}", case.name(), timed.way.name());
        }
    }
}

struct Timed {
    way: Way,
    start: Box<dyn Fn() -> OneRun + Send + Sync>,
    runs: u32,
    /// The nanoseconds of a run, in each round.
    rounds: Vec<f64>,
}

impl Timed {
    fn new(runtime: &Runtime, listening: &Listening, case: Case, way: Way) -> Self {
        let mut timed = Self {
            way,
            start: case.prepare(way),
            runs: 1,
            rounds: Vec::new(),
        };
        loop {
            let elapsed = timed.stretch(runtime, listening, case);
            // More would be more spans than a queue holds.
            if elapsed >= STRETCH || timed.runs * case.tasks() > 20_000 {
                return timed;
            }
            timed.runs *= 2;
        }
    }

    fn measure(&mut self, runtime: &Runtime, listening: &Listening, case: Case) {
        let elapsed = self.stretch(runtime, listening, case);
        let nanoseconds = elapsed.as_secs_f64() * 1e9;
        self.rounds.push(nanoseconds / f64::from(self.runs));
    }

    fn stretch(&self, runtime: &Runtime, listening: &Listening, case: Case) -> Duration {
        let runs: Vec<OneRun> = (0..self.runs).map(|_| (self.start)()).collect();
        let stretch = runtime.spawn(async move {
            let started = Instant::now();
            for run in runs {
                assert_eq!(run.await, case.output());
            }
            started.elapsed()
        });
        let elapsed = runtime
            .block_on(stretch)
            .expect("nothing in a case can fail");
        listening.settle();
        elapsed
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
