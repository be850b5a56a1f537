//! Attributes and functions of any tokens: the macro never panics, and the function stays.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../dotflow-macros/src/tests/random.rs"]
mod random;

fuzz_target!(|bytes: &[u8]| {
    let checked = random::expand_random(bytes, dotflow_macros_library::expand_action);
    checked.unwrap_or_else(|message| panic!("{message}"));
});
