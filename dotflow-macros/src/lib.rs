//! The `#[action]` attribute of dotflow. Use it through `dotflow`, which re-exports it.
//!
//! It works in steps, one module each: the attribute is read into `Arguments`, the item into a
//! `Function` whose body is left alone; both together make a `Model`, where all rules are; and a
//! model is expanded, in full or, where the signature breaks a rule, by a fallback. Mistakes are
//! collected on the way and reported together. What was written is kept in any case.

#![warn(clippy::unwrap_used)]

mod arguments;
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

use proc_macro2::TokenStream;

use crate::{arguments::Arguments, errors::Errors, function::Function, model::Model};

#[doc = include_str!("action.md")]
#[proc_macro_attribute]
pub fn action(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_action(arguments.into(), item.into()).into()
}

/// The whole macro, on tokens that a test can make as well.
fn expand_action(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = Arguments::parse(arguments, &mut errors);
    // The item comes first: an editor takes the first function it finds for the user's own.
    let mut tokens = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => {
            let model = Model::new(arguments, function, &mut errors);
            if model.is_broken {
                fallback::expand(&model)
            } else {
                expand::expand(&model)
            }
        }
        Err(error) => {
            errors.add(error);
            item
        }
    };
    tokens.extend(errors.into_tokens());
    tokens
}
