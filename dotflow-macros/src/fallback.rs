//! What is written where the signature is against the rules: an action that callers find under
//! its name, with the types as far as they are known, so that the compiler reports the mistake
//! and nothing that follows from it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{FnArg, GenericParam, Generics, ReturnType, Signature, Token, punctuated::Punctuated};

use crate::{
    expand::{self, phantom_type, phantom_value},
    model::Model,
    types::{contains_word, find_borrow, with_static_lifetimes},
};

pub(crate) fn expand(model: &Model) -> TokenStream {
    if model.receiver().is_some() || contains_word(model.signature.to_token_stream(), "Self") {
        return method(model).unwrap_or_else(|| untouched(model));
    }
    let site = Span::mixed_site();
    let dotflow = &model.arguments.dotflow;
    let function = function(model);
    let generics = owned_generics(&model.signature.generics);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let turbofish = type_generics.as_turbofish();
    let (phantom_type, phantom_value) = (phantom_type(model), phantom_value(model));
    let inputs = with_static_lifetimes(expand::inputs(model));
    let output = model.returns.output();
    let (name, task_struct) = (model.name(), model.task_struct(site));
    let action = expand::around(
        model,
        &inputs,
        &quote_spanned! {site=>
            #function

            struct #task_struct #generics (#phantom_type) #where_clause;

            #[automatically_derived]
            impl #impl_generics #dotflow::Action for #task_struct #type_generics #where_clause {
                type Inputs = #inputs;
                type Output = #output;

                fn spec(&self) -> #dotflow::ActionSpec {
                    #dotflow::ActionSpec::new(#name)
                }

                async fn call(
                    &self,
                    _: Self::Inputs,
                    _: #dotflow::TaskContext,
                ) -> ::core::result::Result<Self::Output, #dotflow::TaskError> {
                    ::core::future::pending().await
                }
            }

            #task_struct #turbofish (#phantom_value)
        },
    );
    quote_spanned!(site=> #[allow(unused)] #action)
}

/// An action under the name of a method, or of another function of an `impl` block, for its
/// callers.
///
/// A function inside of it could neither see `self` nor the types of the `impl` block, so what was
/// written becomes a closure, and the action is one that no type has to be declared for. `None` for
/// what can't be a closure.
fn method(model: &Model) -> Option<TokenStream> {
    let site = Span::mixed_site();
    let dotflow = &model.arguments.dotflow;
    let mut others = model.signature.clone();
    let parameters = others.inputs.iter();
    let parameters = parameters.filter(|parameter| matches!(parameter, FnArg::Typed(_)));
    let parameters: Punctuated<FnArg, Token![,]> = parameters.cloned().collect();
    others.inputs.clone_from(&parameters);
    if contains_word(others.to_token_stream(), "impl") {
        return None;
    }
    let attributes = &model.outer_attributes;
    let visibility = &model.visibility;
    let Signature {
        asyncness,
        fn_token,
        ident,
        generics,
        output: arrow,
        ..
    } = &others;
    let where_clause = &generics.where_clause;
    let receiver = model.receiver().into_iter();
    let (names, types): (Vec<_>, Vec<_>) = model.own_inputs().unzip();
    let inputs = with_static_lifetimes(expand::inputs(model));
    let output = model.returns.output();
    let previous = model.types_of_previous_contexts();
    let previous = previous.map(|ty| with_static_lifetimes(ty.to_token_stream()));
    let (name, body) = (model.name(), &model.body);
    // A closure that says nothing of its return type returns what its body gives.
    let arrow = match arrow {
        ReturnType::Default => quote_spanned!(site=> -> ()),
        ReturnType::Type(..) => arrow.to_token_stream(),
    };
    Some(quote_spanned! {site=>
        #(#attributes)*
        #[allow(unused)]
        #visibility #fn_token #ident #generics (#(#receiver,)* #(#names: #types),*)
            -> impl #dotflow::Action<Inputs = #inputs, Output = #output>
        #where_clause
        {
            let _ = #asyncness |#parameters| #arrow #body;
            #dotflow::action::from_fn(#name, |#(_: #previous),*| {
                ::core::future::pending::<::core::result::Result<#output, #dotflow::TaskError>>()
            })
        }
    })
}

/// The function as the user wrote it.
fn untouched(model: &Model) -> TokenStream {
    let (outer, inner) = (&model.outer_attributes, &model.inner_attributes);
    let (visibility, signature, body) = (&model.visibility, &model.signature, &model.body);
    quote_spanned! {Span::mixed_site()=>
        #(#outer)*
        #(#inner)*
        #visibility #signature #body
    }
}

/// The function with its body, for the editor and for what the compiler has to say about it.
fn function(model: &Model) -> TokenStream {
    let mut signature = model.signature.clone();
    signature.variadic = None;
    signature.constness = None;
    // A function that borrows nothing can't return a borrow; the compiler would say so again.
    let borrows = model.own_inputs().any(|(_, ty)| find_borrow(ty).is_some());
    if !borrows && signature.generics.lifetimes().next().is_none() {
        let output = with_static_lifetimes(signature.output.to_token_stream());
        signature.output = syn::parse2(output).unwrap_or(signature.output);
    }
    let (attributes, body) = (&model.inner_attributes, &model.body);
    quote_spanned! {Span::mixed_site()=>
        #(#attributes)*
        #signature #body
    }
}

/// The generics without lifetimes.
fn owned_generics(generics: &Generics) -> Generics {
    let mut owned = generics.clone();
    owned.params = generics
        .params
        .iter()
        .filter(|parameter| !matches!(parameter, GenericParam::Lifetime(_)))
        .map(owned_parameter)
        .collect();
    let where_clause = with_static_lifetimes(generics.where_clause.to_token_stream());
    owned.where_clause = syn::parse2(where_clause).unwrap_or_default();
    owned
}

/// The parameter without lifetimes, as far as that can be said of tokens: `&` may be an operator.
fn owned_parameter(parameter: &GenericParam) -> GenericParam {
    let tokens = with_static_lifetimes(parameter.to_token_stream());
    syn::parse2(tokens).unwrap_or_else(|_| parameter.clone())
}
