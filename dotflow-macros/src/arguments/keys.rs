//! The keys of `#[action(…)]`: how each is written, and which one was meant by a word that is not one.

use proc_macro2::Ident;

/// Every key, in the order in which messages list them, and how it is written.
const KEYS: [(&str, &str); 13] = [
    ("retry", "retry = 3"),
    ("retry_delay", "retry_delay = \"500ms\""),
    ("backoff", "backoff = 2.0"),
    ("max_delay", "max_delay = \"1m\""),
    ("jitter", "jitter"),
    ("retry_if", "retry_if = is_transient"),
    ("timeout", "timeout = \"30s\""),
    ("name", "name = \"load\""),
    ("checkpoint", "checkpoint = false"),
    ("version", "version = 2"),
    ("may_overlap", "may_overlap"),
    ("inline", "inline"),
    ("crate", "crate = ::dotflow"),
];

pub(super) fn example(key: &Ident) -> Option<&'static str> {
    KEYS.iter()
        .find(|(known, _)| key == known)
        .map(|(_, example)| *example)
}

pub(super) fn written(key: &Ident) -> String {
    example(key).map_or_else(|| key.to_string(), Into::into)
}

pub(super) fn all_keys() -> String {
    let keys: Vec<_> = KEYS.iter().map(|(key, _)| format!("`{key}`")).collect();
    format!("the keys are {}", keys.join(", "))
}

pub(super) fn unknown_key(unknown: &str) -> String {
    let suggestion = nearest(unknown)
        .map(|nearest| format!("did you mean `{nearest}`? "))
        .unwrap_or_default();
    format!("`{unknown}` is not a key: {suggestion}{}", all_keys())
}

/// The key that was meant, as far as letters tell: one that contains the word, or one that needs
/// few changes.
fn nearest(unknown: &str) -> Option<&'static str> {
    let keys = || KEYS.iter().map(|(key, _)| *key);
    let contains = |key: &&str| unknown.len() > 3 && key.contains(unknown);
    keys().find(contains).or_else(|| {
        keys()
            .map(|key| (distance(unknown, key), key))
            .min()
            .filter(|(distance, key)| *distance <= key.len().max(unknown.len()) / 2)
            .map(|(_, key)| key)
    })
}

/// How many letters to insert, delete or replace to get from one word to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
