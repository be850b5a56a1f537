//! Reads the header of the annotated function and leaves its body as it is.
//!
//! The body is never parsed: while it is being typed it is broken most of the time, and an editor
//! completes names in it only as long as the macro still hands it on.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{
    Attribute, Signature, Visibility,
    parse::{Parse, ParseStream},
};

/// A function: its header parsed, its body as tokens.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// The braces with all that is in them.
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        const EXPECTED: &str =
            "`#[action]` goes on a function: `#[action] fn extract() -> Rows { … }`";

        let start = input.fork();
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !is_function(input) {
            let tokens: TokenStream = start.parse()?;
            return Err(syn::Error::new_spanned(tokens, EXPECTED));
        }
        let signature: Signature = input.parse()?;
        let Some(body) = body(input)? else {
            return Err(syn::Error::new_spanned(
                signature,
                "an action needs a body: a declaration alone does nothing",
            ));
        };
        Ok(Self {
            attributes,
            visibility,
            signature,
            body,
        })
    }
}

/// Whether a function begins here, whatever qualifiers it has.
fn is_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    while let Ok(token) = ahead.parse::<TokenTree>() {
        match token {
            TokenTree::Ident(word) if word == "fn" => return true,
            TokenTree::Ident(word)
                if ["const", "async", "unsafe", "extern", "safe"]
                    .iter()
                    .any(|known| word == known) => {}
            // The ABI of `extern "C"`.
            TokenTree::Literal(_) => {}
            _ => return false,
        }
    }
    false
}

/// What is left of the function, if it is a block.
fn body(input: ParseStream<'_>) -> syn::Result<Option<Group>> {
    let mut rest: TokenStream = input.parse()?;
    loop {
        let mut tokens = rest.into_iter();
        match (tokens.next(), tokens.next()) {
            (Some(TokenTree::Group(group)), None) => match group.delimiter() {
                Delimiter::Brace => return Ok(Some(group)),
                // A `$body:block` of `macro_rules!` comes in invisible delimiters.
                Delimiter::None => rest = group.stream(),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }
    }
}
