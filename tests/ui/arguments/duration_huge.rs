// Durations that no timer measures.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(retry_delay = 99999999999999999999, max_delay = "400d")]
async fn load(table: String, previous: PreviousContext<Vec<u32>>) -> String {
    format!("{table}: {}", previous.len())
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
