// Type errors in the body are shown where they are.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(retry = 3)]
async fn load(previous: PreviousContext<Vec<u32>>) -> Result<String, std::io::Error> {
    if previous.is_empty() {
        return "nothing";
    }
    let count: String = previous.len();
    Ok(count)
}

fn main() {
    let _ = task(rows()).then(load());
}
