//! Two programs at once that resume one id, over a storage that can't tell them of each other. They
//! are halted, let go and killed at random moments: work may be done by both, but both hand on the
//! same values, and what is stored stays as it is.
#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fmt,
    io::Write as _,
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::victims::{PROGRAM, Scene, printed};

const ITEMS: usize = 24;
/// The items, and the four tasks around them.
const TASKS: u64 = ITEMS as u64 + 4;
/// How often the two programs of an id are disturbed.
const DISTURBANCES: usize = 8;

#[derive(Default)]
struct Counts {
    ids: usize,
    halted: usize,
    killed: usize,
    outputs: usize,
    done_twice: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} ids, each with two programs at once: {} halts, {} kills, {} outputs, {} tasks done \
             more than once",
            self.ids, self.halted, self.killed, self.outputs, self.done_twice
        )
    }
}

/// One of two programs that resume the same id.
struct Program {
    child: Child,
    is_halted: bool,
}

impl Program {
    fn start(scene: &Scene) -> Self {
        let mut command = Command::new(PROGRAM);
        Self {
            child: scene.spawn_by(command.env("VICTIM_WITHOUT_LOCK", "yes")),
            is_halted: false,
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Halts it, lets it go on, or kills it. Gives what it printed, if it came to its end before.
    fn disturb(&mut self, scene: &Scene, counts: &mut Counts) -> Option<[u64; 3]> {
        let has_ended = self.child.try_wait().unwrap().is_some();
        if !has_ended && fastrand::u8(..3) > 0 {
            self.is_halted = !self.is_halted;
            self.signal(if self.is_halted { "-STOP" } else { "-CONT" });
            counts.halted += usize::from(self.is_halted);
            return None;
        }
        let old = std::mem::replace(self, Self::start(scene));
        old.end(true, counts)
    }

    /// Waits for its end, or brings it about. Gives what it printed, unless it was killed.
    fn end(mut self, kills: bool, counts: &mut Counts) -> Option<[u64; 3]> {
        if kills {
            self.child.kill().unwrap();
        } else if self.is_halted {
            self.signal("-CONT");
        }
        let output = self.child.wait_with_output().unwrap();
        if output.status.code().is_none() {
            counts.killed += 1;
            return None;
        }
        counts.outputs += 1;
        Some(printed(&output))
    }
}

fn assert_still_there(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    for (key, text) in before {
        let later = after.get(key);
        assert_eq!(
            later,
            Some(text),
            "the checkpoint {key} was lost or changed"
        );
    }
}

/// Two programs resume an id and are disturbed, until both come to their end.
fn torment(scene: &Scene, longest: Duration, counts: &mut Counts) {
    let mut programs = [(); 2].map(|()| Program::start(scene));
    let mut outputs = Vec::new();
    let mut stored = BTreeMap::new();
    for _ in 0..DISTURBANCES {
        sleep(longest.mul_f64(fastrand::f64() / 3.0));
        outputs.extend(programs[fastrand::usize(..2)].disturb(scene, counts));
        let now = scene.stored();
        assert_still_there(&stored, &now);
        stored = now;
    }
    // One that waits for the other to go on would wait for ever.
    let ended = programs.map(|program| program.end(false, counts));
    outputs.extend(ended.into_iter().flatten());

    let remains = scene.remains();
    assert_still_there(&stored, &scene.stored());
    remains.assert_made();
    for output in &outputs {
        assert_eq!(output[..2], outputs[0][..2], "two programs, two values");
        remains.assert_output(ITEMS, *output);
    }
    let [first, second, _] = outputs[0];
    assert_eq!(scene.finish(), [first, second, TASKS]);
    assert_eq!(scene.remains().checkpoints, remains.checkpoints);
    counts.ids += 1;
    let effects = remains.effects.values();
    counts.done_twice += effects.filter(|calls| calls.len() > 1).count();
}

/// `DOTFLOW_CRASHES=200 cargo test -p dotflow-tests --test storage processes:: -- --nocapture`
/// kills 200 times.
#[test]
fn two_programs_at_once_hand_on_the_same_values() {
    let wanted = std::env::var("DOTFLOW_CRASHES").map_or(12, |count| count.parse().unwrap());
    let scene = Scene::new("undisturbed", ITEMS, true);
    let started = Instant::now();
    scene.finish();
    let longest = started.elapsed();
    let mut counts = Counts::default();
    while counts.killed < wanted {
        let scene = Scene::new(&format!("run-{}", counts.ids), ITEMS, true);
        torment(&scene, longest, &mut counts);
    }
    writeln!(std::io::stderr(), "{counts}").unwrap();
    assert!(counts.halted > 0);
}
