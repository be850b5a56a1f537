//! What a workflow says of its storing, and what that means for a run before it begins.

use std::sync::Arc;

use crate::{
    checkpoint::{Checkpoints, Compared, Fingerprint, Tasks},
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
    /// The fingerprint of the input, or why there is none.
    pub(super) input: Option<Result<Fingerprint, Arc<str>>>,
    pub(super) on_input_change: OnInputChange,
    /// The largest output that is stored, in bytes of its JSON.
    pub(super) max_output: usize,
}

impl Default for Restore {
    fn default() -> Self {
        Self {
            storage: None,
            input: None,
            on_input_change: OnInputChange::default(),
            max_output: DEFAULT_MAX_OUTPUT,
        }
    }
}

impl Restore {
    /// The checkpoints of a run of this id.
    pub(super) fn checkpoints(&self, id: &Arc<str>, plan: &Arc<Plan>) -> Option<Checkpoints> {
        let storage = self.storage.as_ref()?;
        let plan: Arc<dyn Tasks> = Arc::<Plan>::clone(plan);
        let (storage, id) = (Arc::clone(storage), Arc::clone(id));
        Some(Checkpoints::new(storage, id, plan, self.max_output))
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
        if let Some(Err(error)) = &self.input {
            return Err(ErrorKind::InputUnreadable(error.to_string()).into());
        }
        let tasks = plan.not_storable();
        if tasks.is_empty() {
            return Ok(());
        }
        Err(ErrorKind::NotStorable(tasks).into())
    }

    pub(super) fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// Makes sure that the checkpoints are those of this workflow, and were made of the present
    /// input.
    pub(super) async fn prepare(
        &self,
        context: &RunContext,
        checkpoints: &Checkpoints,
        resume: bool,
    ) -> Result<(), Error> {
        if checkpoints.is_nested() && !self.has_input() {
            return Ok(());
        }
        let compared = self.compare(context, checkpoints, resume);
        let cancellation = &context.identity.cancellation;
        // The engine sees that the run was cancelled as well, before it begins anything.
        let compared = cancellation.run_until_cancelled(compared).await;
        compared.unwrap_or(Ok(()))
    }

    async fn compare(
        &self,
        context: &RunContext,
        checkpoints: &Checkpoints,
        resume: bool,
    ) -> Result<(), Error> {
        let failed = |error: StorageError| Error::from(ErrorKind::Storage(error.into()));
        let id = || context.identity.workflow_id.to_string();
        // Why there is no fingerprint was asked before the run began.
        let input = self.input.as_ref().and_then(|input| input.as_ref().ok());
        let mut compared = checkpoints.compare(input).await.map_err(failed)?;
        if !resume && compared != Compared::New {
            return Err(ErrorKind::AlreadyBegun(id()).into());
        }
        if compared == Compared::InputChanged && self.on_input_change == OnInputChange::Reset {
            if checkpoints.is_nested() {
                return Err(ErrorKind::NestedReset(id()).into());
            }
            checkpoints.remove_all().await.map_err(failed)?;
            // Another run may have begun with another input in between.
            compared = checkpoints.compare(input).await.map_err(failed)?;
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
