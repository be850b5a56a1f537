// Mistakes in the attribute and in the signature: all are reported.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(retry = 0)]
unsafe fn load(table: &str, previous: PreviousContext<Vec<u32>>) -> String {
    format!("{table}: {}", previous.len())
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales")));
}
