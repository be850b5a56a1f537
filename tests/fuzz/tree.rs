//! Trees of any lines at any depth: as many lines as were pushed, and in them nothing that a
//! terminal or a reader would take for something else.

use std::time::Duration;

use dotflow::tree::{Line, Tree, escaped};

use crate::bytes::Choices;

/// As `dotflow::tree` promises; written down once more, in other words, so that a change of either
/// is noticed.
fn misleads(character: char) -> bool {
    const INVISIBLE: [std::ops::RangeInclusive<char>; 8] = [
        '\u{61c}'..='\u{61c}',
        '\u{200b}'..='\u{200b}',
        '\u{200e}'..='\u{200f}',
        '\u{2028}'..='\u{2029}',
        '\u{202a}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{e0000}'..='\u{e007f}',
    ];
    character.is_control() || INVISIBLE.iter().any(|range| range.contains(&character))
}

fn line(choices: &mut Choices<'_>) -> Line {
    let (id, text) = (choices.string(4), choices.string(6));
    let line = match choices.pick(6) {
        0 => Line::trace(id, text),
        1 => Line::span(id, text),
        2 => Line::event(id, text),
        3 => Line::task(usize::MAX, &text, Some(usize::MAX)),
        4 => Line::retry(u32::MAX, &id, &text, Duration::MAX),
        _ => Line::exception(&id, &text),
    };
    let ok = [None, Some(true), Some(false)][choices.pick(3)];
    let status = choices.string(3);
    match choices.pick(4) {
        0 => line,
        1 => line.without_duration(ok, status),
        2 => line.ended(Duration::MAX, ok, status),
        _ => line.ended(Duration::ZERO, ok, status).restored(),
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut tree = Tree::new();
    let mut count = 0;
    while !choices.is_empty() {
        let depth = [0, 1, 2, 3, 7, 1 << 40, usize::MAX][choices.pick(7)];
        tree.push(depth, line(&mut choices));
        count += 1;
    }
    assert_eq!(tree.is_empty(), count == 0);
    let text = tree.to_string();
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    assert_eq!(lines.len(), count, "{text:?}");
    for line in lines {
        assert!(!line.contains(misleads), "{line:?}");
        // Not deeper than there are lines.
        let bars = line.split('[').next().unwrap_or_default().chars().count();
        assert!(bars <= 4 * count, "{line:?}");
    }
    // The colours are all that the other one has more.
    let colored = tree.to_colored_string();
    let plain = ["\u{1b}[32m", "\u{1b}[31m", "\u{1b}[0m"]
        .iter()
        .fold(colored, |text, color| text.replace(color, ""));
    assert_eq!(plain, text);

    let mut choices = Choices::new(bytes);
    let string = choices.string(40);
    let shown = escaped(&string).to_string();
    assert!(!shown.contains(misleads), "{shown:?}");
    assert_eq!(shown == string, !string.contains(misleads), "{string:?}");
}
