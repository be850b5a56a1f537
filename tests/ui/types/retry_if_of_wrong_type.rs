// A condition on another error than the function returns.

use dotflow::{PreviousContext, action, task};

#[action]
fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}


fn is_transient(error: &str) -> bool {
    error == "later"
}

#[action(retry = 3, retry_if = is_transient)]
async fn load(_: PreviousContext<Vec<u32>>) -> Result<usize, std::io::Error> {
    Err(std::io::Error::other("later"))
}

fn main() {
    let _ = task(rows()).then(load());
}
