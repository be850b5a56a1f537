//! The own inputs: how the task struct takes them, keeps them, and gives one to each attempt; and
//! what is said of one that can't be kept.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{GenericParam, Type};

use super::phantom_value;
use crate::{model::Model, types};

/// The type parameters for the own inputs.
pub(super) fn fields(model: &Model) -> Vec<Ident> {
    let site = Span::mixed_site();
    let numbers = 0..model.own_inputs().count();
    numbers
        .map(|number| model.names.fresh(&format!("__Own{number}"), site))
        .collect()
}

/// The task struct with what the caller gave.
pub(super) fn value(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let dotflow = &model.arguments.dotflow;
    let name = model.task_struct(site);
    let parameters = model.signature.generics.params.iter();
    let parameters = parameters.filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        GenericParam::Lifetime(_) => None,
    });
    let fields = fields(model);
    let fields = fields.iter().map(|_| quote_spanned!(site=> _));
    // Their types are not repeated here: one that is unknown would be reported once more.
    let values = model
        .own_inputs()
        .map(|(name, _)| quote_spanned!(site=> #dotflow::__private::Keeping::of(#name).keep()));
    let phantom = phantom_value(model);
    quote_spanned!(site=> #name::<#(#parameters,)* #(#fields),*>(#(#values,)* #phantom))
}

/// What asks of each own input that any thread may use it: a function.
fn shared(model: &Model, number: usize, ty: &Type) -> TokenStream {
    let dotflow = &model.arguments.dotflow;
    if types::find_bare_trait_object(ty).is_some() {
        return shared_of(model, number).into_token_stream();
    }
    quote_spanned!(types::site_at(ty)=> #dotflow::__private::shared)
}

fn shared_of(model: &Model, number: usize) -> Ident {
    let name = format!("__shared_{number}");
    model.names.fresh(&name, Span::mixed_site())
}

/// The functions that ask that of trait objects.
///
/// One that does not say so is the usual way to inject a dependency, and the usual mistake. The
/// advice has the type as it was written, so its bound is made for it.
pub(super) fn advice(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let mut advice = TokenStream::new();
    for (number, (_, ty)) in model.own_inputs().enumerate() {
        let Some(object) = types::find_bare_trait_object(ty) else {
            continue;
        };
        let (written, object) = (types::text(ty), types::text(object));
        let instead = match written.split_once(&object) {
            Some((before, after)) if before.ends_with(['<', ' ', '(']) => {
                format!("{before}{object} + Send + Sync{after}")
            }
            _ => written.replacen(&object, &format!("({object} + Send + Sync)"), 1),
        };
        // Braces are placeholders there.
        let literal = |text: String| text.replace('{', "{{").replace('}', "}}");
        let message = literal(format!(
            "`{written}` can't be an input of an action, whose attempts run on any thread"
        ));
        let label = literal(format!("write `{instead}`"));
        let bound = model.names.fresh(&format!("__Shared{number}"), site);
        let ask = shared_of(model, number);
        let any = model.names.fresh("__Input", site);
        advice.extend(quote_spanned! {site=>
            #[diagnostic::on_unimplemented(message = #message, label = #label)]
            trait #bound: ::core::marker::Send + ::core::marker::Sync {}
            #[diagnostic::do_not_recommend]
            impl<#any: ::core::marker::Send + ::core::marker::Sync> #bound for #any {}
            fn #ask<#any: #bound>() {}
        });
    }
    advice
}

/// What asks of an own input that it can be kept: a mistake is shown at its type.
pub(super) fn checks(model: &Model, number: usize, ty: &Type) -> TokenStream {
    let dotflow = &model.arguments.dotflow;
    let shared = shared(model, number, ty);
    quote_spanned! {types::site_at(ty)=>
        #shared::<#ty>();
        #dotflow::__private::cloned::<#ty>();
    }
}
