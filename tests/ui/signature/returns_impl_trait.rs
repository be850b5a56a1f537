// `impl Trait` as the return type.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn load(table: String, _: PreviousContext<Vec<u32>>) -> impl Iterator<Item = char> {
    table.chars().collect::<Vec<_>>().into_iter()
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
