// Functions without the attribute, an async one and a plain one.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

async fn fetch() -> u32 {
    1
}

async fn load(previous: PreviousContext<Vec<u32>>) -> usize {
    previous.len()
}

fn main() {
    let _ = task(fetch());
    let _ = task(rows()).then(load(vec![1].into()));
}
