//! What the function returns: an output, or a `Result` of one.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Path, Signature, Type};

use crate::{
    errors::Errors,
    types::{self, contains_word, find_borrow, last_segment, plain},
};

/// What the function returns.
pub(crate) enum Returns {
    /// The output itself.
    Output(TokenStream),
    /// A `Result` of the output.
    Result {
        output: TokenStream,
        error: TokenStream,
    },
}

impl Returns {
    pub(crate) fn output(&self) -> &TokenStream {
        match self {
            Self::Output(output) | Self::Result { output, .. } => output,
        }
    }
}

pub(super) fn returns(signature: &Signature, dotflow: &Path, broken: &mut Errors) -> Returns {
    let site = Span::mixed_site();
    let Some(ty) = types::returned(&signature.output) else {
        return Returns::Output(quote_spanned!(site=> ()));
    };
    if contains_word(ty.to_token_stream(), "impl") {
        broken.at(
            ty,
            "an action can't return `impl Trait`: its output travels to other tasks, so name the \
             type, or box it",
        );
        return Returns::Output(quote_spanned!(site=> ()));
    }
    if let Type::Never(_) = plain(ty) {
        broken.at(
            ty,
            "an action can't return `!`: a task that never ends gives nothing to the next; leave \
             the return type out and return when `TaskContext::cancellation` says so",
        );
        return Returns::Output(quote_spanned!(site=> ()));
    }
    if contains_word(ty.to_token_stream(), "Self") {
        broken.at(
            ty,
            "`Self` means nothing to an action: write the type's name",
        );
        return Returns::Output(quote_spanned!(site=> ()));
    }
    let is_borrowed = find_borrow(ty);
    if let Some(borrow) = &is_borrowed {
        broken.at(
            borrow,
            "an action can't return a borrow: its output outlives the call, so return an owned \
             value, as `String` instead of `&str`",
        );
    }
    let written = |ty: &Type| {
        if is_borrowed.is_some() {
            types::with_static_lifetimes(ty.to_token_stream())
        } else {
            ty.to_token_stream()
        }
    };
    let Some(result) = last_segment(ty).filter(|segment| segment.ident == "Result") else {
        return Returns::Output(written(ty));
    };
    if let [output, error] = types::type_arguments(result).collect::<Vec<_>>()[..] {
        return Returns::Result {
            output: written(output),
            error: written(error),
        };
    }
    // An alias, as `std::io::Result<T>`: only the compiler knows what it stands for.
    let alias = written(ty);
    let projection = |name: TokenStream| quote_spanned!(types::site_at(ty)=> <#alias as #dotflow::__private::Fallible>::#name);
    Returns::Result {
        output: projection(quote!(Output)),
        error: projection(quote!(Error)),
    }
}
