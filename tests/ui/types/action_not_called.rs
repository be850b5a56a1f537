// An action that was named, not called.

use dotflow::{action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


fn main() {
    let _ = task(rows);
}
