//! What an error of a run says: what is wrong, and what to do.

use std::fmt;

use super::{Cause, Error, ErrorKind};

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.inner {
            ErrorKind::NoRuntime => formatter.write_str(
                "there is no tokio runtime here: call this inside one (as under \
                 #[tokio::main]), or use start_blocking() or resume_blocking(), which bring one",
            ),
            ErrorKind::NoTimer => formatter.write_str(
                "the tokio runtime has no timer, which timeouts and retries need: build it with \
                 enable_time() or enable_all()",
            ),
            ErrorKind::InsideRuntime => formatter.write_str(
                "start_blocking() and resume_blocking() would block a thread of the tokio runtime \
                 they were called on: use start().await or resume().await there, or call them in \
                 an action that is a plain function, which may block",
            ),
            ErrorKind::RuntimeNotBuilt(_) => {
                formatter.write_str("the runtime for start_blocking() could not be built")
            }
            ErrorKind::RuntimeGone => formatter.write_str(
                "the tokio runtime was shut down before the workflow in the background ended",
            ),
            ErrorKind::NoStorage => formatter.write_str(
                "there is no storage to resume from: give the workflow one, as \
                 .storage(FileStorage::open(\".dotflow\")?)",
            ),
            ErrorKind::NotStorable(tasks) => write!(
                formatter,
                "the workflow has a storage, but these outputs can't be stored: {}. Let the types \
                 implement serde's Serialize and Deserialize (a closure says `.checkpointed()` \
                 besides, a generic action `#[action(checkpoint)]`), or mark the tasks by \
                 `checkpoint = false` (or `.without_checkpoint()`), which has them run again \
                 whenever the run is resumed",
                tasks.join("; ")
            ),
            ErrorKind::NestedReset(id) => write!(
                formatter,
                "the input of the nested workflow {id:?} has changed, and its checkpoints can't \
                 be removed without those of the run around it: give the input to the outermost \
                 workflow"
            ),
            ErrorKind::OtherWorkflow { id, name } => write!(
                formatter,
                "the id {id:?} belongs to a run of workflow `{name}`, whose checkpoints are stored \
                 under it: start this workflow under another id, or resume that one"
            ),
            ErrorKind::AlreadyBegun(id) => write!(
                formatter,
                "there are checkpoints under the id {id:?} already: resume that run, by resume() or \
                 RunOptions::resume(true), or start a new one under another id"
            ),
            ErrorKind::TooDeep { depth, most } => write!(
                formatter,
                "{depth} workflows are nested in each other, and at most {most} can be: use tasks \
                 of one workflow instead, as a chain of tasks has no limit"
            ),
            ErrorKind::ReservedId(id) => write!(
                formatter,
                "the id {id:?} begins with `#`, which dotflow keeps for itself: take another one"
            ),
            ErrorKind::Storage(error) => write!(formatter, "nothing was run: {error}"),
            ErrorKind::FailedRun {
                name,
                status,
                cause,
                ..
            } => {
                write!(formatter, "workflow `{name}`: {status}")?;
                match cause {
                    Some(cause) if formatter.alternate() => write!(formatter, ": {cause}"),
                    // The failure itself is the source.
                    Some(Cause {
                        task: Some(task), ..
                    }) => write!(formatter, ": {task}"),
                    _ => Ok(()),
                }
            }
            about_input => input(about_input, formatter),
        }
    }
}

/// What is wrong with an input.
fn input(kind: &ErrorKind, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        ErrorKind::InputUnreadable(error) => write!(
            formatter,
            "the value given to .input() can't be written as JSON, so its changes can't be \
             noticed: {error}"
        ),
        ErrorKind::InputNotStorable(workflow) => write!(
            formatter,
            "the input of workflow `{workflow}` can't be stored, since its storage was set \
             after .with(input), when the type of the input was not known any more: call \
             .storage() before .with()"
        ),
        ErrorKind::InputMissing {
            workflow,
            id: Some(id),
        } => write!(
            formatter,
            "workflow `{workflow}` takes an input, and none is stored under the id {id:?}: give \
             it by .with(input).resume(id)"
        ),
        ErrorKind::InputMissing { workflow, id: None } => write!(
            formatter,
            "workflow `{workflow}` takes an input, and was given none"
        ),
        ErrorKind::InputInvalid { workflow, problem } => write!(
            formatter,
            "this can't be the input of workflow `{workflow}`: {problem}"
        ),
        ErrorKind::InputUnexpected(workflow) => write!(
            formatter,
            "workflow `{workflow}` takes no input, and was given one"
        ),
        ErrorKind::InputChanged(id) => write!(
            formatter,
            "the input is not the one that workflow {id:?} was run with, so its checkpoints \
             may be out of date: resume it with the old input, start under another id, or \
             say by .on_input_change() whether to go on with the checkpoints (Reuse) or to \
             remove them (Reset)"
        ),
        _ => unreachable!("all other kinds have their own words"),
    }
}
