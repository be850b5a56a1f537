// An own input that can't go to another thread.

use std::sync::Arc;

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


/// Nothing says that it can be shared between threads.
trait Table {
    fn len(&self) -> usize;
}

impl Table for &str {
    fn len(&self) -> usize {
        str::len(self)
    }
}

#[action]
async fn load(table: Arc<dyn Table>, previous: PreviousContext<Vec<u32>>) -> usize {
    table.len() + previous.len()
}

fn main() {
    let _ = task(rows()).then(load(Arc::new("sales")));
}
