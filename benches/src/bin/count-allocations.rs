//! Counts the allocations of one run of each case: exact, and the same on every machine.
//!
//! `count-allocations <listener>` prints a line per case and way:
//! `<case>;<way>;<allocations>;<bytes>`.
//!
//! Only the thread that runs the case is counted, so what an exporter does on its own thread is
//! not; the runtime has one thread for that reason.

use std::env;

use allocation_counter::measure;
use dotflow_bench::{
    cases::{Case, Way},
    listener::Listener,
};

fn main() {
    let name = env::args().nth(1).expect("the name of a listener");
    let listener = Listener::named(&name).expect("the name of a listener");
    let listening = listener.install();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had");
    for case in Case::ALL {
        for &way in Way::of(case, listener) {
            let start = case.prepare(way);
            // The first run also pays for what a process sets up once.
            assert_eq!(runtime.block_on(start()), case.output());
            listening.settle();
            let info = measure(|| {
                assert_eq!(runtime.block_on(start()), case.output());
            });
            listening.settle();
            let (case, way) = (case.name(), way.name());
            println!("{case};{way};{};{}", info.count_total, info.bytes_total);
        }
    }
}
