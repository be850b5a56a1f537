use dotflow::{DotFlow, PreviousContext, action};

#[action]
fn ship(order: PreviousContext<u32>) -> u32 {
    *order
}

fn main() {
    let checkout = DotFlow::with_input("checkout", |order| order.then(ship()));
    let _ = checkout.start_blocking();
}
