//! Makes strings from anywhere fit for a terminal.

use std::fmt::{self, Display};

/// A string whose control characters and invisible characters are written as their escapes.
///
/// So a name or an error message can neither move the cursor, nor change the direction of writing,
/// nor look like another line or another string than it is.
pub(crate) struct Escaped<'text>(pub(crate) &'text str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((start, character)) = rest.char_indices().find(|(_, c)| misleads(*c)) {
            formatter.write_str(&rest[..start])?;
            write!(formatter, "{}", character.escape_default())?;
            rest = &rest[start + character.len_utf8()..];
        }
        formatter.write_str(rest)
    }
}

/// Whether a terminal or a reader would take the character for something else than a character.
///
/// The joiners U+200C and U+200D stay: Persian words and families of emoji fall apart without.
fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // A mark of direction.
            '\u{61c}'
            // A space of no width.
            | '\u{200b}'
            // Marks of direction.
            | '\u{200e}' | '\u{200f}'
            // Ends of a line and of a paragraph.
            | '\u{2028}' | '\u{2029}'
            // Embeddings and overrides of direction.
            | '\u{202a}'..='\u{202e}'
            // Invisible operators, isolates of direction, and obsolete controls of format.
            | '\u{2060}'..='\u{206f}'
            // The mark of byte order, a space of no width elsewhere.
            | '\u{feff}'
            // Tags: a whole alphabet that nobody sees.
            | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misleads_is_escaped() {
        for (text, escaped) in [
            ("a\u{1b}[31mb\nc\r\t", "a\\u{1b}[31mb\\nc\\r\\t"),
            ("\u{7f}\u{9b}\0", "\\u{7f}\\u{9b}\\u{0}"),
            ("\u{61c}\u{200b}\u{200e}x", "\\u{61c}\\u{200b}\\u{200e}x"),
            ("\u{200f}\u{2028}\u{2029}", "\\u{200f}\\u{2028}\\u{2029}"),
            ("\u{202a}x\u{202e}", "\\u{202a}x\\u{202e}"),
            ("\u{2060}\u{2066}\u{206f}", "\\u{2060}\\u{2066}\\u{206f}"),
            ("\u{feff}x", "\\u{feff}x"),
            (
                "x\u{e0000}\u{e0041}\u{e007f}",
                "x\\u{e0000}\\u{e0041}\\u{e007f}",
            ),
        ] {
            assert_eq!(Escaped(text).to_string(), escaped);
        }
    }

    #[test]
    fn what_people_write_stays() {
        for text in [
            "",
            "load",
            "a \"b\" \\ 'c'",
            "日本",
            "naïve",
            "می\u{200c}خواهم",
            "👩\u{200d}👩\u{200d}👧",
            "\u{2027}\u{2030}\u{205f}\u{2070}\u{e0080}",
        ] {
            assert_eq!(Escaped(text).to_string(), text);
        }
    }
}
