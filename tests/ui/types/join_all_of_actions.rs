// Actions joined before they are tasks.

use dotflow::{PreviousContext, action, join_all};

#[action]
fn part(number: u32) -> u32 {
    number
}

#[action]
fn sum(parts: Vec<PreviousContext<u32>>) -> u32 {
    parts.iter().map(|part| **part).sum()
}

fn main() {
    let _ = join_all([part(1), part(2)]).then(sum());
    let _ = join_all((1..=3).map(part)).then(sum());
}
