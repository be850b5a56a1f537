// Items of another type than the task takes.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


#[action]
fn load(previous: PreviousContext<String>) -> usize {
    previous.len()
}

fn main() {
    let _ = task(rows()).each(load());
}
