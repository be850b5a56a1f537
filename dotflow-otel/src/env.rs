//! The environment: typed reading of the `OTEL_*` variables.
//!
//! An operator sets them without seeing the code, so they win over it, and one that can't be
//! understood is an error that names it: a typing error must not send traces to nowhere in silence.

use std::{ffi::OsString, fmt::Display, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;

use crate::Error;

#[cfg(feature = "otlp")]
pub(crate) mod otlp;
pub(crate) mod settings;

/// Where variables are looked up; the process's own, except in tests.
pub(crate) struct Environment<'source> {
    look_up: &'source dyn Fn(&str) -> Option<OsString>,
}

impl Environment<'static> {
    /// The variables of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            look_up: &|name| std::env::var_os(name),
        }
    }
}

impl Environment<'_> {
    /// The value of a variable; an empty one counts as not set, as the specification says.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(value) = (self.look_up)(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        match value.into_string() {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(value) => Err(malformed(name, value.display(), "is not valid Unicode")),
        }
    }

    /// A value that parses as `Value`; `expected` says what that is.
    pub(crate) fn parse<Value: FromStr>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<Value>, Error> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let value = text.parse();
        value.map(Some).map_err(|_| malformed(name, text, expected))
    }

    /// `true` or `false`, in any case.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    /// A duration in milliseconds.
    pub(crate) fn milliseconds(&self, name: &str) -> Result<Option<Duration>, Error> {
        let value = self.parse(name, "must be a number of milliseconds")?;
        Ok(value.map(Duration::from_millis))
    }

    /// One of the known words, in any case.
    pub(crate) fn choice<Value: Clone>(
        &self,
        name: &str,
        known: &[(&str, Value)],
    ) -> Result<Option<Value>, Error> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        choose(name, &text, known).map(Some)
    }

    /// Known words, separated by commas.
    pub(crate) fn choices<Value: Clone>(
        &self,
        name: &str,
        known: &[(&str, Value)],
    ) -> Result<Option<Vec<Value>>, Error> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let words = text.split(',').map(str::trim);
        words
            .map(|word| choose(name, word, known))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// `key=value` pairs, separated by commas, with percent-encoded values. They may be secrets, so
    /// an error shows none of them.
    pub(crate) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, Error> {
        let text = self.text(name)?.unwrap_or_default();
        let entries = text.split(',').enumerate();
        let entries = entries.filter(|(_, entry)| !entry.trim().is_empty());
        entries
            .map(|(index, entry)| {
                let place = || format!("entry {}", index + 1);
                let Some((key, value)) = entry.split_once('=') else {
                    return Err(malformed(name, place(), "must be `key=value`"));
                };
                let key = key.trim();
                if key.is_empty() {
                    return Err(malformed(name, place(), "must have a key"));
                }
                let value = percent_decode_str(value.trim())
                    .decode_utf8()
                    .map_err(|_| malformed(name, place(), "must be percent-encoded UTF-8"))?;
                Ok((key.to_owned(), value.into_owned()))
            })
            .collect()
    }
}

fn choose<Value: Clone>(name: &str, word: &str, known: &[(&str, Value)]) -> Result<Value, Error> {
    let found = known
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(word));
    if let Some((_, value)) = found {
        return Ok(value.clone());
    }
    let words: Vec<String> = known
        .iter()
        .map(|(known, _)| format!("`{known}`"))
        .collect();
    let expected = format!("must be one of {}", words.join(", "));
    Err(malformed(name, word, &expected))
}

/// The error about a variable whose value can't be used.
pub(crate) fn malformed(name: &str, value: impl Display, problem: &str) -> Error {
    Error::Environment {
        variable: name.to_owned(),
        value: value.to_string(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Reads from a list instead of the process.
    pub(crate) fn with<Output>(
        variables: &[(&str, &str)],
        test: impl FnOnce(&Environment<'_>) -> Output,
    ) -> Output {
        let look_up = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        test(&Environment { look_up: &look_up })
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        with(&[("A", "")], |env| {
            assert_eq!(env.flag("A").unwrap(), None);
        });
    }

    #[test]
    fn words_are_known_in_any_case() {
        with(&[("A", "TRUE")], |env| {
            assert_eq!(env.flag("A").unwrap(), Some(true));
        });
    }

    #[test]
    fn an_error_names_the_variable_and_what_it_may_be() {
        with(&[("A", "yes")], |env| {
            let error = env.flag("A").unwrap_err().to_string();
            assert_eq!(
                error,
                "the environment variable A is wrong: \"yes\" must be one of `true`, `false`"
            );
        });
    }

    #[test]
    fn pairs_are_decoded() {
        with(&[("A", "k=v, other = a%2Cb%3D ,")], |env| {
            let pairs = env.pairs("A").unwrap();
            let expected = [("k", "v"), ("other", "a,b=")];
            assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        });
    }

    #[test]
    fn an_error_in_pairs_shows_no_secret() {
        with(&[("A", "k=v,secret")], |env| {
            let error = env.pairs("A").unwrap_err().to_string();
            assert!(error.contains("\"entry 2\""), "{error}");
            assert!(!error.contains("secret"), "{error}");
        });
    }
}
