//! Questions about the types in a signature. A macro sees names, not types, so a type is known by
//! the last segment of its path.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    GenericArgument, Lifetime, PathArguments, PathSegment, ReturnType, Type, TypeParamBound,
};

/// The type without the invisible delimiters that `macro_rules!` puts around it, and without
/// parentheses.
pub(crate) fn plain(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            ty => return ty,
        }
    }
}

/// The last segment of a path, as `Result<T, E>` of `std::result::Result<T, E>`.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match plain(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Whether the path of the type ends in this name.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// The types between the angle brackets of a path segment.
pub(crate) fn type_arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments
        .into_iter()
        .flatten()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}

/// The first type of this name within the type, itself included.
pub(crate) fn find<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    if is_named(ty, name) {
        return Some(ty);
    }
    parts(ty).into_iter().find_map(|part| find(part, name))
}

/// The first borrow within the type that is not `'static`.
///
/// The parameters of a function (`fn(&str)`, `dyn Fn(&str)`) are not borrowed: who calls it
/// brings them.
pub(crate) fn find_borrow(ty: &Type) -> Option<&Type> {
    let lifetimes: Vec<&Lifetime> = match plain(ty) {
        Type::Reference(reference) => match &reference.lifetime {
            Some(lifetime) => vec![lifetime],
            None => return Some(ty),
        },
        Type::Path(path) => path
            .path
            .segments
            .iter()
            .filter_map(|segment| match &segment.arguments {
                PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
                _ => None,
            })
            .flatten()
            .filter_map(|argument| match argument {
                GenericArgument::Lifetime(lifetime) => Some(lifetime),
                _ => None,
            })
            .collect(),
        Type::TraitObject(object) => object
            .bounds
            .iter()
            .filter_map(|bound| match bound {
                TypeParamBound::Lifetime(lifetime) => Some(lifetime),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    if lifetimes.iter().any(|lifetime| lifetime.ident != "static") {
        return Some(ty);
    }
    parts(ty).into_iter().find_map(find_borrow)
}

/// The types that a type is made of, one level down.
fn parts(ty: &Type) -> Vec<&Type> {
    match plain(ty) {
        Type::Reference(reference) => vec![&reference.elem],
        Type::Array(array) => vec![&array.elem],
        Type::Slice(slice) => vec![&slice.elem],
        Type::Ptr(pointer) => vec![&pointer.elem],
        Type::Tuple(tuple) => tuple.elems.iter().collect(),
        Type::Path(path) => path.path.segments.iter().flat_map(type_arguments).collect(),
        _ => Vec::new(),
    }
}

/// The first trait object within the type that does not say that any thread may use it.
///
/// Its trait may say so, which only the compiler knows.
pub(crate) fn find_bare_trait_object(ty: &Type) -> Option<&Type> {
    if let Type::TraitObject(object) = plain(ty) {
        let says = |name| {
            object.bounds.iter().any(|bound| match bound {
                TypeParamBound::Trait(bound) => bound.path.is_ident(name),
                _ => false,
            })
        };
        if !(says("Send") && says("Sync")) {
            return Some(plain(ty));
        }
    }
    parts(ty).into_iter().find_map(find_bare_trait_object)
}

/// The type as one would write it.
pub(crate) fn text(tokens: impl ToTokens) -> String {
    let mut text = String::new();
    write_text(tokens.to_token_stream(), &mut text);
    text
}

fn write_text(tokens: TokenStream, text: &mut String) {
    let is_word = |text: &str| {
        let last = text.chars().next_back();
        last.is_some_and(|last| last.is_alphanumeric() || last == '_')
    };
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if is_word(text) {
                    text.push(' ');
                }
                text.push_str(&ident.to_string());
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                sign @ ('+' | '=') => {
                    text.push(' ');
                    text.push(sign);
                    text.push(' ');
                }
                '-' => text.push_str(" -"),
                '>' if text.ends_with('-') => text.push_str("> "),
                sign @ (',' | ';') => {
                    text.push(sign);
                    text.push(' ');
                }
                // A lifetime.
                '\'' if is_word(text) => text.push_str(" '"),
                sign => text.push(sign),
            },
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write_text(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Literal(literal) => text.push_str(&literal.to_string()),
        }
    }
}

/// Whether the word stands anywhere in the tokens.
pub(crate) fn contains_word(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => contains_word(group.stream(), word),
        _ => false,
    })
}

/// Whether the type names a lifetime or borrows, `'static` included.
pub(crate) fn has_lifetime(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Punct(punct) => matches!(punct.as_char(), '&' | '\''),
        TokenTree::Group(group) => has_lifetime(group.stream()),
        _ => false,
    })
}

/// The type with every lifetime replaced by `'static`: what stands in for a borrowed type once it
/// was rejected, so that the compiler does not complain about it again.
pub(crate) fn with_static_lifetimes(tokens: TokenStream) -> TokenStream {
    let lifetime = |tokens: &mut TokenStream| {
        Lifetime::new("'static", Span::mixed_site()).to_tokens(tokens);
    };
    let mut result = TokenStream::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                rest.next();
                lifetime(&mut result);
            }
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                punct.to_tokens(&mut result);
                let named =
                    matches!(rest.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '\'');
                if !named {
                    lifetime(&mut result);
                }
            }
            TokenTree::Group(group) => {
                let inside = with_static_lifetimes(group.stream());
                let mut replaced = proc_macro2::Group::new(group.delimiter(), inside);
                replaced.set_span(group.span());
                replaced.to_tokens(&mut result);
            }
            token => token.to_tokens(&mut result),
        }
    }
    result
}

/// The type behind the arrow, where there is one.
pub(crate) fn returned(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => Some(ty),
    }
}

/// Where tokens of ours are shown that belong to this type: they resolve at the macro, and errors
/// in them point at the type.
pub(crate) fn site_at(tokens: impl ToTokens) -> Span {
    let first = tokens.to_token_stream().into_iter().next();
    let site = Span::mixed_site();
    first.map_or(site, |token| site.located_at(token.span()))
}

/// The tokens, which mean what they do and are shown there.
pub(crate) fn located_at(tokens: impl ToTokens, place: Span) -> TokenStream {
    let tokens = tokens.to_token_stream().into_iter();
    let located = tokens.map(|mut token| {
        token.set_span(token.span().located_at(place));
        token
    });
    located.collect()
}
