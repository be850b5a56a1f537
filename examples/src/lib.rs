//! Runnable examples of dotflow: see the `[[example]]` targets.
