// Two mistakes in one attribute: both are reported.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(retry = 0, timeout = "soon")]
async fn load(table: String, previous: PreviousContext<Vec<u32>>) -> String {
    format!("{table}: {}", previous.len())
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
