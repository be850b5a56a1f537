use dotflow::{DotFlow, action, task};

#[action]
fn orders() -> Vec<u32> {
    vec![1, 2]
}

#[action]
fn answer() -> u32 {
    42
}

fn main() {
    let sub = DotFlow::new("sub", task(answer()));
    let _ = task(orders()).each(sub);
    let _ = task(orders()).each(answer());
}
