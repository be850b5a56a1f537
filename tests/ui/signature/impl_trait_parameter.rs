// `impl Trait` as a parameter.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn load(table: impl Into<String>, previous: PreviousContext<Vec<u32>>) -> String {
    format!("{}: {}", table.into(), previous.len())
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales")));
}
