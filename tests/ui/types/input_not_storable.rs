use dotflow::{AnyWorkflow, DotFlow, PreviousContext, Task, action, storage::MemoryStorage};

struct Order;

#[action]
fn ship(_order: PreviousContext<Order>) {}

fn main() {
    let checkout = DotFlow::with_input("checkout", |order: &Task<Order>| order.then(ship()));
    let _ = checkout.clone().storage(MemoryStorage::new());
    let _ = AnyWorkflow::from(checkout);
}
