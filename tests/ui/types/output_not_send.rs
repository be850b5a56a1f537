// An output that can't go to another thread.

use std::rc::Rc;

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


#[action]
async fn load(previous: PreviousContext<Vec<u32>>) -> Rc<usize> {
    Rc::new(previous.len())
}

fn main() {
    let _ = task(rows()).then(load());
}
