//! What is written where the signature is against the rules: an action that callers find under
//! its name, with the types as far as they are known, so that the compiler reports the mistake
//! and nothing that follows from it.

use crate::model::Model;
use proc_macro2::TokenStream;

pub(crate) fn expand(model: &Model) -> TokenStream {
    let _ = model;
    TokenStream::new()
}
