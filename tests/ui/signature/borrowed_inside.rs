// A borrow inside of another type.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn load(table: Option<&u32>, previous: PreviousContext<Vec<u32>>) -> usize {
    table.map_or(0, |table| *table as usize) + previous.len()
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load(None)));
}
