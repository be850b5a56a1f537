//! What is stored, changed in any way: refused, or the same value.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/bytes.rs"]
mod bytes;
#[path = "../../tests/fuzz/envelope.rs"]
mod envelope;

fuzz_target!(|bytes: &[u8]| envelope::check(bytes));
