// A checkpoint of a list of a type parameter that says nothing about storing.

use dotflow::{action, task};

#[action(checkpoint)]
fn load<T: Clone>(value: T) -> Vec<T> {
    vec![value]
}

fn main() {
    let _ = task(load(1));
}
