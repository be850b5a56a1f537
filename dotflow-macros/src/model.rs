//! Decides what the annotated function means: which parameters are its own inputs, which come
//! from the tasks before, what it returns, and whether any of it is against the rules.

mod header;
mod parameters;
mod returns;

use proc_macro2::{Group, Ident, Span};
use quote::quote;
use syn::{Attribute, GenericParam, Receiver, Signature, Type, Visibility, ext::IdentExt};

use self::{
    header::{
        check_generics, check_qualifiers, is_about_the_action, is_bare_must_use,
        without_second_action,
    },
    parameters::{MOST_PREVIOUS_CONTEXTS, parameters},
    returns::returns,
};
pub(crate) use self::{
    parameters::{Parameter, Role},
    returns::Returns,
};
use crate::{arguments::Arguments, errors::Errors, function::Function, names::Names, types};

/// An action, ready to be expanded.
pub(crate) struct Model {
    pub(crate) arguments: Arguments,
    /// What is said about the action: documentation, deprecation, lint levels.
    pub(crate) outer_attributes: Vec<Attribute>,
    /// What changes how the code runs, as `#[tracing::instrument]`: it belongs to the function
    /// that holds the body.
    pub(crate) inner_attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
    /// In the order of the signature.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) returns: Returns,
    pub(crate) checkpoint: CheckpointMode,
    /// For what the expansion declares.
    pub(crate) names: Names,
    /// Whether the signature itself is against the rules, so that it can't be called as it is.
    pub(crate) is_broken: bool,
}

/// Whether the output can be stored.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum CheckpointMode {
    /// Asked of the type when the expansion is compiled.
    Detect,
    /// Not asked: the answer would be no, or the question would not compile.
    No,
    /// Demanded by the user.
    Required,
    /// Not wanted by the user.
    Never,
}

impl Model {
    /// Whether the function is a plain one that may block.
    pub(crate) fn runs_on_the_blocking_pool(&self) -> bool {
        self.signature.asyncness.is_none() && self.arguments.inline.is_none()
    }

    pub(crate) fn new(arguments: Arguments, function: Function, errors: &mut Errors) -> Self {
        let Function {
            attributes,
            visibility,
            signature,
            body,
        } = function;
        let mut broken = Errors::default();
        let mut attributes = without_second_action(attributes, errors);
        // Every action must be used: the trait says so, and saying it twice is against a lint.
        attributes.retain(|attribute| !is_bare_must_use(attribute));
        check_qualifiers(&signature, &mut broken);
        check_generics(&signature, &mut broken);
        let names = Names::of(quote!(#signature #body));
        let parameters = parameters(&signature, &names, &mut broken);
        let returns = returns(&signature, &arguments.dotflow, &mut broken);
        let is_broken = !broken.is_empty();
        errors.append(broken);

        check_combinations(&arguments, &signature, &returns, is_broken, errors);
        let checkpoint = checkpoint(&arguments, &signature, &returns);
        let (outer_attributes, inner_attributes) =
            attributes.into_iter().partition(is_about_the_action);
        Self {
            arguments,
            outer_attributes,
            inner_attributes,
            visibility,
            signature,
            body,
            parameters,
            returns,
            checkpoint,
            names,
            is_broken,
        }
    }

    /// The name of the task: what the user said, or the name of the function.
    pub(crate) fn name(&self) -> String {
        let function = || self.signature.ident.unraw().to_string();
        self.arguments.name.clone().unwrap_or_else(function)
    }

    /// The name of the struct that holds the own inputs.
    pub(crate) fn task_struct(&self, span: Span) -> Ident {
        self.names.fresh("__Action", span)
    }

    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        self.signature.receiver()
    }

    pub(crate) fn types_of_previous_contexts(&self) -> impl Iterator<Item = &Type> {
        self.parameters
            .iter()
            .filter(|parameter| parameter.role == Role::Previous)
            .map(|parameter| &parameter.ty)
            .take(MOST_PREVIOUS_CONTEXTS)
    }

    pub(crate) fn own_inputs(&self) -> impl Iterator<Item = (&Ident, &Type)> {
        self.parameters
            .iter()
            .filter_map(|parameter| match &parameter.role {
                Role::Own(name) => Some((name, &parameter.ty)),
                Role::Previous | Role::Task => None,
            })
    }
}

fn check_combinations(
    arguments: &Arguments,
    signature: &Signature,
    returns: &Returns,
    is_broken: bool,
    errors: &mut Errors,
) {
    if let (Some(inline), Some(_)) = (&arguments.inline, &signature.asyncness) {
        errors.at(
            inline,
            "`inline` is for a plain `fn`: an `async fn` runs on the async worker anyway",
        );
    }
    if let (Some(overlap), Some(_)) = (&arguments.may_overlap, &signature.asyncness) {
        errors.at(
            overlap,
            "`may_overlap` is for a plain `fn`: an `async fn` that timed out has ended before its \
             next attempt",
        );
    } else if let (Some(overlap), Some(_)) = (&arguments.may_overlap, &arguments.inline) {
        errors.at(
            overlap,
            "`may_overlap` has no effect with `inline`: the worker can't go on before the \
             function has ended, so no other attempt can begin",
        );
    }
    if let (Some(condition), Returns::Output(_), false) = (&arguments.retry_if, returns, is_broken)
    {
        errors.at(
            condition,
            "`retry_if` looks at the error, but this function returns none: return \
             `Result<T, E>`, or leave `retry_if` out (panics and timeouts are retried without it)",
        );
    }
}

fn checkpoint(arguments: &Arguments, signature: &Signature, returns: &Returns) -> CheckpointMode {
    let has_type_parameters = signature
        .generics
        .params
        .iter()
        .any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    match arguments.checkpoint {
        Some(true) => CheckpointMode::Required,
        Some(false) => CheckpointMode::Never,
        // Whether a type parameter can be stored is not known before it is filled in.
        None if has_type_parameters => CheckpointMode::No,
        // A type that borrows is deserialized for one lifetime only; asking for all of them is an
        // error of the compiler instead of a "no".
        None if types::has_lifetime(returns.output().clone()) => CheckpointMode::No,
        None => CheckpointMode::Detect,
    }
}
