//! What is measured: five shapes of workflow, by dotflow and by hand, while somebody listens to
//! their spans or nobody does.

pub mod by_hand;
pub mod cases;
pub mod listener;
