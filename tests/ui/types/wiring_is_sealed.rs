//! Nobody else can say that a parameter takes an output: reading it back could fail.

use dotflow::{PreviousContext, action, task, wiring::Accepts};

struct Mine;

impl Accepts<Mine> for PreviousContext<u32> {}

#[action]
fn mine() -> Mine {
    Mine
}

#[action]
fn number(previous: PreviousContext<u32>) -> u32 {
    *previous
}

fn main() {
    let _ = task(mine()).then(number());
}
