// An error type that can't become an error of dotflow.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


#[derive(Debug)]
struct Locked;

#[action]
async fn load(_: PreviousContext<Vec<u32>>) -> Result<usize, Locked> {
    Err(Locked)
}

fn main() {
    let _ = task(rows()).then(load());
}
