// Own inputs that can't go to another thread.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
async fn load(
    table: Option<Rc<str>>,
    seen: Arc<RefCell<u32>>,
    previous: PreviousContext<Vec<u32>>,
) -> usize {
    table.map_or(0, |table| table.len()) + previous.len() + seen.take() as usize
}

fn main() {
    let _ = task(rows()).then(load(None, Arc::default()));
}
