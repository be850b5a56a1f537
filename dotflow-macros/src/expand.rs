//! Writes the expansion: the function that users call, and in its body the function they wrote,
//! the task struct and its `Action` implementation.
//!
//! ```text
//! #[action(retry = 3)]
//! async fn load(table: String, previous: PreviousContext<u32>) -> Result<Receipt, LoadError> { … }
//! ```
//!
//! becomes
//!
//! ```text
//! fn load(table: String) -> impl Action<Inputs = (PreviousContext<u32>,), Output = Receipt> {
//!     async fn load(table: String, previous: PreviousContext<u32>) -> Result<Receipt, LoadError> { … }
//!     struct __Action(String);
//!     impl Action for __Action { … }
//!     __Action(table)
//! }
//! ```
//!
//! All paths are absolute, since any name may be shadowed. Tokens of ours resolve at the macro
//! (`mixed_site`): the body can't see our variables, and lints know that nobody wrote them.

mod own;
mod spec;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{GenericParam, Generics, TypeParamBound, parse_quote_spanned};

use self::{
    own::{advice, checks, fields, value},
    spec::spec,
};
use crate::{
    model::{Model, Returns, Role},
    types,
};

pub(crate) fn expand(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let function = function(model);
    let task_struct = task_struct(model);
    let action = action(model);
    let advice = advice(model);
    let value = value(model);
    let dotflow = &model.arguments.dotflow;
    around(
        model,
        &inputs(model),
        &quote_spanned! {site=>
            #[allow(unused_imports)]
            use #dotflow::__private::KeepingFallback as _;
            #function
            #task_struct
            #advice
            #action
            #value
        },
    )
}

/// The function that stands for the action: the user's name, visibility and documentation, and
/// only the inputs that a caller gives.
pub(crate) fn around(model: &Model, inputs: &TokenStream, body: &TokenStream) -> TokenStream {
    let site = Span::mixed_site();
    let attributes = &model.outer_attributes;
    let visibility = &model.visibility;
    let (fn_token, name) = (&model.signature.fn_token, &model.signature.ident);
    let generics = shareable_generics(model);
    let where_clause = &generics.where_clause;
    let (names, types): (Vec<_>, Vec<_>) = model.own_inputs().unzip();
    let dotflow = &model.arguments.dotflow;
    let output = model.returns.output();
    // The item ends with the user's own brace: one that ends in a macro counts as the macro's, and
    // the compiler would not say that it is never used.
    let mut block = Group::new(Delimiter::Brace, body.clone());
    block.set_span(model.body.span());
    quote_spanned! {site=>
        #(#attributes)*
        #visibility #fn_token #name #generics (#(#names: #types),*)
            -> impl #dotflow::Action<Inputs = #inputs, Output = #output>
        #where_clause
        #block
    }
}

/// What the user wrote, as it is.
///
/// It keeps its name: a body may call itself, and `#[tracing::instrument]` names its span by it.
fn function(model: &Model) -> TokenStream {
    let attributes = &model.inner_attributes;
    let (signature, body) = (&model.signature, &model.body);
    // What these lints ask for is not the user's to give: inputs have to be owned, previous
    // contexts can't be bundled, and `async` says where the action runs. Some of them spare
    // public functions, which this one no longer is.
    quote_spanned! {Span::mixed_site()=>
        #(#attributes)*
        #[allow(
            clippy::large_types_passed_by_value,
            clippy::needless_pass_by_value,
            clippy::too_many_arguments,
            clippy::unnecessary_box_returns,
            clippy::unnecessary_wraps,
            clippy::unused_async,
        )]
        #signature #body
    }
}

