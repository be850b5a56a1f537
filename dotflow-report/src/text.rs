//! Texts of any origin and length, as much of them as there is room for.

use std::{
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dotflow::{TaskReport, tree::escaped};

/// How much a name may take, in bytes of the page.
pub(crate) const LONGEST_NAME: usize = 60;

/// A name, cut where it is long.
pub(crate) fn name(text: &str) -> String {
    cut(text, LONGEST_NAME)
}

/// The name of a task, in so many bytes of the page; its number where it has none.
pub(crate) fn name_of(task: &TaskReport, bytes: usize) -> String {
    match task.name() {
        "" => format!("task:{}", task.id()),
        name => cut(name, bytes),
    }
}

/// As much of a text as fits into so many bytes of the page.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    cut_from(text, &mut { bytes })
}

/// As much of a text as fits into what is left of so many bytes of the page, in which `<` takes four.
/// What misleads a reader is escaped as in the tree, but that lines stay lines.
pub(crate) fn cut_from(text: &str, left: &mut usize) -> String {
    let mut short = String::new();
    for character in text.chars() {
        let shown = match character {
            '\n' => character.to_string(),
            _ => escaped(character.encode_utf8(&mut [0; 4])).to_string(),
        };
        let taken = match character {
            '<' | '>' => "&lt;".len(),
            '&' | '"' | '\'' | '/' => "&#x27;".len(),
            _ => shown.len(),
        };
        if taken > *left {
            short.push('…');
            break;
        }
        *left -= taken;
        short.push_str(&shown);
    }
    short
}

/// How long something took, in the unit that fits.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration < Duration::from_millis(1) => format!("{} µs", duration.as_micros()),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A time, to the second.
pub(crate) fn time(time: SystemTime) -> String {
    let mut written = String::new();
    // Years beyond 9999 have no such form, and times before 1970 are no clock's.
    let is_known = time.duration_since(UNIX_EPOCH).is_ok()
        && write!(written, "{}", humantime::format_rfc3339_seconds(time)).is_ok();
    match written.strip_suffix('Z') {
        Some(written) if is_known => format!("{} UTC", written.replace('T', " ")),
        _ => "at a time that no calendar has".to_owned(),
    }
}

/// One of something, or many.
pub(crate) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}
