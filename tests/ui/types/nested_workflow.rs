// A task behind a workflow that returns something else.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


#[action]
fn load(previous: PreviousContext<String>) -> usize {
    previous.len()
}

fn main() {
    let _ = task(DotFlow::new("inner", task(rows()))).then(load());
}
