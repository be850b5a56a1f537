// More previous contexts than there may be.

use dotflow::{PreviousContext, action};

#[action]
fn sum(
    p1: PreviousContext<u32>,
    p2: PreviousContext<u32>,
    p3: PreviousContext<u32>,
    p4: PreviousContext<u32>,
    p5: PreviousContext<u32>,
    p6: PreviousContext<u32>,
    p7: PreviousContext<u32>,
    p8: PreviousContext<u32>,
    p9: PreviousContext<u32>,
) -> u32 {
    *p1 + *p2 + *p3 + *p4 + *p5 + *p6 + *p7 + *p8 + *p9
}

fn main() {
    let _ = sum();
}
