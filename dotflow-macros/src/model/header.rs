//! What stands around the parameters: attributes, qualifiers and type parameters.

use syn::{Attribute, GenericParam, Meta, Signature};

use crate::errors::Errors;

pub(super) fn is_about_the_action(attribute: &Attribute) -> bool {
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
pub(super) fn without_second_action(
    attributes: Vec<Attribute>,
    errors: &mut Errors,
) -> Vec<Attribute> {
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

pub(super) fn is_bare_must_use(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::Path(path) if path.is_ident("must_use"))
}

pub(super) fn check_qualifiers(signature: &Signature, broken: &mut Errors) {
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

pub(super) fn check_generics(signature: &Signature, broken: &mut Errors) {
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
