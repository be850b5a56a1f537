//! Random programs are run under an id, changed, and resumed. What a resumed run gives is what a
//! fresh run of the present program would give, or a refusal; and nothing is done again that was
//! completed.
//!
//! Every value depends on the task that made it and on all that it took, so that a wrong one shows.
//!
//! `DOTFLOW_PROGRAMS=20000` plays that many programs in each test instead of a few, and
//! `DOTFLOW_SEED` says which ones. A difference is shown as a small program and what happened to it.

mod build;
mod change;
mod counts;
mod model;
mod play;
mod program;
mod random;
mod shown;
mod site;
mod smaller;
mod unit;
mod units;

use std::{cell::RefCell, env};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use self::{
    counts::Counts,
    play::{Scenario, play},
    random::{Family, scenarios},
};

/// Plays random scenarios, and shows a small one of those that fail.
fn check(family: Family) {
    let number = |name: &str, otherwise: u32| match env::var(name) {
        Ok(text) => text.parse().expect("it is a number"),
        Err(_) => otherwise,
    };
    let programs = number("DOTFLOW_PROGRAMS", 500);
    let seed = number("DOTFLOW_SEED", 1);
    println!("{programs} programs of DOTFLOW_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: programs,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let counts = RefCell::new(Counts::default());
    let played = runner.run(&scenarios(family), |scenario| {
        play(&scenario, &mut counts.borrow_mut()).map_err(TestCaseError::fail)
    });
    println!("{:?}", counts.borrow());
    match played {
        Ok(()) => {}
        Err(TestError::Fail(why, scenario)) => {
            let fails = |scenario: &Scenario| play(scenario, &mut Counts::default()).err();
            let (scenario, why) = scenario.smallest(why.to_string(), fails);
            panic!("{why}\n{scenario:#?}")
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn failures_that_come_and_go() {
    check(Family::Failures);
}

#[test]
fn programs_that_change() {
    check(Family::Edits);
}

#[test]
fn versions_types_and_nested_inputs_that_change() {
    check(Family::Versions);
}

#[test]
fn two_workflows_under_one_id() {
    check(Family::Workflows);
}

#[test]
fn inputs_that_change_and_checkpoints_that_are_damaged() {
    check(Family::Damage);
}

#[test]
fn outputs_that_lose_something_when_they_are_stored() {
    check(Family::Losses);
}

#[test]
fn everything_at_once() {
    check(Family::All);
}
