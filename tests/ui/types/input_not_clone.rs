// An own input that can't be cloned for each attempt.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


struct Connection;

#[action]
async fn load(connection: Connection, previous: PreviousContext<Vec<u32>>) -> usize {
    let _ = connection;
    previous.len()
}

fn main() {
    let _ = task(rows()).then(load(Connection));
}
