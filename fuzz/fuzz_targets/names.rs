//! Ids and names like paths and like each other: each has a file of its own, in the folder.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/bytes.rs"]
mod bytes;
#[path = "../../tests/fuzz/names.rs"]
mod names;

fuzz_target!(|bytes: &[u8]| names::check(bytes));
