//! The `#[action]` attribute of dotflow. Use it through `dotflow`, which re-exports it.
//!
//! It works in steps, one module each: the attribute is read into `Arguments`, the item into a
//! `Function` whose body is left alone; both together make a `Model`, where all rules are; and a
//! model is expanded, in full or, where the signature breaks a rule, by a fallback. Mistakes are
//! collected on the way and reported together. What was written is kept in any case.

#![warn(clippy::unwrap_used)]

mod arguments;
mod attribute;
mod duration;
mod errors;
mod expand;
mod fallback;
mod function;
mod model;
mod names;
#[cfg(test)]
mod tests;
mod types;

// Fuzz targets take the same file as an ordinary library, which can't have attributes.
#[cfg(not(proc_macro))]
pub use attribute::expand_action;

#[cfg(proc_macro)]
#[doc = include_str!("action.md")]
#[proc_macro_attribute]
pub fn action(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    attribute::expand_action(arguments.into(), item.into()).into()
}
