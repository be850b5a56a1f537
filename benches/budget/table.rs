//! The tables of BENCHMARKS.md: what a task costs, by dotflow and by hand.

use dotflow_bench::{
    cases::{Case, Way},
    listener::Listener,
};

use crate::figures::Measured;

pub(crate) fn print() {
    let measured = Listener::ALL.map(|listener| (listener, Measured::count_and_time(listener)));
    println!("Per task, with the same spans by hand and by dotflow:\n");
    println!(
        "| case | listener | instructions by hand | by dotflow | ratio | allocations by hand \
         | by dotflow | bytes by hand | by dotflow | ns by hand | by dotflow | time ratio |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for case in Case::ALL {
        let tasks = f64::from(case.tasks());
        for (listener, measured) in &measured {
            let hand = measured.of(case, Way::Spans);
            let dotflow = measured.of(case, Way::Dotflow);
            println!(
                "| {} | {} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} |",
                case.name(),
                listener.name(),
                hand.instructions / tasks,
                dotflow.instructions / tasks,
                dotflow.instructions / hand.instructions,
                hand.allocations / tasks,
                dotflow.allocations / tasks,
                hand.bytes / tasks,
                dotflow.bytes / tasks,
                hand.nanoseconds / tasks,
                dotflow.nanoseconds / tasks,
                hand.time_ratio,
            );
        }
    }
    println!("\nPer task without a subscriber, against less and less code:\n");
    println!("| case | way | instructions | allocations | bytes | ns | dotflow takes |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    let (nobody, measured) = &measured[0];
    for case in Case::ALL {
        let tasks = f64::from(case.tasks());
        for &way in Way::of(case, *nobody) {
            let figures = measured.of(case, way);
            println!(
                "| {} | {} | {:.0} | {:.2} | {:.0} | {:.0} | {:.2} × the time |",
                case.name(),
                way.name(),
                figures.instructions / tasks,
                figures.allocations / tasks,
                figures.bytes / tasks,
                figures.nanoseconds / tasks,
                figures.time_ratio,
            );
        }
    }
}
