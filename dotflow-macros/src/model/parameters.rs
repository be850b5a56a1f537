//! Where the value of each parameter comes from.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::{Attribute, FnArg, Pat, Signature, Type, TypeReference};

use crate::{
    errors::Errors,
    names::Names,
    types::{contains_word, find, find_borrow, is_named, last_segment, plain, type_arguments},
};

/// As many previous contexts as the traits of `dotflow` are implemented for.
pub(super) const MOST_PREVIOUS_CONTEXTS: usize = 8;

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

pub(super) fn parameters(
    signature: &Signature,
    names: &Names,
    broken: &mut Errors,
) -> Vec<Parameter> {
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
        let name = own_name(&input.pat, &signature.ident)
            .filter(|name| {
                parameters
                    .iter()
                    .all(|other| other.role != Role::Own(name.clone()))
            })
            .unwrap_or_else(|| names.fresh(&format!("__input_{index}"), Span::mixed_site()));
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
    } else if let Some((bound, instead)) = bound_to_its_thread(ty) {
        broken.at(
            bound,
            format_args!(
                "an action can't keep this input, since its attempts run on any thread: {instead}"
            ),
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

/// A type of the standard library that makes the input one for a single thread, and what to take
/// instead.
///
/// The compiler would find it as well, in half a dozen errors that start with a future that nobody
/// wrote.
fn bound_to_its_thread(ty: &Type) -> Option<(&Type, &'static str)> {
    if let Some(counted) = find(ty, "Rc") {
        return Some((counted, "take `Arc<T>`, not `Rc<T>`"));
    }
    let shared = last_segment(ty)
        .filter(|segment| segment.ident == "Arc")
        .and_then(|segment| type_arguments(segment).next());
    let inner = shared.unwrap_or(ty);
    ["RefCell", "Cell"]
        .iter()
        .any(|name| is_named(inner, name))
        .then_some((
            inner,
            "take `Mutex<T>`, `RwLock<T>` or an atomic, in an `Arc`",
        ))
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

/// The name of a parameter in the signature that callers see, if it has one of its own.
///
/// One that is called like the function would be hidden by it in the body of the expansion.
fn own_name(pattern: &Pat, function: &Ident) -> Option<Ident> {
    match pattern {
        Pat::Ident(pattern) if pattern.subpat.is_none() && pattern.ident != *function => {
            let mut name = pattern.ident.clone();
            // The name is the user's, the variable is ours: code in the body can't see it.
            name.set_span(Span::mixed_site().located_at(name.span()));
            Some(name)
        }
        _ => None,
    }
}
