// A type parameter of an own input that is not bound to be `Clone`.

use dotflow::{action, task};

#[action]
fn load<T>(value: T) -> T {
    value
}

fn main() {
    let _ = task(load(1));
}
