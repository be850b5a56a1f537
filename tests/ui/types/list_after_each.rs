// What `join_all` gives, taken after `each`.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn double(row: PreviousContext<u32>) -> u32 {
    *row * 2
}

#[action]
fn sum(rows: Vec<PreviousContext<u32>>) -> u32 {
    rows.iter().map(|row| **row).sum()
}

#[action]
fn count(rows: Vec<Result<PreviousContext<u32>, dotflow::TaskError>>) -> usize {
    rows.len()
}

fn main() {
    let doubled = task(rows()).each(double());
    let _ = doubled.then(sum());
    let _ = doubled.then(count());
    let _ = doubled.and(&doubled).then(pair());
}

#[action]
fn pair(rows: Vec<PreviousContext<u32>>, other: PreviousContext<Vec<u32>>) -> usize {
    rows.len() + other.len()
}
