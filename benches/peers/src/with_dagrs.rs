//! dagrs: a graph runs once, so building it is part of each run. Values travel through channels.

use std::sync::Arc;

use async_trait::async_trait;
use dagrs::{
    Content, DefaultNode, EnvVar, Graph, Node, NodeId, NodeTable, Output,
    connection::{in_channel::TypedInChannels, out_channel::TypedOutChannels},
    node::typed_action::TypedAction,
};

use crate::{CHAIN, Peer, WIDTH};

/// Adds one to what comes in; nothing comes in counts as 0.
struct Step;

#[async_trait]
impl TypedAction for Step {
    type I = u64;
    type O = u64;

    async fn run(
        &self,
        mut inputs: TypedInChannels<u64>,
        outputs: TypedOutChannels<u64>,
        _environment: Arc<EnvVar>,
    ) -> Output {
        let values = inputs
            .map(|input| input.ok().flatten().map_or(0, |value| *value))
            .await;
        let output = values.into_iter().sum::<u64>() + 1;
        outputs.broadcast(output).await;
        Output::Out(Some(Content::new(output)))
    }
}

pub(crate) fn peer() -> Peer {
    Peer {
        name: "dagrs 0.9, built for each run",
        chain: Box::new(|| {
            Box::pin(async {
                let (mut graph, ids) = nodes(CHAIN);
                for pair in ids.windows(2) {
                    graph.add_edge(pair[0], [pair[1]]).expect("both are there");
                }
                graph.async_start().await.expect("no task fails");
                output(&graph, ids[ids.len() - 1])
            })
        }),
        fan_out: Some(Box::new(|| {
            Box::pin(async {
                let (mut graph, ids) = nodes(WIDTH + 1);
                let rest = ids[1..].iter().copied();
                graph.add_edge(ids[0], rest).expect("all are there");
                graph.async_start().await.expect("no task fails");
                let results = graph.get_results::<u64>();
                ids[1..]
                    .iter()
                    .map(|id| *results[id].clone().expect("no task fails"))
                    .sum()
            })
        })),
    }
}

fn nodes(count: u64) -> (Graph, Vec<NodeId>) {
    let mut table = NodeTable::default();
    let mut graph = Graph::new();
    let mut ids = Vec::new();
    for number in 0..count {
        let node = DefaultNode::with_action(format!("step-{number}"), Step, &mut table);
        ids.push(node.id());
        graph.add_node(node).expect("its name is its own");
    }
    graph.set_env(EnvVar::new(table));
    (graph, ids)
}

fn output(graph: &Graph, id: NodeId) -> u64 {
    *graph.get_results::<u64>()[&id]
        .clone()
        .expect("no task fails")
}
