//! Programs that are killed and resumed: what was stored is never done again and never lost.

use std::{
    fmt,
    io::Write as _,
    thread::sleep,
    time::{Duration, Instant},
};

use dotflow::storage::Storage as _;

use crate::victims::{Remains, Scene, printed};

const ITEMS: usize = 24;
/// The items, and the four tasks around them.
const TASKS: usize = ITEMS + 4;

/// At which moments programs were killed.
#[derive(Default)]
struct Kills {
    before_the_first_checkpoint: usize,
    in_the_middle: usize,
    after_the_last_checkpoint: usize,
    while_writing_a_file: usize,
}

impl Kills {
    fn count(&mut self, before: &Remains, after: &Remains) {
        *match after.checkpoints.len() {
            0 => &mut self.before_the_first_checkpoint,
            TASKS => &mut self.after_the_last_checkpoint,
            _ => &mut self.in_the_middle,
        } += 1;
        self.while_writing_a_file += usize::from(after.unfinished > before.unfinished);
    }

    fn all(&self) -> usize {
        self.before_the_first_checkpoint + self.in_the_middle + self.after_the_last_checkpoint
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} kills: {} before the first checkpoint, {} in the middle, {} after the last \
             checkpoint; {} of them while a file was being written",
            self.all(),
            self.before_the_first_checkpoint,
            self.in_the_middle,
            self.after_the_last_checkpoint,
            self.while_writing_a_file
        )
    }
}

/// Kills a program at random moments and resumes it, until it comes to its end.
fn torment(scene: &Scene, longest: Duration, kills: &mut Kills) {
    let mut before = Remains::default();
    let output = loop {
        let mut victim = scene.spawn();
        sleep(longest.mul_f64(fastrand::f64()));
        victim.kill().unwrap();
        let output = victim.wait_with_output().unwrap();
        let after = scene.remains();
        before.assert_followed_by(&after);
        after.assert_done_once();
        // A program that came to its end before it was hit has an exit code.
        let ended = output.status.code().is_some();
        if !ended {
            kills.count(&before, &after);
        }
        before = after;
        if ended {
            break printed(&output);
        }
    };
    before.assert_output(ITEMS, output);

    // All that the kills have left is good enough to be restored.
    let again = scene.finish();
    assert_eq!(again, [output[0], output[1], TASKS as u64]);
    before.assert_followed_by(&scene.remains());
}

/// `DOTFLOW_CRASHES=200 cargo test -p dotflow-tests --test storage crash::a_killed -- --nocapture`
/// kills 200 times.
#[test]
fn a_killed_program_does_nothing_twice_that_it_stored() {
    let wanted = std::env::var("DOTFLOW_CRASHES").map_or(25, |count| count.parse().unwrap());
    // Moments are drawn from the time that an undisturbed run takes.
    let undisturbed = |run| {
        let scene = Scene::new(&format!("undisturbed-{run}"), ITEMS, true);
        let started = Instant::now();
        let output = scene.finish();
        let duration = started.elapsed();
        let remains = scene.remains();
        remains.assert_output(ITEMS, output);
        remains.assert_done_once();
        duration
    };
    let longest = (0..5).map(undisturbed).min().unwrap();
    let mut kills = Kills::default();
    let mut runs = 0;
    while kills.all() < wanted {
        let scene = Scene::new(&format!("run-{runs}"), ITEMS, true);
        torment(&scene, longest, &mut kills);
        runs += 1;
    }
    writeln!(
        std::io::stderr(),
        "{runs} runs, {longest:?} long if undisturbed; {kills}"
    )
    .unwrap();
    assert!(kills.in_the_middle > 0, "no kill has hit anything: {kills}");
}

#[test]
fn ten_thousand_items_are_resumed_in_the_middle() {
    const MANY: usize = 10_000;
    let scene = Scene::new("many", MANY, false);
    let mut victim = scene.spawn();
    // It is killed once it is in the middle of its items, however fast this machine is.
    let stored = || {
        let storage = scene.storage();
        dotflow_tests::threaded(async move { storage.list("many").await.unwrap().len() })
    };
    while stored() < MANY / 3 {
        assert!(victim.try_wait().unwrap().is_none(), "it ended too early");
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    let before = scene.remains();
    before.assert_done_once();
    let restored = before.checkpoints.len();
    assert!((MANY / 3..MANY).contains(&restored), "{restored}");

    let output = scene.finish();
    let after = scene.remains();
    before.assert_followed_by(&after);
    after.assert_done_once();
    after.assert_output(MANY, output);
    // It did what was missing, and only that.
    let done = |remains: &Remains| remains.effects.values().map(Vec::len).sum::<usize>();
    assert_eq!(output[2], restored as u64);
    assert_eq!(done(&after) - done(&before), MANY + 4 - restored);
}
