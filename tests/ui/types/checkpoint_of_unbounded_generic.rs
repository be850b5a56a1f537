// A checkpoint of a type parameter that says nothing about storing.

use dotflow::{action, task};

#[action(checkpoint)]
fn load<T: Clone + Send + Sync + 'static>(value: T) -> T {
    value
}

fn main() {
    let _ = task(load(1));
}
