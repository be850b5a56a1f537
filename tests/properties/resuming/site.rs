//! Where a task stands in a resumed run, and what is told of it there.

use dotflow::Status;

use super::{
    build::{Noted, Told},
    model::Checked,
    program::{Node, Program, Value},
};

/// Where a workflow stands.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) workflow_id: String,
    pub(crate) prefix: String,
    /// How many share the name of each task that it is nested in.
    pub(crate) counts: String,
    pub(crate) meaning: u64,
    pub(crate) follows_failure: bool,
}

/// Where a unit stands.
pub(crate) struct Place {
    pub(crate) key: String,
    pub(crate) identity: String,
    /// How many share its name, and those of the tasks that it is nested in.
    pub(crate) counts: String,
    pub(crate) meaning: u64,
    /// The same without what is nested in it.
    pub(crate) meaning_around: u64,
    pub(crate) item: Option<usize>,
    /// Whether it can run, with the inputs that there are.
    pub(crate) can_run: bool,
    pub(crate) follows_failure: bool,
}

/// What came of a node.
pub(crate) struct Done {
    pub(crate) value: Option<Value>,
    pub(crate) follows_failure: bool,
}

/// One node, where it stands, and what is told of its workflow.
pub(crate) struct Site<'run> {
    pub(crate) program: &'run Program,
    pub(crate) around: &'run Around,
    pub(crate) noted: &'run Noted,
    pub(crate) node: &'run Node,
    pub(crate) id: usize,
    pub(crate) place: Place,
}

impl Site<'_> {
    pub(crate) fn name(&self) -> String {
        let Self { around, node, .. } = self;
        format!(
            "{}/{} (node {})",
            around.workflow_id, self.place.key, node.uid
        )
    }

    pub(crate) fn told(&self) -> Checked<&Told> {
        let told = self.noted.told.get(&(self.id, self.place.item));
        told.ok_or_else(|| format!("{} is not told of", self.name()))
    }

    pub(crate) fn nothing(&self) -> Done {
        Done {
            value: None,
            follows_failure: self.place.follows_failure,
        }
    }

    pub(crate) fn gives(&self, value: Value) -> Done {
        Done {
            value: Some(value),
            follows_failure: self.place.follows_failure,
        }
    }

    /// What comes of an empty list.
    pub(crate) fn no_items(&self) -> Checked<Done> {
        let told = self.told()?;
        let value = match told.status {
            Status::Completed => Some(Value::Many(Vec::new())),
            _ => self.not_started(told)?,
        };
        Ok(Done {
            value,
            follows_failure: self.place.follows_failure,
        })
    }

    /// Only a failure that stops its workflow keeps a task from being started.
    pub(crate) fn not_started(&self, told: &Told) -> Checked<Option<Value>> {
        let mut all = self.noted.told.values();
        let has_failed = all.any(|told| told.status == Status::Failed);
        if told.status == Status::NotStarted && !self.program.keep_going && has_failed {
            return Ok(None);
        }
        Err(format!("{} is {}", self.name(), told.status))
    }
}
