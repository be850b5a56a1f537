//! What a workflow says of its storing, and what that means for a run before it begins.

use std::sync::Arc;

use super::given::{InputCodec, Written};
use crate::{
    action::value::Value,
    checkpoint::{Checkpoints, Compared, Fingerprint, InputRecord, Tasks},
    engine::context::RunContext,
    error::{Error, ErrorKind},
    graph::plan::Plan,
    storage::{Storage, StorageError},
};

/// The largest output that is stored, unless the workflow says otherwise: 64 MiB.
const DEFAULT_MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// What a resumed run does when the input of its workflow is not the one that it was first started
/// with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnInputChange {
    /// It goes on with the checkpoints: what was completed stays as it is.
    Reuse,
    /// It removes all checkpoints of its id and starts from scratch. Don't use it while another run of
    /// the same id is going on: that one would mix outputs of both inputs.
    Reset,
    /// It is an error, before anything is run.
    #[default]
    Fail,
}

/// What a workflow says of its storing.
#[derive(Clone)]
pub(crate) struct Restore {
    pub(super) storage: Option<Arc<dyn Storage>>,
    /// The fingerprint of what `.input()` said that the workflow depends on, or why there is none.
    pub(super) declared: Option<Result<Fingerprint, Arc<str>>>,
    /// How the input of a run is stored, where the workflow takes one that can be.
    pub(super) codec: Option<&'static InputCodec>,
    pub(super) on_input_change: OnInputChange,
    /// The largest output that is stored, in bytes of its JSON.
    pub(super) max_output: usize,
}

/// What the checkpoints of a run are compared by.
pub(crate) struct Basis {
    /// The fingerprint of all that the run depends on, where something was said of that.
    fingerprint: Option<Fingerprint>,
    given: Option<Written>,
}

impl Basis {
    fn record(&self) -> InputRecord<'_> {
        let given = self.given.as_ref();
        InputRecord {
            fingerprint: self.fingerprint.as_ref(),
            given: given.map(|given| (given.type_name, &*given.json)),
        }
    }
}

impl Default for Restore {
    fn default() -> Self {
        Self {
            storage: None,
            declared: None,
            codec: None,
            on_input_change: OnInputChange::default(),
            max_output: DEFAULT_MAX_OUTPUT,
        }
    }
}

impl Restore {
    /// The checkpoints of a run of this id, which may have been made for it.
    pub(super) fn checkpoints(
        &self,
        id: &Arc<str>,
        is_new_id: bool,
        plan: &Arc<Plan>,
    ) -> Option<Box<Checkpoints>> {
        let storage = self.storage.as_ref()?;
        let plan: Arc<dyn Tasks> = Arc::<Plan>::clone(plan);
        let (storage, id) = (Arc::clone(storage), Arc::clone(id));
        let most = self.max_output;
        // In a box, so that a run without a storage is not the larger for it.
        Some(Box::new(Checkpoints::new(
            storage, id, is_new_id, plan, most,
        )))
    }

    /// Makes sure that a run may have this id.
    pub(super) fn check_id(&self, id: &str, resume: bool) -> Result<(), Error> {
        if self.storage.is_none() && resume {
            return Err(ErrorKind::NoStorage.into());
        }
        if id.starts_with('#') {
            return Err(ErrorKind::ReservedId(id.to_owned()).into());
        }
        Ok(())
    }

    /// Makes sure, before anything is run, that all outputs can be stored.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), Error> {
        if let Some(Err(error)) = &self.declared {
            return Err(ErrorKind::InputUnreadable(error.to_string()).into());
        }
        let tasks = plan.not_storable();
        if tasks.is_empty() {
            return Ok(());
        }
        Err(ErrorKind::NotStorable(tasks).into())
    }

    /// What the checkpoints of a run of its own are compared by. Its input becomes what a resumed run
    /// would read.
    pub(super) fn basis(
        &self,
        plan: &Plan,
        input: &mut Option<Value>,
    ) -> Result<Box<Basis>, Error> {
        let Some(given) = input else {
            return Ok(Box::new(self.basis_of(None)));
        };
        let Some(codec) = self.codec else {
            let workflow = plan.name().to_owned();
            return Err(ErrorKind::InputNotStorable(workflow).into());
        };
        let unreadable = |problem| ErrorKind::InputInvalid {
            workflow: plan.name().to_owned(),
            problem,
        };
        let written = codec.write(given).map_err(unreadable)?;
        let length = written.json.get().len();
        if length > self.max_output {
            return Err(unreadable(format!(
                "it takes {length} bytes as JSON, and at most {} are stored: store the data where \
                 it belongs and give a reference to it, or raise the limit by .max_output(bytes)",
                self.max_output
            ))
            .into());
        }
        *given = codec.read(written.json.get()).map_err(unreadable)?;
        Ok(Box::new(self.basis_of(Some(written))))
    }

    /// The same for a run within a task of another one, which is compared only where something was
    /// said of what it depends on. An input that the task before it returned needs no comparison.
    pub(super) fn nested_basis(
        &self,
        plan: &Plan,
        bound: &mut Option<Value>,
    ) -> Result<Option<Box<Basis>>, Error> {
        if bound.is_some() && self.codec.is_some() {
            return self.basis(plan, bound).map(Some);
        }
        let basis = || Box::new(self.basis_of(None));
        Ok(self.declared.is_some().then(basis))
    }

    fn basis_of(&self, given: Option<Written>) -> Basis {
        // Why there is no fingerprint was asked before.
        let declared = self.declared.clone().and_then(Result::ok);
        let of_given = given.as_ref().map(|given| given.fingerprint.clone());
        Basis {
            fingerprint: Fingerprint::both(declared, of_given),
            given,
        }
    }

    /// Makes sure that the checkpoints are those of this workflow, and were made of the present
    /// input.
    pub(super) async fn prepare(
        &self,
        context: &RunContext,
        checkpoints: &Checkpoints,
        basis: &Basis,
        resume: bool,
    ) -> Result<(), Error> {
        let compared = self.compare(context, checkpoints, basis, resume);
        let cancellation = &context.identity.cancellation;
        // The engine sees that the run was cancelled as well, before it begins anything.
        let compared = cancellation.run_until_cancelled(compared).await;
        compared.unwrap_or(Ok(()))
    }

    async fn compare(
        &self,
        context: &RunContext,
        checkpoints: &Checkpoints,
        basis: &Basis,
        resume: bool,
    ) -> Result<(), Error> {
        let failed = |error: StorageError| Error::from(ErrorKind::Storage(error.into()));
        let id = || context.identity.workflow_id.to_string();
        let mut compared = checkpoints.compare(basis.record()).await.map_err(failed)?;
        if !resume && compared != Compared::New {
            return Err(ErrorKind::AlreadyBegun(id()).into());
        }
        if compared == Compared::InputChanged && self.on_input_change == OnInputChange::Reset {
            if checkpoints.is_nested() {
                return Err(ErrorKind::NestedReset(id()).into());
            }
            checkpoints.remove_all().await.map_err(failed)?;
            // Another run may have begun with another input in between.
            compared = checkpoints.compare(basis.record()).await.map_err(failed)?;
        }
        match compared {
            Compared::New | Compared::Same => Ok(()),
            Compared::InputChanged if self.on_input_change == OnInputChange::Reuse => Ok(()),
            Compared::InputChanged => Err(ErrorKind::InputChanged(id()).into()),
            Compared::OtherWorkflow(name) => {
                Err(ErrorKind::OtherWorkflow { id: id(), name }.into())
            }
        }
    }
}
