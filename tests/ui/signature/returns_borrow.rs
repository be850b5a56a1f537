// A borrow as the return type.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn load(_: String, _: PreviousContext<Vec<u32>>) -> &str {
    "loaded"
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
