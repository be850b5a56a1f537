//! What a workflow depends on, as a fingerprint, so that a resumed run notices that it changed.

use serde::{Serialize, ser::Error as _};

use super::seal::digest;
use crate::exact;

/// The fingerprint of an input: the SHA-256 of its JSON, with the members of objects sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of a value, unless JSON can't tell it from another one.
    pub(crate) fn of<I: Serialize + ?Sized>(input: &I) -> serde_json::Result<Self> {
        exact::check(input).map_err(serde_json::Error::custom)?;
        let mut value = serde_json::to_value(input)?;
        // They are sorted already, unless another crate asked serde_json to keep their order.
        value.sort_all_objects();
        Ok(Self(digest(&value)))
    }

    /// The fingerprint of two values at once, each of which may be there or not.
    pub(crate) fn both(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(second)) => Some(Self(digest(&(first.0, second.0)))),
            (first, second) => first.or(second),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_would_confuse_is_refused_or_told_apart() {
        assert!(Fingerprint::of(&f64::INFINITY).is_err());
        assert!(Fingerprint::of(&f64::NAN).is_err());
        assert!(Fingerprint::of(&Some(())).is_err());
        assert!(Fingerprint::of(&vec![Some(None::<u8>)]).is_err());
        let none = Fingerprint::of(&None::<u8>).unwrap();
        assert_ne!(none, Fingerprint::of(&Some(0)).unwrap());
        assert_ne!(
            Fingerprint::of(&0.0).unwrap(),
            Fingerprint::of(&-0.0).unwrap()
        );
    }
}
