//! Programs that are killed and resumed: what was stored is never done again and never lost.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::victims::{Remains, Scene};

const ITEMS: usize = 24;

/// Kills a program at random moments until it comes to its end. Gives the number of kills.
fn torment(scene: &Scene, longest: Duration) -> usize {
    let mut kills = 0;
    let mut before = Remains::default();
    loop {
        let mut victim = scene.spawn();
        sleep(longest.mul_f64(fastrand::f64()));
        victim.kill().unwrap();
        let output = victim.wait_with_output().unwrap();
        let after = scene.remains();
        before.assert_followed_by(&after);
        before = after;
        // A program that came to its end before it was hit has printed its output.
        match output.status.code() {
            None => kills += 1,
            Some(_) => {
                before.assert_output(ITEMS, crate::victims::printed(&output));
                return kills;
            }
        }
    }
}

/// `DOTFLOW_CRASHES=200 cargo test -p dotflow-tests --test storage crash` kills 200 times.
#[test]
fn a_killed_program_does_nothing_twice_that_it_stored() {
    let wanted = std::env::var("DOTFLOW_CRASHES").map_or(25, |count| count.parse().unwrap());
    let started = Instant::now();
    let scene = Scene::new("undisturbed", ITEMS, true);
    let output = scene.finish();
    scene.remains().assert_output(ITEMS, output);
    // Some kills come before anything was done, some after everything was.
    let longest = started.elapsed().min(Duration::from_secs(1));
    let mut kills = 0;
    for round in 0.. {
        if kills >= wanted {
            break;
        }
        kills += torment(&Scene::new(&format!("round {round}"), ITEMS, true), longest);
    }
}

#[test]
fn ten_thousand_items_are_resumed_in_the_middle() {
    const MANY: usize = 10_000;
    let scene = Scene::new("many", MANY, false);
    let mut victim = scene.spawn();
    // It is killed once it is in the middle of its items, however fast this machine is.
    let stored = || {
        dotflow_tests::threaded({
            let storage = scene.storage();
            async move {
                dotflow::storage::Storage::list(&storage, "many")
                    .await
                    .unwrap()
                    .len()
            }
        })
    };
    while stored() < MANY / 3 {
        assert!(victim.try_wait().unwrap().is_none(), "it ended too early");
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    let before = scene.remains();
    let restored = before.checkpoints.len();
    assert!(restored < MANY);
    let output = scene.finish();
    let after = scene.remains();
    before.assert_followed_by(&after);
    after.assert_output(MANY, output);
    assert_eq!(output[2], restored as u64);
}
