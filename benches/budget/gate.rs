//! The budget: bounds on what is counted, which are the same on a busy machine.

use std::process::ExitCode;

pub(crate) fn check() -> ExitCode {
    ExitCode::SUCCESS
}
