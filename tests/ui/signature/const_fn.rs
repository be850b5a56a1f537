// A `const fn`.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
const fn load(table: u32, _: PreviousContext<Vec<u32>>) -> u32 {
    table
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load(1)));
}
