// A function without the attribute.

use dotflow::task;

fn rows() -> Vec<u32> {
    vec![3, 5, 8]
}

fn main() {
    let _ = task(rows());
}
