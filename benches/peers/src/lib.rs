//! The same workflows with dotflow and with other libraries, each written as its own
//! documentation shows: a chain of 100 tasks that adds one each, and 1,000 tasks after one.

mod with_cano;
mod with_dagrs;
mod with_dagx;
mod with_dotflow;
mod with_graph_flow;
mod with_sayiir;

use std::{future::Future, pin::Pin};

/// How many tasks the chain has, which is also what it returns.
pub const CHAIN: u64 = 100;
/// How many tasks follow the first one. Each returns 2.
pub const WIDTH: u64 = 1_000;

/// One run from start to end, and the number that came out.
pub type OneRun = Pin<Box<dyn Future<Output = u64> + Send>>;
/// Starts one run.
pub type Start = Box<dyn Fn() -> OneRun + Send + Sync>;

/// A library, and how it runs the workflows.
pub struct Peer {
    /// The name and the version, and what is to be known of the figures.
    pub name: &'static str,
    /// Starts a run of the chain.
    pub chain: Start,
    /// Starts a run of the fan-out, where the library has one.
    pub fan_out: Option<Start>,
}

/// All of them, dotflow first.
pub fn all() -> Vec<Peer> {
    vec![
        with_dotflow::peer(),
        with_sayiir::peer(),
        with_cano::peer(),
        with_graph_flow::peer(),
        with_dagx::peer(),
        with_dagrs::peer(),
    ]
}
