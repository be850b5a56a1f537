//! The console: what people see of telemetry without any backend.

mod trees;
mod records;
mod draw;
mod screen;

pub(crate) use self::{
    records::{ConsoleLogs, ConsoleMetrics},
    screen::Screen,
    trees::ConsoleTrees,
};
