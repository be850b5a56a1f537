//! What is written to, and whether in colours.

use std::{
    ffi::OsStr,
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

/// Where trees and lines are shown; shared by all signals.
#[derive(Clone)]
pub(crate) struct Screen {
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    pub(super) colored: bool,
}

impl Screen {
    /// Standard output; coloured only on a terminal, and never with `NO_COLOR`.
    pub(crate) fn stdout() -> Self {
        let no_color = std::env::var_os("NO_COLOR");
        let colored = is_colored(io::stdout().is_terminal(), no_color.as_deref());
        Self::new(io::stdout(), colored)
    }

    /// Any writer, without colours.
    pub(crate) fn plain(writer: impl Write + Send + 'static) -> Self {
        Self::new(writer, false)
    }

    fn new(writer: impl Write + Send + 'static, colored: bool) -> Self {
        Self {
            writer: Arc::new(Mutex::new(Box::new(writer))),
            colored,
        }
    }

    /// Writes a whole string at once, so that those of several threads don't mix.
    pub(super) fn show(&self, text: &str) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed pipe or a full disk must not stop the workflow.
        let _ = writer.write_all(text.as_bytes());
        let _ = writer.flush();
    }
}

/// Whether there may be colours; an empty `NO_COLOR` counts as not set, as its convention says.
fn is_colored(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

impl fmt::Debug for Screen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Screen").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_only_on_a_terminal_and_never_with_no_color() {
        assert!(is_colored(true, None));
        assert!(is_colored(true, Some(OsStr::new(""))));
        assert!(!is_colored(true, Some(OsStr::new("1"))));
        assert!(!is_colored(false, None));
    }
}
