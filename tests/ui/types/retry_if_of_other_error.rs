// A condition on another error than the action fails with.

use std::io;

use dotflow::{action, task};

struct Rules;

impl Rules {
    fn is_transient(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::TimedOut
    }
}

fn by_value(error: String) -> bool {
    error.is_empty()
}

#[action(retry = 3, retry_if = Rules::is_transient)]
fn load() -> Result<usize, String> {
    Err("later".into())
}

#[action(retry = 3, retry_if = by_value)]
async fn store() -> Result<usize, String> {
    Err("later".into())
}

fn main() {
    let _ = (task(load()), task(store()));
}
