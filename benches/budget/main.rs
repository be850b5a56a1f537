//! `cargo bench -p dotflow-bench` prints what dotflow costs, as the tables of BENCHMARKS.md.
//!
//! `-- gate` checks instructions and allocations against the budget instead, and fails where it is
//! broken; `-- memory` prints the memory of large workflows, and `-- build` what dotflow adds to
//! the build of a program.

mod build;
mod figures;
mod gate;
mod memory;
mod table;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // `cargo test --all-targets` starts benchmarks as well, without this argument.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("start it by `cargo bench -p dotflow-bench`");
        return ExitCode::SUCCESS;
    }
    let command = arguments.iter().find(|argument| *argument != "--bench");
    match command.map(String::as_str) {
        None => table::print(),
        Some("gate") => return gate::check(),
        Some("memory") => memory::print(),
        Some("build") => build::print(),
        Some(other) => {
            eprintln!("`{other}` is none of: gate, memory, build");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
