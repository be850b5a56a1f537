//! How tasks are put together, and the plan that comes of it. Nothing runs here.
//!
//! A [`Task`](task::Task) is a handle on a node that names the nodes before it, so a cycle can't be
//! written. A workflow flattens its nodes once into a [`Plan`](plan::Plan), by which it is run.

mod pictures;
pub(crate) mod sinks;
pub(crate) mod join;
pub(crate) mod task;
pub(crate) mod flatten;
pub(crate) mod node;
pub(crate) mod step;
mod stored;
pub(crate) mod plan;
pub(crate) mod wiring;
