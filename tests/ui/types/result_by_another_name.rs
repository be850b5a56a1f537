// An alias of `Result` whose name does not say so.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


type Loaded = Result<usize, std::io::Error>;

#[action]
fn load(previous: PreviousContext<Vec<u32>>) -> Loaded {
    Ok(previous.len())
}

fn main() {
    let _ = task(rows()).then(load());
}
