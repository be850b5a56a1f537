// Two task contexts.

use dotflow::{DotFlow, PreviousContext, TaskContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn load(table: String, _: PreviousContext<Vec<u32>>, first: TaskContext, second: TaskContext) -> String {
    format!("{table}: {} {}", first.attempt(), second.attempt())
}

fn main() {
    let _ = DotFlow::new("sales", task(rows()).then(load("sales".into())));
}
