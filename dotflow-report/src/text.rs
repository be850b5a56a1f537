//! Texts of any origin and length, as much of them as there is room for.

use std::{
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How much a name may take, in bytes of the page.
const LONGEST_NAME: usize = 60;

/// A name, cut where it is long.
pub(crate) fn name(text: &str) -> String {
    cut(text, LONGEST_NAME)
}

/// As much of a text as fits into so many bytes of the page, in which `<` takes four. Characters that
/// nobody sees, or that change the direction of writing, are written as their escapes; lines stay
/// lines.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    let mut short = String::new();
    let mut left = bytes;
    for character in text.chars() {
        let escaped = misleads(character).then(|| character.escape_unicode().to_string());
        let taken = match (&escaped, character) {
            (Some(escaped), _) => escaped.len(),
            (None, '<' | '>') => "&lt;".len(),
            (None, '&' | '"' | '\'' | '/') => "&#x27;".len(),
            (None, character) => character.len_utf8(),
        };
        if taken > left {
            short.push('…');
            break;
        }
        left -= taken;
        match escaped {
            Some(escaped) => short.push_str(&escaped),
            None => short.push(character),
        }
    }
    short
}

fn misleads(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
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
