use dotflow::{DotFlow, PreviousContext, Task, action, task};

#[action]
fn names() -> Vec<String> {
    vec![]
}

#[action]
fn ship(order: PreviousContext<u32>) -> u32 {
    *order
}

fn main() {
    let _ = DotFlow::with_input("checkout", |order: &Task<String>| order.then(ship()));
    let checkout = DotFlow::with_input("checkout", |order: &Task<u32>| order.then(ship()));
    let _ = task(names()).each(checkout.clone());
    let _ = checkout.with("order-42");
}