/// The struct that holds the own inputs, one field each.
///
/// The types of the fields are parameters: what stands for an input that can't be kept is of
/// another type, and the compiler says what is wrong with the input and nothing that follows.
fn task_struct(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let fields = fields(model);
    let mut generics = shareable_generics(model);
    for field in &fields {
        generics.params.push(parse_quote_spanned!(site=> #field));
    }
    let where_clause = &generics.where_clause;
    let phantom = phantom_type(model);
    let name = model.task_struct(site);
    quote_spanned! {site=>
        struct #name #generics (#(#fields,)* #phantom) #where_clause;
    }
}

fn action(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let dotflow = &model.arguments.dotflow;
    let mut generics = shareable_generics(model);
    for (field, (_, ty)) in fields(model).iter().zip(model.own_inputs()) {
        generics.params.push(parse_quote_spanned! {site=>
            #field: #dotflow::__private::Keeps<#ty>
        });
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let (inputs, output) = (inputs(model), model.returns.output());
    let spec = spec(model);
    let (call, variables) = call(model);
    let task_struct = model.task_struct(site);
    // A constant or a static of the user by the name of a variable of ours would be a pattern in its
    // place. Functions are not, and the nearest item of a name counts.
    let shadows = (!variables.is_empty()).then(|| {
        quote_spanned! {site=>
            #[allow(unused_imports)]
            use #dotflow::__private::{#(variable as #variables),*};
        }
    });
    quote_spanned! {site=>
        #shadows

        #[automatically_derived]
        impl #impl_generics #dotflow::Action for #task_struct #type_generics #where_clause {
            type Inputs = #inputs;
            type Output = #output;
            #spec
            #call
        }
    }
}

/// The tuple of previous contexts.
pub(crate) fn inputs(model: &Model) -> TokenStream {
    let types = model.types_of_previous_contexts();
    quote_spanned!(Span::mixed_site()=> (#(#types,)*))
}

/// One attempt: clones of the own inputs, the previous contexts, the task context, in the order
/// of the signature; and the variables that hold them.
fn call(model: &Model) -> (TokenStream, Vec<Ident>) {
    // A future that can't go to another thread is shown at the name of the function.
    let site = Span::mixed_site().located_at(model.signature.ident.span());
    let dotflow = &model.arguments.dotflow;
    let (mut own, mut previous, mut context) = (Vec::new(), Vec::new(), None);
    let mut values = Vec::new();
    let fresh = |name: &str| model.names.fresh(name, site);
    let arguments: Vec<Ident> = model
        .parameters
        .iter()
        .map(|parameter| match parameter.role {
            Role::Own(_) => {
                let (number, ty) = (own.len(), &parameter.ty);
                let name = fresh(&format!("__own_{number}"));
                let index = syn::Index::from(number);
                let checks = checks(model, number, ty);
                values.push(quote_spanned! {site=>
                    #checks
                    let #name = #dotflow::__private::Keeps::<#ty>::own(&self.#index);
                });
                own.push(name.clone());
                name
            }
            Role::Previous => {
                let name = fresh(&format!("__previous_{}", previous.len()));
                previous.push(name.clone());
                name
            }
            Role::Task => context.insert(fresh("__context")).clone(),
        })
        .collect();
    if model.runs_on_the_blocking_pool() && context.is_none() {
        context = Some(fresh("__context"));
    }
    let task = context
        .as_ref()
        .map_or_else(|| quote_spanned!(site=> _), Ident::to_token_stream);
    let attempt = attempt(model, &arguments, &task);
    let call = quote_spanned! {site=>
        fn call(
            &self,
            (#(#previous,)*): Self::Inputs,
            #task: #dotflow::TaskContext,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<Self::Output, #dotflow::TaskError>,
        > + ::core::marker::Send {
            #(#values)*
            #attempt
        }
    };
    own.extend(previous);
    own.extend(context);
    (call, own)
}

fn attempt(model: &Model, arguments: &[Ident], task: &TokenStream) -> TokenStream {
    let site = Span::mixed_site();
    let dotflow = &model.arguments.dotflow;
    let signature = &model.signature;
    let name = &signature.ident;
    let turbofish = signature.generics.split_for_impl().1;
    let turbofish = turbofish.as_turbofish();
    let wait = signature.asyncness.map(|_| quote_spanned!(site=> .await));
    let returned = quote_spanned!(site=> #name #turbofish (#(#arguments),*) #wait);
    let outcome = match (&model.returns, &model.arguments.retry_if) {
        (Returns::Output(_), _) => quote_spanned!(site=> ::core::result::Result::Ok(#returned)),
        (Returns::Result { output, error }, None) => {
            quote_spanned! {site=>
                #dotflow::__private::outcome::<#output, #error>(#returned, {
                    #[allow(unused_imports)]
                    use #dotflow::__private::ProbeFallback as _;
                    <#dotflow::__private::Probe<#error>>::KEEP
                })
            }
        }
        (Returns::Result { output, error }, Some(condition)) => {
            // A condition on another error is shown at its path, and nowhere else.
            let place = types::site_at(condition);
            let dotflow_there = types::located_at(dotflow, place);
            let condition = quote_spanned! {place=>
                &#dotflow_there::__private::retry_if(#condition).of()
            };
            quote_spanned! {site=>
                #dotflow::__private::outcome_if::<#output, #error>(
                    #returned,
                    {
                        #[allow(unused_imports)]
                        use #dotflow::__private::ProbeFallback as _;
                        <#dotflow::__private::Probe<#error>>::KEEP
                    },
                    #condition,
                )
            }
        }
    };
    let types = model.own_inputs().map(|(_, ty)| ty);
    let keeping = quote_spanned!(site=> <#dotflow::__private::Keeping<(#(#types,)*)>>);
    if model.runs_on_the_blocking_pool() {
        quote_spanned! {site=>
            #keeping::blocking(#dotflow::__private::offloaded(&#task), move || #outcome)
        }
    } else {
        quote_spanned!(site=> #keeping::attempt(async move { #outcome }))
    }
}

/// The generics with what the engine asks of every type in an action.
///
/// `Send + Sync + 'static` is the same for all of them, so it need not be written at each.
fn shareable_generics(model: &Model) -> Generics {
    let site = Span::mixed_site();
    let mut generics = model.signature.generics.clone();
    let mut where_clause = generics.where_clause.take();
    for parameter in generics.type_params_mut() {
        match &mut where_clause {
            // Bounds in two places are against a lint.
            Some(where_clause) if parameter.bounds.is_empty() => {
                let name = &parameter.ident;
                let bound = parse_quote_spanned! {site=>
                    #name: ::core::marker::Send + ::core::marker::Sync + 'static
                };
                where_clause.predicates.insert(0, bound);
            }
            _ => parameter.bounds.extend::<[TypeParamBound; 3]>([
                parse_quote_spanned!(site=> ::core::marker::Send),
                parse_quote_spanned!(site=> ::core::marker::Sync),
                parse_quote_spanned!(site=> 'static),
            ]),
        }
    }
    generics.where_clause = where_clause;
    generics
}

/// The type parameters that no field of the struct may mention.
fn type_parameters(model: &Model) -> Vec<&Ident> {
    let parameters = model.signature.generics.params.iter();
    parameters
        .filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(&parameter.ident),
            _ => None,
        })
        .collect()
}

pub(crate) fn phantom_type(model: &Model) -> Option<TokenStream> {
    let parameters = type_parameters(model);
    (!parameters.is_empty()).then(|| {
        quote_spanned! {Span::mixed_site()=>
            ::core::marker::PhantomData<fn() -> (#(*const #parameters,)*)>
        }
    })
}

pub(crate) fn phantom_value(model: &Model) -> Option<TokenStream> {
    let parameters = type_parameters(model);
    (!parameters.is_empty())
        .then(|| quote_spanned!(Span::mixed_site()=> ::core::marker::PhantomData))
}
