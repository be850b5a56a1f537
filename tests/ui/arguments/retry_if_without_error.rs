// A condition on errors for a function that returns none.

use dotflow::{DotFlow, PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(retry_if = is_transient)]
async fn load(table: String, previous: PreviousContext<Vec<u32>>) -> String {
    format!("{table}: {}", previous.len())
}

fn is_transient(_: &String) -> bool {
    true
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
