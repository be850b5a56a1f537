//! What is drawn for people, read by what draws it: Graphviz, and Mermaid in a browser.
//!
//! Tests that need one of these are ignored unless asked for, as they are not on every machine:
//! `cargo test -p dotflow-tests --test pictures -- --include-ignored`, with Debian's `graphviz` and
//! `chromium`, and npm's `mermaid` in the folder that `DOTFLOW_TEST_MERMAID` names.

mod browser;
mod drawers;
mod pages;
mod plans;
