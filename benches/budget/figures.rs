//! Starts the programs that are measured, and reads what they and callgrind say.

use std::{collections::HashMap, env, fs, io::ErrorKind, path::Path, process::Command};

use dotflow_bench::{
    cases::{Case, Way},
    listener::Listener,
};

const COUNT_ALLOCATIONS: &str = env!("CARGO_BIN_EXE_count-allocations");
const RUN_CASES: &str = env!("CARGO_BIN_EXE_run-cases");
/// The function whose instructions callgrind counts.
const COUNTED: &str = "run_cases::counted_run";

/// What one run costs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
    pub(crate) nanoseconds: f64,
    /// The time of dotflow's run in relation to this one.
    pub(crate) time_ratio: f64,
}

/// All figures of one listener.
#[derive(Debug, Default)]
pub(crate) struct Measured(HashMap<(String, String), Figures>);

impl Measured {
    /// Counts instructions and allocations.
    pub(crate) fn count(listener: Listener) -> Self {
        let mut measured = Self::default();
        measured.add_allocations(listener);
        measured.add_instructions(listener);
        measured
    }

    /// Counts, and looks at the clock as well.
    pub(crate) fn count_and_time(listener: Listener) -> Self {
        let mut measured = Self::count(listener);
        measured.add_times(listener);
        measured
    }

    pub(crate) fn of(&self, case: Case, way: Way) -> Figures {
        self.0[&(case.name().to_owned(), way.name().to_owned())]
    }

    fn entry(&mut self, line: &Line) -> &mut Figures {
        let key = (line.text(0).to_owned(), line.text(1).to_owned());
        self.0.entry(key).or_default()
    }

    fn add_allocations(&mut self, listener: Listener) {
        for line in lines_of(Command::new(COUNT_ALLOCATIONS).arg(listener.name())) {
            let figures = self.entry(&line);
            figures.allocations = line.number(2);
            figures.bytes = line.number(3);
        }
    }

    fn add_instructions(&mut self, listener: Listener) {
        let counts = env::temp_dir().join(format!("dotflow-bench-{}", std::process::id()));
        fs::create_dir_all(&counts).expect("the folder for temporary files can be written to");
        let lines = lines_of(
            Command::new("valgrind")
                .arg("--tool=callgrind")
                .arg(format!("--toggle-collect={COUNTED}"))
                .arg(format!("--dump-after={COUNTED}"))
                .arg(format!(
                    "--callgrind-out-file={}",
                    counts.join("count").display()
                ))
                .args([RUN_CASES, listener.name(), "instructions"]),
        );
        for (number, line) in (1..).zip(&lines) {
            let count = counts.join(format!("count.{number}"));
            self.entry(line).instructions = total(&count);
        }
        // Nothing is lost should a temporary folder stay behind.
        let _ = fs::remove_dir_all(counts);
    }

    fn add_times(&mut self, listener: Listener) {
        for line in lines_of(Command::new(RUN_CASES).args([listener.name(), "time"])) {
            let figures = self.entry(&line);
            figures.nanoseconds = line.number(2);
            figures.time_ratio = line.number(3);
        }
    }
}

/// The instructions in a file of callgrind's.
fn total(count: &Path) -> f64 {
    let text = fs::read_to_string(count)
        .unwrap_or_else(|error| panic!("callgrind did not write {}: {error}", count.display()));
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|total| total.trim().parse().ok())
        .unwrap_or_else(|| panic!("{} has no line `totals:`", count.display()))
}

/// A line that a measured program printed: fields with `;` between them.
pub(crate) struct Line(String);

impl Line {
    pub(crate) fn text(&self, field: usize) -> &str {
        self.0
            .split(';')
            .nth(field)
            .unwrap_or_else(|| panic!("`{}` has no field {field}", self.0))
    }

    pub(crate) fn number(&self, field: usize) -> f64 {
        let text = self.text(field);
        text.parse()
            .unwrap_or_else(|_| panic!("`{text}` in `{}` is no number", self.0))
    }
}

/// What a program prints, if it succeeds.
pub(crate) fn lines_of(command: &mut Command) -> Vec<Line> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "`{program}` is needed and not installed (on Debian: `apt-get install {program}`)"
            )
        }
        Err(error) => panic!("`{program}` could not be started: {error}"),
    };
    assert!(
        output.status.success(),
        "`{program}` failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| Line(line.to_owned())).collect()
}
