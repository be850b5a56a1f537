//! Workflows written as annotated functions.
