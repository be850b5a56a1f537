// A function that never returns.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn load(table: String, _: PreviousContext<Vec<u32>>) -> ! {
    panic!("{table}")
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
