//! Attributes and functions made of random tokens: the body of the fuzz target `attribute`, and of
//! the bounded loop in the tests.
//!
//! What comes in is a list of bytes, each of which is one decision; so a fuzzer that changes bytes
//! changes tokens.

use std::iter;

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::quote;

/// Expands one attribute on one function, both made from the bytes, and checks that what the user
/// wrote is still there. Gives the tokens of both, for a message.
pub(crate) fn expand_random(
    bytes: &[u8],
    expand: impl Fn(TokenStream, TokenStream) -> TokenStream,
) -> Result<(), String> {
    let mut choices = Choices(bytes.iter());
    let arguments = choices.arguments();
    let body = choices.tokens(2);
    let item = choices.function(&body);
    let shown = format!("#[action({arguments})] {item}");
    // A panic that goes on would say where, but not for which tokens.
    let expanded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        expand(arguments, item.clone()).to_string()
    }));
    let Ok(expanded) = expanded else {
        return Err(format!("the macro panicked on {shown}"));
    };
    let kept = Group::new(Delimiter::Brace, body).to_string();
    if !expanded.contains("fn load") || !expanded.contains(&kept) {
        return Err(format!("the function is gone: {shown} became {expanded}"));
    }
    Ok(())
}

/// Bytes as decisions; when they are used up, each further one is the first choice.
struct Choices<'bytes>(std::slice::Iter<'bytes, u8>);

const KEYS: [&str; 15] = [
    "retry",
    "retry_delay",
    "backoff",
    "max_delay",
    "jitter",
    "retry_if",
    "timeout",
    "name",
    "checkpoint",
    "version",
    "may_overlap",
    "inline",
    "crate",
    "color",
    "r#retry",
];

/// Words that mean something to the parser of expressions, and some that don't.
const WORDS: [&str; 24] = [
    "a", "fn", "move", "async", "if", "else", "match", "loop", "return", "break", "let", "as",
    "in", "for", "where", "unsafe", "const", "static", "dyn", "impl", "Self", "self", "_", "true",
];

const SIGNS: [char; 20] = [
    '=', ',', '.', ':', ';', '<', '>', '&', '|', '!', '?', '+', '-', '*', '/', '#', '$', '@', '^',
    '~',
];

const DELIMITERS: [Delimiter; 4] = [
    Delimiter::Parenthesis,
    Delimiter::Bracket,
    Delimiter::Brace,
    Delimiter::None,
];

impl Choices<'_> {
    fn pick(&mut self, count: usize) -> usize {
        usize::from(*self.0.next().unwrap_or(&0)) % count
    }

    /// Mostly `key = value`, as a person types it, with anything for a value.
    fn arguments(&mut self) -> TokenStream {
        let mut tokens = TokenStream::new();
        for _ in 0..self.pick(4) {
            match self.pick(8) {
                0 => tokens.extend(self.tokens(2)),
                1 => tokens.extend([word(KEYS[self.pick(KEYS.len())])]),
                _ => {
                    tokens.extend([word(KEYS[self.pick(KEYS.len())])]);
                    tokens.extend(quote!(=));
                    tokens.extend(self.tokens(2));
                }
            }
            if self.pick(8) > 0 {
                tokens.extend(quote!(,));
            }
        }
        tokens
    }

    fn function(&mut self, body: &TokenStream) -> TokenStream {
        let qualifiers = [
            quote!(),
            quote!(async),
            quote!(const),
            quote!(unsafe),
            quote!(extern "C"),
        ];
        let qualifiers = &qualifiers[self.pick(qualifiers.len())];
        let generics = [
            quote!(),
            quote!(<T>),
            quote!(<T: Clone, const N: usize>),
            quote!(<'a, T: Fn(&'a str) + 'a>),
            quote!(<'a, const N: usize = { 1 & 2 }>),
            quote!(<'a, T: Holds<{ 1 & 2 }> = &'a str>),
            quote!(<#[cfg(unix)] T>),
        ];
        let generics = &generics[self.pick(generics.len())];
        let mut parameters = TokenStream::new();
        for _ in 0..self.pick(4) {
            let ty = self.ty();
            let pattern = [
                quote!(table),
                quote!(mut table),
                quote!((a, b)),
                quote!(_),
                quote!(load),
            ];
            let pattern = &pattern[self.pick(pattern.len())];
            parameters.extend(match self.pick(8) {
                0 => quote!(self,),
                1 => quote!(#[cfg(unix)] #pattern: #ty,),
                _ => quote!(#pattern: #ty,),
            });
        }
        let returns = if self.pick(3) == 0 {
            quote!()
        } else {
            let ty = self.ty();
            quote!(-> #ty)
        };
        let bounds = [
            quote!(),
            quote!(where T: Clone),
            quote!(where Self: 'a,),
            quote!(where),
        ];
        let bounds = &bounds[self.pick(bounds.len())];
        quote!(#qualifiers fn load #generics (#parameters) #returns #bounds { #body })
    }

    fn ty(&mut self) -> TokenStream {
        let types = [
            quote!(u32),
            quote!(&str),
            quote!(&'a mut [T]),
            quote!(PreviousContext<u32>),
            quote!(&PreviousContext<Vec<T>>),
            quote!(Option<PreviousContext<u32>>),
            quote!(Result<PreviousContext<u32>, TaskError>),
            quote!(Box<PreviousContext<u32>>),
            quote!(TaskContext),
            quote!(Result<u32, String>),
            quote!(io::Result<&'static str>),
            quote!(impl Iterator<Item = u32>),
            quote!(Box<dyn Fn(&str) -> u32 + 'a>),
            quote!([u8; { N & 1 }]),
            quote!(Holds<{ N & 1 }>),
            quote!(Self::Output),
            quote!(!),
            quote!(<T as Trait>::Output),
            quote!(for<'b> fn(&'b str) -> &'b str),
            quote!(make!(T)),
        ];
        if self.pick(16) == 0 {
            self.tokens(1)
        } else {
            types[self.pick(types.len())].clone()
        }
    }

    /// Up to four tokens of any kind; groups are nested this deep.
    fn tokens(&mut self, depth: usize) -> TokenStream {
        let count = self.pick(5);
        iter::repeat_with(|| self.token(depth))
            .take(count)
            .collect()
    }

    fn token(&mut self, depth: usize) -> TokenTree {
        match self.pick(if depth == 0 { 8 } else { 11 }) {
            0 | 1 => word(WORDS[self.pick(WORDS.len())]),
            2 => Literal::u32_unsuffixed(3).into(),
            3 => Literal::string(["soon", "1h", ""][self.pick(3)]).into(),
            4 => Literal::f64_unsuffixed(0.5).into(),
            5..=7 => {
                let spacing = [Spacing::Alone, Spacing::Joint][self.pick(2)];
                Punct::new(SIGNS[self.pick(SIGNS.len())], spacing).into()
            }
            _ => {
                let delimiter = DELIMITERS[self.pick(DELIMITERS.len())];
                Group::new(delimiter, self.tokens(depth - 1)).into()
            }
        }
    }
}

fn word(word: &str) -> TokenTree {
    let span = Span::call_site();
    match word.strip_prefix("r#") {
        Some(word) => Ident::new_raw(word, span).into(),
        None => Ident::new(word, span).into(),
    }
}
