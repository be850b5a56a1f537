//! From what a server or a connection says to what is to be done about it, and to words that can be
//! shown.

use std::error::Error;

use crate::pipeline::{Next, Refusal};

/// How much of what a server says is shown.
const LONGEST_TEXT: usize = 200;

/// A request that got no answer, which is worth another try.
pub(super) fn unanswered(cause: impl Into<String>) -> Refusal {
    Refusal {
        cause: cause.into(),
        next: Next::TryAgain(None),
    }
}

/// The beginning of what a server says, without characters that could control a terminal.
pub(super) fn shown(text: &str) -> String {
    let escaped = text.trim().chars().take(LONGEST_TEXT).map(|character| {
        if character.is_control() {
            character.escape_default().to_string()
        } else {
            character.to_string()
        }
    });
    let mut shown: String = escaped.collect();
    if text.trim().chars().nth(LONGEST_TEXT).is_some() {
        shown.push('…');
    }
    shown
}

/// An error and its sources in one line; none is said twice.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    if text.contains("InvalidContentType") {
        // What TLS says to an answer that is none of TLS.
        text.push_str(" (the server speaks no TLS: begin the endpoint with `http://`)");
    }
    text
}

/// Whether this is what becomes of requests without TLS at a server that has never answered one: it is
/// sent an alert of TLS, or nothing, before the connection is closed.
pub(super) fn may_want_tls(cause: &str) -> bool {
    let signs = [
        "frame with invalid size",
        "invalid HTTP version",
        "broken pipe",
        "Broken pipe",
        "connection reset",
        "Connection reset",
    ];
    signs.iter().any(|sign| cause.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_cut_and_escaped() {
        assert_eq!(shown(" unknown\u{1b}[2J key\n"), "unknown\\u{1b}[2J key");
        let long = shown(&"ä".repeat(LONGEST_TEXT + 1));
        assert_eq!(long, format!("{}…", "ä".repeat(LONGEST_TEXT)));
    }
}
