//! What the compiler says about mistakes in the use of dotflow, one mistake per file.
//!
//! The messages in the `.stderr` files are those of the toolchain that CI uses. After a change,
//! `TRYBUILD=overwrite cargo test -p dotflow-ui-tests` writes them anew; read the difference.

use std::{fs, path::Path};

#[test]
fn mistakes_are_explained() {
    let tests = trybuild::TestCases::new();
    tests.compile_fail("arguments/*.rs");
    tests.compile_fail("signature/*.rs");
    tests.compile_fail("types/*.rs");
    tests.pass("pass/*.rs");
}

/// A message that quotes the standard library differs with the installed components: where
/// `rust-src` is there, the compiler adds lines of source code.
#[test]
fn messages_do_not_depend_on_the_installed_components() {
    for folder in ["arguments", "signature", "types"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in fs::read_dir(folder).expect("the folder is part of the package") {
            let path = file.expect("a file of the package can be listed").path();
            if path
                .extension()
                .is_some_and(|extension| extension == "stderr")
            {
                let message = fs::read_to_string(&path).expect("a file of the package is text");
                assert!(!message.contains("$RUST"), "{}:\n{message}", path.display());
            }
        }
    }
}
