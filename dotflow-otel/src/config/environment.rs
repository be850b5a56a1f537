//! Typed reading of environment variables.
//!
//! A value that can't be used is noted as a problem that names the variable, and counts as not set.
//! So everything is read to its end, and whoever reads decides what the problems mean.

use std::{cell::RefCell, ffi::OsString, fmt::Display, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;

use crate::error::Error;

/// Where variables are looked up (the process's own, except in tests), and what was wrong so far.
pub(super) struct Environment<'source> {
    look_up: &'source dyn Fn(&str) -> Option<OsString>,
    problems: RefCell<Vec<Error>>,
}

impl<'source> Environment<'source> {
    pub(super) fn new(look_up: &'source dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            look_up,
            problems: RefCell::default(),
        }
    }

    /// Everything that was wrong, in the order in which it was found.
    pub(super) fn into_problems(self) -> Vec<Error> {
        self.problems.into_inner()
    }

    /// Notes that a variable has a value that can't be used, once for each variable and problem.
    pub(super) fn reject(&self, name: &str, value: impl Display, problem: &str) {
        self.note(Error::environment(name, value, problem));
    }

    /// Notes that a variable is set and has no effect.
    pub(super) fn ignore(&self, name: &str, instead: &str) {
        self.note(Error::ignored(name, instead));
    }

    fn note(&self, error: Error) {
        let mut problems = self.problems.borrow_mut();
        let text = error.to_string();
        if !problems.iter().any(|known| known.to_string() == text) {
            problems.push(error);
        }
    }

    /// The value of a variable; an empty or blank one counts as not set, as the specification says.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match (self.look_up)(name)?.into_string() {
            Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Err(value) => {
                self.reject(name, value.display(), "is not valid Unicode");
                None
            }
        }
    }

    /// A value that parses as `Value`; `expected` says what that is.
    pub(super) fn parse<Value: FromStr>(&self, name: &str, expected: &str) -> Option<Value> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.reject(name, text, expected);
        }
        value
    }

    /// `true` or `false`, in any case.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    /// A duration in milliseconds.
    pub(super) fn milliseconds(&self, name: &str) -> Option<Duration> {
        self.parse(name, "must be a number of milliseconds")
            .map(Duration::from_millis)
    }

    /// One of the known words, in any case.
    pub(super) fn choice<Value: Clone>(
        &self,
        name: &str,
        known: &[(&str, Value)],
    ) -> Option<Value> {
        self.choose(name, &self.text(name)?, known)
    }

    /// The known ones among words that are separated by commas; `None` where there is none.
    pub(super) fn choices<Value: Clone>(
        &self,
        name: &str,
        known: &[(&str, Value)],
    ) -> Option<Vec<Value>> {
        let text = self.text(name)?;
        let words = text.split(',').map(str::trim);
        let words = words.filter(|word| !word.is_empty());
        let chosen: Vec<Value> = words
            .filter_map(|word| self.choose(name, word, known))
            .collect();
        (!chosen.is_empty()).then_some(chosen)
    }

    fn choose<Value: Clone>(
        &self,
        name: &str,
        word: &str,
        known: &[(&str, Value)],
    ) -> Option<Value> {
        let found = known
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word));
        if let Some((_, value)) = found {
            return Some(value.clone());
        }
        let words = known.iter().map(|(known, _)| format!("`{known}`"));
        let words: Vec<String> = words.collect();
        let expected = format!("must be one of {}", words.join(", "));
        self.reject(name, word, &expected);
        None
    }

    /// `key=value` pairs, separated by commas, with percent-encoded values. They may be secrets, so
    /// a problem shows none of them.
    pub(super) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let text = self.text(name).unwrap_or_default();
        let entries = text.split(',').enumerate();
        let entries = entries.filter(|(_, entry)| !entry.trim().is_empty());
        entries
            .filter_map(|(index, entry)| {
                let reject = |problem| self.reject(name, format!("entry {}", index + 1), problem);
                let Some((key, value)) = entry.split_once('=') else {
                    reject("must be `key=value`");
                    return None;
                };
                let key = key.trim();
                if key.is_empty() {
                    reject("must have a key");
                    return None;
                }
                let Ok(value) = percent_decode_str(value.trim()).decode_utf8() else {
                    reject("must be percent-encoded UTF-8");
                    return None;
                };
                Some((key.to_owned(), value.into_owned()))
            })
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Reads from a list instead of the process; returns what was read and the problems.
    pub(in crate::config) fn with<Output>(
        variables: &[(&str, &str)],
        read: impl FnOnce(&Environment<'_>) -> Output,
    ) -> (Output, Vec<String>) {
        let look_up = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let environment = Environment::new(&look_up);
        let output = read(&environment);
        let problems = environment.into_problems();
        (output, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_blank_variable_counts_as_not_set() {
        for blank in ["", "  "] {
            let (flag, problems) = with(&[("A", blank)], |env| env.flag("A"));
            assert_eq!((flag, problems.len()), (None, 0));
        }
    }

    #[test]
    fn words_are_known_in_any_case() {
        let (flag, problems) = with(&[("A", "TRUE")], |env| env.flag("A"));
        assert_eq!((flag, problems.len()), (Some(true), 0));
    }

    #[test]
    fn a_problem_names_the_variable_and_what_it_may_be() {
        let (flag, problems) = with(&[("A", "yes")], |env| env.flag("A"));
        assert_eq!(flag, None);
        assert_eq!(
            problems,
            ["the environment variable A is wrong: \"yes\" must be one of `true`, `false`"]
        );
    }

    #[test]
    fn a_problem_is_noted_once() {
        let read = |env: &Environment<'_>| (env.flag("A"), env.flag("A"));
        assert_eq!(with(&[("A", "yes")], read).1.len(), 1);
    }

    #[test]
    fn the_known_parts_of_a_list_are_used() {
        let known = [("a", 1), ("b", 2)];
        let read = |env: &Environment<'_>| env.choices("A", &known);
        let (chosen, problems) = with(&[("A", "b, x,a,")], read);
        assert_eq!((chosen, problems.len()), (Some(vec![2, 1]), 1));
        let (chosen, problems) = with(&[("A", "x")], read);
        assert_eq!((chosen, problems.len()), (None, 1));
    }

    #[test]
    fn pairs_are_decoded() {
        let (pairs, problems) = with(&[("A", "k=v, other = a%2Cb%3D ,")], |env| env.pairs("A"));
        let expected = [("k", "v"), ("other", "a,b=")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(problems.len(), 0);
    }

    #[test]
    fn a_problem_in_pairs_shows_no_secret() {
        let (pairs, problems) = with(&[("A", "k=v,secret")], |env| env.pairs("A"));
        assert_eq!(pairs.len(), 1);
        assert!(problems[0].contains("\"entry 2\""), "{problems:?}");
        assert!(!problems[0].contains("secret"), "{problems:?}");
    }
}
