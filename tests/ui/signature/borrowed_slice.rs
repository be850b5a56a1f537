// A borrowed slice.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn load(table: &[u32], previous: PreviousContext<Vec<u32>>) -> usize {
    table.len() + previous.len()
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load(&[1])));
}
