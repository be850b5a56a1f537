// A borrowed task context.

use dotflow::{DotFlow, PreviousContext, TaskContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn load(table: String, previous: PreviousContext<Vec<u32>>, task: &TaskContext) -> String {
    format!("{table}: {} {}", previous.len(), task.attempt())
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
