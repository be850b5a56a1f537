// An `async fn` that holds something across an await that can't go to another thread.

use std::rc::Rc;

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


async fn pause() {}

#[action]
async fn load(previous: PreviousContext<Vec<u32>>) -> usize {
    let table = Rc::new(previous.len());
    pause().await;
    *table
}

fn main() {
    let _ = task(rows()).then(load());
}
