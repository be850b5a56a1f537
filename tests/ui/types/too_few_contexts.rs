// A task that takes fewer previous contexts than are joined.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


#[action]
fn load(previous: PreviousContext<Vec<u32>>) -> usize {
    previous.len()
}

fn main() {
    let rows = task(rows());
    let _ = rows.and(&rows).then(load());
}
