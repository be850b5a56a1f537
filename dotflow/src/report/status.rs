//! Where a task or a run stands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a task or a run stands; `Display` gives it in words.
///
/// ```
/// use dotflow::Status;
///
/// assert_eq!(Status::NotStarted.to_string(), "Not started");
/// assert_eq!(Status::Completed.to_string(), "Completed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// It was never begun: the run stopped or was cancelled before.
    #[default]
    #[serde(rename = "Not started")]
    NotStarted,
    /// It is being done.
    #[serde(rename = "In progress")]
    InProgress,
    /// It is done, and has an output.
    Completed,
    /// It has no output: all its attempts failed.
    Failed,
    /// It was not run, since a task before it has no output.
    Skipped,
    /// It was begun, and given up when the run was cancelled.
    Cancelled,
    /// Its program died before the run had ended, as its records tell.
    Interrupted,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "Not started",
            Self::InProgress => "In progress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Skipped => "Skipped",
            Self::Cancelled => "Cancelled",
            Self::Interrupted => "Interrupted",
        }
    }

    /// What a span of this status says: well, not well, or nothing.
    pub(crate) fn ok(self) -> Option<bool> {
        match self {
            Self::Completed => Some(true),
            Self::Failed | Self::Cancelled | Self::Interrupted => Some(false),
            _ => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
