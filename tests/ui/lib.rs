//! What the compiler says about mistakes in the use of dotflow: see `main.rs`.
