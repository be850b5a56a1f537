// A trait object as an own input that says nothing of threads: the usual way to inject a dependency.

use std::sync::Arc;

use dotflow::{DotFlow, action, task};

trait Db {
    fn rows(&self) -> u32;
}

struct Memory;

impl Db for Memory {
    fn rows(&self) -> u32 {
        3
    }
}

#[action]
async fn count(db: Arc<dyn Db>, factor: u32) -> u32 {
    db.rows() * factor
}

#[action]
fn blocking(db: Arc<dyn Db>) -> Result<u32, String> {
    Ok(db.rows())
}

fn main() {
    let counted = task(count(Arc::new(Memory), 2));
    let _ = DotFlow::new("count", (counted, task(blocking(Arc::new(Memory)))));
}
