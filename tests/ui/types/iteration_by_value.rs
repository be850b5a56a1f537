// A previous context in a `for`, without a `&`.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn sum(previous: PreviousContext<Vec<u32>>) -> u32 {
    let mut sum = 0;
    for row in previous {
        sum += row;
    }
    sum
}

fn main() {
    let _ = task(rows()).then(sum());
}
