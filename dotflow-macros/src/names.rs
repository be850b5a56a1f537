//! Names for what the expansion declares, which nobody else uses.
//!
//! Tokens that resolve at the macro keep variables apart, but not items, not constants, and not
//! two names of the user that both become parameters of ours. So a name of ours is a word that
//! stands nowhere in what the user wrote.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};

/// All words of the user's function.
pub(crate) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    pub(crate) fn of(tokens: TokenStream) -> Self {
        let mut taken = BTreeSet::new();
        let mut rest = vec![tokens];
        while let Some(tokens) = rest.pop() {
            for token in tokens {
                match token {
                    TokenTree::Ident(word) => {
                        taken.insert(word.to_string());
                    }
                    TokenTree::Group(group) => rest.push(group.stream()),
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
            }
        }
        Self { taken }
    }

    /// The wanted name, with as many `_` behind it as make it ours. It is the same each time, and
    /// another one for each wanted name that does not end in `_`.
    pub(crate) fn fresh(&self, wanted: &str, span: Span) -> Ident {
        let mut name = wanted.to_owned();
        while self.taken.contains(&name) {
            name.push('_');
        }
        Ident::new(&name, span)
    }
}
