// Two actions in one `task(…)`: each has a type of its own.

use dotflow::{action, task};

#[action]
fn small() -> u32 {
    1
}

#[action]
fn large() -> u32 {
    2
}

fn main() {
    let is_small = true;
    let _ = task(if is_small { small() } else { large() });
    let _ = task(match is_small {
        true => small(),
        false => large(),
    });
}
