// Versions count from 1.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(version = 0)]
async fn load(table: String, previous: PreviousContext<Vec<u32>>) -> String {
    format!("{table}: {}", previous.len())
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
