//! The budget: bounds on what is counted, which is the same on a busy machine. Never on time.

use std::process::ExitCode;

use dotflow_bench::{
    cases::{Case, Way},
    listener::Listener,
};

use crate::figures::Measured;

/// What a bound is about.
#[derive(Clone, Copy)]
enum Figure {
    /// The allocations of dotflow, per task.
    Allocations,
    /// The instructions of dotflow in relation to those of another way in the same run.
    InstructionsAgainst(Way),
}

struct Bound {
    case: Case,
    listener: Listener,
    figure: Figure,
    at_most: f64,
}

const fn bound(case: Case, listener: Listener, figure: Figure, at_most: f64) -> Bound {
    Bound {
        case,
        listener,
        figure,
        at_most,
    }
}

use Case::{Chain, Each, FanOut, Join, Three};
use Figure::{Allocations, InstructionsAgainst};
use Listener::{Nobody, OpenTelemetry};

/// Where the budget of a row is met, its bound is the budget; else it lies just above what was
/// measured, and BENCHMARKS.md says what the floor is.
///
/// What a run costs beside its tasks is spread over them: a short run has more of it per task.
/// Allocations are exact. Instructions repeat to one or two parts in a hundred where memory is
/// handed out in another order, and another processor may copy it another way; the bounds leave
/// three or more.
const BOUNDS: [Bound; 17] = [
    bound(Chain, Nobody, Allocations, 2.14),
    bound(Three, Nobody, Allocations, 6.01),
    bound(FanOut, Nobody, Allocations, 4.04),
    bound(Each, Nobody, Allocations, 5.01),
    bound(Join, Nobody, Allocations, 5.34),
    bound(Chain, Nobody, InstructionsAgainst(Way::Boxed), 6.0),
    bound(Three, Nobody, InstructionsAgainst(Way::Boxed), 6.1),
    bound(Chain, Nobody, InstructionsAgainst(Way::Reported), 2.95),
    bound(FanOut, Nobody, InstructionsAgainst(Way::Reported), 1.55),
    bound(FanOut, Nobody, InstructionsAgainst(Way::Plain), 2.25),
    bound(Each, Nobody, InstructionsAgainst(Way::Plain), 2.1),
    bound(Join, Nobody, InstructionsAgainst(Way::Plain), 2.65),
    bound(Chain, OpenTelemetry, InstructionsAgainst(Way::Spans), 1.10),
    bound(Three, OpenTelemetry, InstructionsAgainst(Way::Spans), 1.27),
    bound(FanOut, OpenTelemetry, InstructionsAgainst(Way::Spans), 1.10),
    bound(Each, OpenTelemetry, InstructionsAgainst(Way::Spans), 1.13),
    bound(Join, OpenTelemetry, InstructionsAgainst(Way::Spans), 1.22),
];

/// The most that a workflow may cost whose spans are filtered out, in relation to one without a
/// subscriber. What leaves its task carries the subscriber along, whatever that listens to: each
/// run does, and each task that is spawned.
const fn filtered(case: Case) -> f64 {
    match case {
        Chain => 1.05,
        Each => 1.08,
        FanOut => 1.10,
        Three | Join => 1.14,
    }
}

pub(crate) fn check() -> ExitCode {
    let nobody = Measured::count(Nobody);
    let unseen = Measured::count(Listener::Filtered);
    let opentelemetry = Measured::count(OpenTelemetry);
    let mut within = true;
    for bound in BOUNDS {
        let measured = match bound.listener {
            Nobody => &nobody,
            _ => &opentelemetry,
        };
        let dotflow = measured.of(bound.case, Way::Dotflow);
        let (what, value) = match bound.figure {
            Allocations => (
                "allocations per task".to_owned(),
                dotflow.allocations / f64::from(bound.case.tasks()),
            ),
            InstructionsAgainst(way) => (
                format!("instructions against `{}`", way.name()),
                dotflow.instructions / measured.of(bound.case, way).instructions,
            ),
        };
        let of = format!("{}, {}", bound.case.name(), bound.listener.name());
        within &= holds(&of, &what, value, bound.at_most);
    }
    for case in Case::ALL {
        let ratio =
            unseen.of(case, Way::Dotflow).instructions / nobody.of(case, Way::Dotflow).instructions;
        let of = format!("{}, {}", case.name(), Listener::Filtered.name());
        within &= holds(
            &of,
            "instructions against no subscriber",
            ratio,
            filtered(case),
        );
    }
    if within {
        println!("\nEvery figure is within the budget.");
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "\nThe budget is broken. `cargo bench -p dotflow-bench` shows all figures, and \
         BENCHMARKS.md how to find where they come from."
    );
    ExitCode::FAILURE
}

fn holds(of: &str, what: &str, value: f64, at_most: f64) -> bool {
    let holds = value <= at_most;
    let verdict = if holds { "ok    " } else { "BROKEN" };
    println!("{verdict} {of}: {value:.3} {what}, at most {at_most:.3}");
    holds
}
