//! The memory that large workflows take.

use std::process::Command;

use crate::figures::lines_of;

const PEAK_MEMORY: &str = env!("CARGO_BIN_EXE_peak-memory");

pub(crate) fn print() {
    println!("| shape | workflow | peak of its run | finished run | whole process |");
    println!("|---|--:|--:|--:|--:|");
    for shape in [
        "chain of 1,000,000",
        "each over 1,000,000",
        "fan-out of 100,000",
    ] {
        for line in lines_of(Command::new(PEAK_MEMORY).arg(shape)) {
            let tasks = line.number(0);
            let memory = |field| {
                let bytes = line.number(field);
                let mebibytes = bytes / 1024.0 / 1024.0;
                format!("{mebibytes:.0} MiB, {:.0} B per task", bytes / tasks)
            };
            println!(
                "| {shape} | {} | {} | {} | {} |",
                memory(1),
                memory(2),
                memory(3),
                memory(4)
            );
        }
    }
}
