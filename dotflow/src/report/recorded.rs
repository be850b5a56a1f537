//! What a task says of itself while it runs: values by key, and how far it has come.

use serde::{Deserialize, Serialize};

/// A value that a task has recorded by [`TaskContext::record`](crate::TaskContext::record): a number, a
/// truth value or a text.
///
/// ```
/// use dotflow::report::Recorded;
///
/// assert_eq!(Recorded::from(3_u32), Recorded::Int(3));
/// assert_eq!(Recorded::from("eu"), Recorded::Text("eu".into()));
/// assert_eq!(serde_json::to_string(&Recorded::from(0.5))?, "0.5");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Recorded {
    /// A truth value.
    Bool(bool),
    /// A whole number; the largest one for those beyond it.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl From<bool> for Recorded {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Recorded {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<f32> for Recorded {
    fn from(value: f32) -> Self {
        Self::Float(value.into())
    }
}

impl From<&str> for Recorded {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Recorded {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

macro_rules! whole {
    ($($number:ty),*) => {
        $(impl From<$number> for Recorded {
            fn from(value: $number) -> Self {
                Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
            }
        })*
    };
}

whole!(i8, i16, i32, i64, u8, u16, u32, u64, usize);

impl From<isize> for Recorded {
    fn from(value: isize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// How far a task has come, as [`TaskContext::progress`](crate::TaskContext::progress) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do.
    pub of: u64,
}

/// All that a task has said of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// By key, each with its last value; in the order of the first ones.
    pub(crate) recorded: Vec<(String, Recorded)>,
    pub(crate) progress: Option<Progress>,
}

/// How many keys of one task are kept.
const MOST_KEYS: usize = 128;

impl Said {
    pub(crate) fn record(&mut self, key: &str, value: Recorded) {
        if let Some((_, last)) = self.recorded.iter_mut().find(|(known, _)| known == key) {
            *last = value;
        } else if self.recorded.len() < MOST_KEYS {
            self.recorded.push((key.to_owned(), value));
        }
    }
}
