// A task that takes more previous contexts than there are.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


#[action]
fn load(first: PreviousContext<Vec<u32>>, second: PreviousContext<Vec<u32>>) -> usize {
    first.len() + second.len()
}

fn main() {
    let _ = task(rows()).then(load());
}
