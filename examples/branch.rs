//! Workflows that take shape while they run: a branch by a value, as many tasks as there are things to do,
//! and a loop.
//!
//! ```sh
//! cargo run --example branch -- 2    # two parcels go by bicycle, one after the other
//! cargo run --example branch -- 10   # ten go by truck, in loads of four
//! cargo run --example branch -- 0    # nothing to do, which is well
//! ```
//!
//! What to look at:
//! - `expand` builds a workflow from what a task returned, and runs it in that place: the tree that is
//!   printed shows the one that was built, below the task `ship`.
//! - All branches return the same type; which tasks they have is theirs to say.
//! - A loop is a workflow that ends by building the next one: `follow`, until all is delivered. What it
//!   needs from round to round it hands on as arguments.
//! - `TaskError::stop` ends a run early and well.

use std::{env, error::Error};

use dotflow::{DotFlow, PreviousContext, TaskError, action, join_all, task};

/// How many parcels a truck carries.
const LOAD: usize = 4;

#[action]
fn order(count: u32) -> Result<Vec<u32>, TaskError> {
    match count {
        0 => Err(TaskError::stop("no parcels today")),
        count => Ok((1..=count).collect()),
    }
}

/// The branch: two ways to send parcels, told apart by how many there are.
fn ship(parcels: &[u32]) -> DotFlow<Vec<String>> {
    if parcels.len() < LOAD {
        let sent = task(pick(parcels.to_vec())).each(send_by_bicycle());
        return DotFlow::new("bicycle", sent).concurrency(1);
    }
    // How many trucks there are is known only here.
    let loads = parcels.chunks(LOAD);
    let trucks = loads.map(|load| task(pick(load.to_vec())).then(send_by_truck()));
    DotFlow::new("trucks", join_all(trucks).then(gather()))
}

#[action]
fn pick(parcels: Vec<u32>) -> Vec<u32> {
    parcels
}

#[action]
fn send_by_bicycle(parcel: PreviousContext<u32>) -> String {
    format!("bicycle with parcel {}", *parcel)
}

#[action]
fn send_by_truck(load: PreviousContext<Vec<u32>>) -> String {
    format!("truck with {} parcels", load.len())
}

#[action]
fn gather(trucks: Vec<PreviousContext<String>>) -> Vec<String> {
    trucks
        .into_iter()
        .map(PreviousContext::into_inner)
        .collect()
}

/// The loop: looks at what is still on its way, and looks again until nothing is.
fn follow(underway: Vec<String>, round: u32) -> DotFlow<u32> {
    let left =
        task(look(underway)).expand(
            "again",
            move |left: PreviousContext<Vec<String>>| match left.len() {
                0 => DotFlow::new("delivered", task(rounds(round))),
                _ => follow(left.into_inner(), round + 1),
            },
        );
    DotFlow::new("follow", left)
}

/// Each time one of them has arrived.
#[action]
fn look(mut underway: Vec<String>) -> Vec<String> {
    underway.pop();
    underway
}

#[action]
fn rounds(round: u32) -> u32 {
    round
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count = env::args().nth(1).map_or(Ok(10), |count| count.parse())?;
    let shipped =
        task(order(count)).expand("ship", |parcels: PreviousContext<Vec<u32>>| ship(&parcels));
    let delivered = shipped.expand("follow", |sent: PreviousContext<Vec<String>>| {
        follow(sent.into_inner(), 1)
    });
    let run = DotFlow::new("parcels", (shipped, delivered))
        .start()
        .await?;

    print!("{run:#}");
    run.ok()?;
    match run.output() {
        Ok(output) => {
            let (sent, rounds) = &*output;
            println!("{}; delivered after {rounds} rounds", sent.join(", "));
        }
        // It was stopped, which is no failure.
        Err(reason) => println!("{}", reason.root()),
    }
    Ok(())
}
