// The error type of most programs, which can't go to another thread.

use std::error::Error;

use dotflow::{action, task};

#[action]
fn load() -> Result<usize, Box<dyn Error>> {
    Ok("7".parse()?)
}

fn main() {
    let _ = task(load());
}
