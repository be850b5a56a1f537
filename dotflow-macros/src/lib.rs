//! The `#[action]` attribute of dotflow.
