//! The bodies of the fuzz targets in `fuzz`, as loops of bounded length: each is given random bytes
//! and panics where a promise is broken.
//!
//! `DOTFLOW_RANDOM=1000000` sets how many inputs each gets, and `DOTFLOW_SEED` repeats a run.

mod bytes;
mod envelope;
mod environment;
mod names;
mod tree;

use std::panic;

/// Gives random bytes to a body.
fn run(target: &str, default: u64, body: fn(&[u8])) {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let count: u64 = number("DOTFLOW_RANDOM").unwrap_or(default);
    let seed: u64 = number("DOTFLOW_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{target}: DOTFLOW_RANDOM={count} DOTFLOW_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for index in 0..count {
        let mut bytes = vec![0; random.usize(..200)];
        random.fill(&mut bytes);
        if let Err(panic) = panic::catch_unwind(|| body(&bytes)) {
            eprintln!("{target}, input {index} of seed {seed}: {bytes:?}");
            panic::resume_unwind(panic);
        }
    }
}

#[test]
fn a_changed_record_is_refused_or_means_the_same() {
    run("envelope", 5_000, envelope::check);
}

/// Each input is a process here, and no target of `fuzz`: fewer by default.
#[test]
fn no_environment_stops_a_program() {
    run("environment", 100, environment::check);
}

#[test]
fn names_stay_apart_and_inside_the_folder() {
    run("names", 5_000, names::check);
}

#[test]
fn nothing_that_misleads_leaves_a_tree() {
    run("tree", 5_000, tree::check);
}
