// A version that does not fit.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(version = 4294967296)]
async fn load(table: String, previous: PreviousContext<Vec<u32>>) -> String {
    format!("{table}: {}", previous.len())
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
