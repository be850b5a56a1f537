//! What dotflow adds to the build of a program.

pub(crate) fn print() {}
