//! Any string as the name of a file or an object: readable where the string is plain, and never
//! equal to the name of another string, not even in a file system that ignores case.
//!
//! `=` stands where URLs have `%`, which object stores advise against in names and their clients
//! would encode once more.

use hmac_sha256::Hash;

/// The longest name that is made, in bytes. File systems allow 255, all of Windows' paths 260.
const MAX_NAME: usize = 120;
/// How much of a string that is too long stays readable.
const MAX_READABLE: usize = 40;

/// Names that Windows takes for devices, whatever extension follows.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// What a name says of the string that it was made from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// The string itself.
    Text(String),
    /// The string was too long: the name has only its hash.
    Hashed,
    /// No string has this name.
    Foreign,
}

/// Makes a name of a string.
///
/// Small letters, digits, `-`, `_`, inner dots and the characters of `plain` stand for themselves;
/// every other byte is `=` with two hex digits. So no name has a capital letter, a separator, a
/// dot at its start or end, or a character that needs care. `=` followed by no digit marks the two
/// special cases: `=` alone is the empty string, `=-` comes before the hash of a long one.
pub(super) fn encode(text: &str, plain: &str) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let mut name = String::with_capacity(text.len());
    let stem = text.split('.').next().unwrap_or_default();
    let is_device = DEVICES.contains(&stem);
    let mut readable = 0;
    for (index, byte) in text.bytes().enumerate() {
        let stands_for_itself = match byte {
            _ if index == 0 && is_device => false,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => true,
            b'.' => index > 0 && index + 1 < text.len(),
            _ => byte.is_ascii() && plain.contains(char::from(byte)),
        };
        if stands_for_itself {
            name.push(char::from(byte));
        } else {
            name.push('=');
            push_hex(&mut name, byte);
        }
        if name.len() <= MAX_READABLE {
            readable = name.len();
        }
        if name.len() > MAX_NAME {
            name.truncate(readable);
            name.push_str("=-");
            name.push_str(&hex(&Hash::hash(text.as_bytes())));
            break;
        }
    }
    name
}

/// Reads a name back that was made with the same `plain`.
pub(super) fn decode(name: &str, plain: &str) -> Decoded {
    let text = if name == "=" {
        Some(String::new())
    } else if name.contains("=-") {
        return Decoded::Hashed;
    } else {
        unescape(name)
    };
    match text {
        Some(text) if encode(&text, plain) == name => Decoded::Text(text),
        _ => Decoded::Foreign,
    }
}

fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        push_hex(&mut text, *byte);
    }
    text
}

fn push_hex(name: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    name.push(char::from(DIGITS[usize::from(byte >> 4)]));
    name.push(char::from(DIGITS[usize::from(byte & 0xf)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        for text in ["order-42", "v1.2", "load_rows", "load#2[17]"] {
            assert_eq!(encode(text, "#[]"), text);
        }
    }

    #[test]
    fn everything_else_is_escaped() {
        for (text, name) in [
            ("", "="),
            (".", "=2e"),
            ("..", "=2e=2e"),
            ("../x", "=2e.=2fx"),
            ("a/b", "a=2fb"),
            ("a\0b", "a=00b"),
            ("Load", "=4coad"),
            ("a=b", "a=3db"),
            ("con", "=63on"),
            ("nul.txt", "=6eul.txt"),
            ("ä", "=c3=a4"),
            ("load#2", "load=232"),
        ] {
            assert_eq!(encode(text, ""), name);
            assert_eq!(decode(name, ""), Decoded::Text(text.to_owned()));
        }
    }

    #[test]
    fn long_names_are_hashed() {
        let long = "x".repeat(10_000);
        let longer = "x".repeat(10_001);
        let name = encode(&long, "");
        assert!(name.len() <= MAX_NAME);
        assert_ne!(name, encode(&longer, ""));
        assert_eq!(decode(&name, ""), Decoded::Hashed);
        // No short name can hit the hash of a long one.
        assert_ne!(encode(&name, ""), name);
    }

    #[test]
    fn what_no_name_becomes_is_foreign() {
        for name in [
            "Load", "a b", "a=", "a=4", "a=zz", "=ff", "=61", ".tmp", "=4C",
        ] {
            assert_eq!(decode(name, ""), Decoded::Foreign, "{name}");
        }
    }
}
