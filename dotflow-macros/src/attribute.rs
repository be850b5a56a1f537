//! The whole macro, on tokens that a test can make as well.

use proc_macro2::TokenStream;

use crate::{
    arguments::Arguments, errors::Errors, expand, fallback, function::Function, model::Model,
};

/// What `#[action(arguments)] item` becomes.
#[allow(unreachable_pub, reason = "fuzz targets take the macro as a library")]
pub fn expand_action(arguments: TokenStream, item: TokenStream) -> TokenStream {
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
