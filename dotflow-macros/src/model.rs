//! Decides what the annotated function means: which parameters are its own inputs, which come
//! from the tasks before, what it returns, and whether any of it is against the rules.

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, FnArg, GenericParam, Meta, Pat, Path, Receiver, Signature, Type, TypeReference,
    Visibility, ext::IdentExt,
};

use crate::{
    arguments::Arguments,
    errors::Errors,
    function::Function,
    types::{self, contains_word, find, find_borrow, is_named, last_segment, plain},
};

/// As many previous contexts as the traits of `dotflow` are implemented for.
const MOST_PREVIOUS_CONTEXTS: usize = 8;

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
    pub(crate) checkpoint: Checkpoint,
    /// Whether the signature itself is against the rules, so that it can't be called as it is.
    pub(crate) is_broken: bool,
}

pub(crate) struct Parameter {
    pub(crate) role: Role,
    pub(crate) ty: Type,
}

/// Where the value of a parameter comes from.
#[derive(Clone, PartialEq)]
pub(crate) enum Role {
    /// From the caller of the action, under this name.
    Own(Ident),
    /// From a task before this one.
    Previous,
    /// From the run: where it stands.
    Task,
}

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

/// Whether the output can be stored.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Checkpoint {
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
        let parameters = parameters(&signature, &mut broken);
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
            is_broken,
        }
    }

    /// The name of the task: what the user said, or the name of the function.
    pub(crate) fn name(&self) -> String {
        let function = || self.signature.ident.unraw().to_string();
        self.arguments.name.clone().unwrap_or_else(function)
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

fn is_about_the_action(attribute: &Attribute) -> bool {
    [
        "doc",
        "deprecated",
        "must_use",
        "allow",
        "warn",
        "deny",
        "forbid",
        "expect",
    ]
    .iter()
    .any(|name| attribute.path().is_ident(name))
}

/// The attributes without a second `#[action]`, which would make an action of the function inside.
fn without_second_action(attributes: Vec<Attribute>, errors: &mut Errors) -> Vec<Attribute> {
    let is_action = |attribute: &Attribute| {
        let mut segments = attribute.path().segments.iter().rev();
        segments.next().is_some_and(|last| last.ident == "action")
            && segments.next().is_none_or(|krate| krate.ident == "dotflow")
    };
    let (second, others): (Vec<_>, Vec<_>) = attributes.into_iter().partition(is_action);
    for attribute in second {
        errors.at(attribute, "`#[action]` is given twice: keep one");
    }
    others
}

fn is_bare_must_use(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::Path(path) if path.is_ident("must_use"))
}

fn check_qualifiers(signature: &Signature, broken: &mut Errors) {
    if let Some(word) = &signature.constness {
        broken.at(
            word,
            "an action can't be `const`: it is called by the engine, at run time",
        );
    }
    if let syn::Safety::Unsafe(word) = &signature.safety {
        broken.at(
            word,
            "an action can't be `unsafe`: nobody vouches for the call that the engine makes; keep \
             the `unsafe` block inside, with the reason why it is sound",
        );
    }
    if let Some(abi) = &signature.abi {
        broken.at(
            abi,
            "an action can't be `extern`: call the foreign function inside of one",
        );
    }
    if let Some(variadic) = &signature.variadic {
        broken.at(variadic, "an action can't be variadic: take a `Vec`");
    }
}

fn check_generics(signature: &Signature, broken: &mut Errors) {
    for parameter in &signature.generics.params {
        if let GenericParam::Lifetime(lifetime) = parameter {
            broken.at(
                lifetime,
                "an action can't have lifetime parameters: it outlives its caller, so it owns \
                 what it works on",
            );
        }
    }
}

fn parameters(signature: &Signature, broken: &mut Errors) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for (index, input) in signature.inputs.iter().enumerate() {
        let input = match input {
            FnArg::Typed(input) => input,
            FnArg::Receiver(receiver) => {
                broken.at(
                    receiver,
                    "`#[action]` goes on functions, not on methods: take what is needed of `self` \
                     as parameters",
                );
                continue;
            }
        };
        check_parameter_attributes(&input.attrs, broken);
        if contains_word(input.ty.to_token_stream(), "Self") {
            broken.at(
                &input.ty,
                "`Self` means nothing to an action: write the type's name",
            );
        }
        let name = own_name(&input.pat, index, &signature.ident);
        let parameter = classify(name, &input.ty, broken);
        let so_far = parameters
            .iter()
            .filter(|other| other.role == parameter.role)
            .count();
        match parameter.role {
            Role::Previous if so_far == MOST_PREVIOUS_CONTEXTS => broken.at(
                &input.ty,
                format_args!(
                    "an action takes at most {MOST_PREVIOUS_CONTEXTS} previous contexts: join \
                     tasks of one type with `join_all` and take a `Vec<PreviousContext<_>>`, or \
                     collect some of them in a task between"
                ),
            ),
            Role::Task if so_far == 1 => {
                broken.at(&input.ty, "`TaskContext` is taken twice: keep one");
            }
            _ => {}
        }
        parameters.push(parameter);
    }
    parameters
}

