//! Trees of any lines: nothing that misleads a terminal or a reader leaves them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/bytes.rs"]
mod bytes;
#[path = "../../tests/fuzz/tree.rs"]
mod tree;

fuzz_target!(|bytes: &[u8]| tree::check(bytes));
