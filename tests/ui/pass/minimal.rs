// The smallest workflow.

use dotflow::{DotFlow, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

fn main() {
    let run = DotFlow::new("rows", task(rows())).start_blocking().unwrap();
    assert_eq!(*run.output().unwrap(), [3, 5, 8]);
}
