//! The one list of tuples that traits of dotflow are implemented for.

/// Calls a macro for each tuple of one to seven elements, with two names per element.
macro_rules! shorter_tuples {
    ($for_each:ident) => {
        $for_each!((A1, B1));
        $for_each!((A1, B1), (A2, B2));
        $for_each!((A1, B1), (A2, B2), (A3, B3));
        $for_each!((A1, B1), (A2, B2), (A3, B3), (A4, B4));
        $for_each!((A1, B1), (A2, B2), (A3, B3), (A4, B4), (A5, B5));
        $for_each!((A1, B1), (A2, B2), (A3, B3), (A4, B4), (A5, B5), (A6, B6));
        $for_each!(
            (A1, B1),
            (A2, B2),
            (A3, B3),
            (A4, B4),
            (A5, B5),
            (A6, B6),
            (A7, B7)
        );
    };
}

/// Calls a macro for each tuple of one to eight elements, with two names per element.
macro_rules! tuples {
    ($for_each:ident) => {
        $crate::tuples::shorter_tuples!($for_each);
        $for_each!(
            (A1, B1),
            (A2, B2),
            (A3, B3),
            (A4, B4),
            (A5, B5),
            (A6, B6),
            (A7, B7),
            (A8, B8)
        );
    };
}

pub(crate) use {shorter_tuples, tuples};