fn check_parameter_attributes(attributes: &[Attribute], broken: &mut Errors) {
    for attribute in attributes {
        let path = attribute.path();
        if path.is_ident("cfg") || path.is_ident("cfg_attr") {
            broken.at(
                attribute,
                "an action can't have parameters under `cfg`: put it on the whole action, once \
                 for each case",
            );
        }
    }
}

fn classify(name: Ident, ty: &Type, broken: &mut Errors) -> Parameter {
    let (role, ty) = if let Some(previous) = find(ty, "PreviousContext") {
        (Role::Previous, previous_context(ty, previous, broken))
    } else if let Some(context) = find(ty, "TaskContext") {
        if !is_named(ty, "TaskContext") {
            broken.at(ty, "take the task context by value: `TaskContext`");
        }
        (Role::Task, context)
    } else {
        check_own_input(ty, broken);
        (Role::Own(name), ty)
    };
    Parameter {
        role,
        ty: ty.clone(),
    }
}

/// The type of a previous context as the traits of `dotflow` know it.
fn previous_context<'a>(ty: &'a Type, inner: &'a Type, broken: &mut Errors) -> &'a Type {
    let may_hold_one = ["Option", "Result", "Vec"];
    if is_named(ty, "PreviousContext") {
        if let Some(borrow) = find_borrow(ty) {
            broken.at(
                borrow,
                "a previous context can't be borrowed: the task before returns an owned value",
            );
        }
        return ty;
    }
    if may_hold_one.iter().any(|name| is_named(ty, name)) {
        return ty;
    }
    if let Type::Reference(TypeReference { elem, .. }) = plain(ty) {
        let elem_tokens = elem.to_token_stream().to_string().replace(' ', "");
        broken.at(
            ty,
            format_args!("take the previous context by value: `{elem_tokens}`"),
        );
        return inner;
    }
    broken.at(
        ty,
        "a previous context is taken as `PreviousContext<T>`, `Option<PreviousContext<T>>`, \
         `Result<PreviousContext<T>, TaskError>` or, after `join_all`, \
         `Vec<PreviousContext<T>>`",
    );
    inner
}

fn check_own_input(ty: &Type, broken: &mut Errors) {
    if let Type::ImplTrait(_) = plain(ty) {
        broken.at(
            ty,
            "an action can't take `impl Trait`: write a type parameter, as \
             `fn load<T: Trait>(value: T)`, or a type",
        );
    } else if let Some(borrow) = find_borrow(ty) {
        let owned = owned_instead_of(borrow);
        broken.at(
            borrow,
            format_args!(
                "an action can't borrow its inputs, since it outlives its caller: {owned}"
            ),
        );
    }
}

/// What to take instead of a borrow.
fn owned_instead_of(ty: &Type) -> String {
    let Type::Reference(reference) = plain(ty) else {
        return "take an owned type".into();
    };
    let text = |ty: &Type| ty.to_token_stream().to_string().replace(' ', "");
    let name = |ty: &Type| last_segment(ty).map(|segment| segment.ident.to_string());
    match plain(&reference.elem) {
        Type::Slice(slice) => format!("take `Vec<{}>`, not `{}`", text(&slice.elem), text(ty)),
        elem => match name(elem).as_deref() {
            Some("str") => "take `String`, not `&str`".into(),
            Some("Path") => "take `PathBuf`, not `&Path`".into(),
            Some("OsStr") => "take `OsString`, not `&OsStr`".into(),
            _ => format!("take `{0}`, or `Arc<{0}>` to share it", text(elem)),
        },
    }
}

/// The name of a parameter in the signature that callers see.
///
/// One that is called like the function would be hidden by it in the body of the expansion.
fn own_name(pattern: &Pat, index: usize, function: &Ident) -> Ident {
    match pattern {
        Pat::Ident(pattern) if pattern.subpat.is_none() && pattern.ident != *function => {
            let mut name = pattern.ident.clone();
            // The name is the user's, the variable is ours: code in the body can't see it.
            name.set_span(Span::mixed_site().located_at(name.span()));
            name
        }
        _ => format_ident!("input_{index}", span = Span::mixed_site()),
    }
}

fn returns(signature: &Signature, dotflow: &Path, broken: &mut Errors) -> Returns {
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
    if let (Some(condition), Returns::Output(_), false) = (&arguments.retry_if, returns, is_broken)
    {
        errors.at(
            condition,
            "`retry_if` looks at the error, but this function returns none: return \
             `Result<T, E>`, or leave `retry_if` out (panics and timeouts are retried without it)",
        );
    }
}

fn checkpoint(arguments: &Arguments, signature: &Signature, returns: &Returns) -> Checkpoint {
    let has_type_parameters = signature
        .generics
        .params
        .iter()
        .any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    match arguments.checkpoint {
        Some(true) => Checkpoint::Required,
        Some(false) => Checkpoint::Never,
        // Whether a type parameter can be stored is not known before it is filled in.
        None if has_type_parameters => Checkpoint::No,
        // A type that borrows is deserialized for one lifetime only; asking for all of them is an
        // error of the compiler instead of a "no".
        None if types::has_lifetime(returns.output().clone()) => Checkpoint::No,
        None => Checkpoint::Detect,
    }
}
