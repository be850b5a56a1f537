// A closure where a path is needed.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(retry_if = |error| true)]
async fn load(table: String, previous: PreviousContext<Vec<u32>>) -> Result<String, String> {
    Err(format!("{table}: {}", previous.len()))
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
