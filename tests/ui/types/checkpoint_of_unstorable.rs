// A checkpoint of an output that can't be stored.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


struct Receipt;

#[action(checkpoint)]
fn load(_: PreviousContext<Vec<u32>>) -> Receipt {
    Receipt
}

fn main() {
    let _ = task(rows()).then(load());
}
