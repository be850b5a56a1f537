// A first task that needs a task before it.

use dotflow::{PreviousContext, action, task};

#[action]
fn load(previous: PreviousContext<Vec<u32>>) -> usize {
    previous.len()
}

fn main() {
    let _ = task(load());
}
