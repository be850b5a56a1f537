//! Prints the allocations of one run, per peer: `<name>;<of the chain>;<of the fan-out>`.

use dotflow_peers::{CHAIN, Start, WIDTH, all};

fn main() {
    for peer in all() {
        let chain = allocations(&peer.chain, CHAIN);
        let fan_out = peer.fan_out.map(|start| allocations(&start, 2 * WIDTH));
        let fan_out = fan_out.map_or_else(String::new, |count| count.to_string());
        println!("{};{chain};{fan_out}", peer.name);
    }
}

/// On one thread, which is the only one that is counted.
fn allocations(start: &Start, output: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had");
    // The first run also pays for what a process sets up once.
    assert_eq!(runtime.block_on(start()), output);
    let counted = allocation_counter::measure(|| {
        assert_eq!(runtime.block_on(start()), output);
    });
    counted.count_total
}
