// Joined tasks given to a task that takes one.

use dotflow::{PreviousContext, action, join_all, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


#[action]
fn load(previous: PreviousContext<Vec<u32>>) -> usize {
    previous.len()
}

fn main() {
    let _ = join_all([task(rows()), task(rows())]).then(load());
}
