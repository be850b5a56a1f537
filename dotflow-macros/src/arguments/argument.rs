//! One argument, `key` or `key = value`, and its value as the key takes it.

use std::time::Duration;

use proc_macro2::{Ident, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Expr, ExprLit, ExprUnary, Lit, Path, Token, UnOp,
    ext::IdentExt,
    parse::{ParseStream, discouraged::Speculative as _},
};

use super::keys::{all_keys, example, unknown_key, written};
use crate::duration;

/// One argument as it is written: `key`, or `key = value`.
pub(super) struct Argument {
    pub(super) key: Ident,
    value: Option<Expr>,
}

impl Argument {
    pub(super) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let start = input.fork();
        let Ok(key) = input.call(Ident::parse_any) else {
            let token: TokenTree = start.parse()?;
            return Err(syn::Error::new_spanned(
                token,
                format_args!("expected the name of a key: {}", all_keys()),
            ));
        };
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(Self { key, value: None });
        }
        let known = example(&key).is_some();
        if !known {
            return Err(syn::Error::new_spanned(&key, unknown_key(&key.to_string())));
        }
        let Ok(equals) = input.parse::<Token![=]>() else {
            let token: TokenTree = input.parse()?;
            return Err(syn::Error::new_spanned(
                token,
                format_args!("expected `=` or `,` here: write `{}`", written(&key)),
            ));
        };
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new_spanned(
                quote!(#key #equals),
                format_args!("the value is missing: write `{}`", written(&key)),
            ));
        }
        // A buffer within brackets that is left before its end makes the whole parse fail later
        // on. That of a fork does not.
        let ahead = input.fork();
        let value = match ahead.parse::<Expr>() {
            Ok(value) if ahead.is_empty() || ahead.peek(Token![,]) => value,
            _ => {
                let token: TokenTree = input.parse()?;
                return Err(syn::Error::new_spanned(
                    token,
                    format_args!("this value can't be read: write `{}`", written(&key)),
                ));
            }
        };
        input.advance_to(&ahead);
        Ok(Self {
            key,
            value: Some(value),
        })
    }

    /// A mistake in the value, or in the key where there is no value.
    fn wrong(&self, message: impl std::fmt::Display) -> syn::Error {
        match &self.value {
            Some(value) => syn::Error::new_spanned(value, message),
            None => syn::Error::new_spanned(&self.key, message),
        }
    }

    /// The value is of another kind than the key takes.
    fn expected(&self, what: &str) -> syn::Error {
        let (key, written) = (&self.key, written(&self.key));
        self.wrong(format_args!("`{key}` takes {what}: write `{written}`"))
    }

    pub(super) fn attempts(&self) -> syn::Result<u32> {
        self.count(
            "the number of attempts in total",
            "`retry = 1` means no further attempt",
        )
    }

    pub(super) fn version(&self) -> syn::Result<u32> {
        self.count(
            "the version of what the action does",
            "1 is what it has without `version`",
        )
    }

    /// A whole number from 1, which is `what`; `one` says what 1 means.
    fn count(&self, what: &str, one: &str) -> syn::Result<u32> {
        let key = &self.key;
        let number = self.number();
        let Some(Number { digits, .. }) =
            number.filter(|number| number.whole && number.unit.is_empty())
        else {
            return Err(self.expected(&format!("{what}, a whole number from 1")));
        };
        if digits.starts_with('-') {
            return Err(self.wrong(format_args!("`{key}` is {what}: it can't be negative")));
        }
        match digits.parse() {
            Ok(0) => Err(self.wrong(format_args!(
                "`{key}` is {what}, so it is at least 1: {one}"
            ))),
            Ok(count) => Ok(count),
            Err(_) => Err(self.wrong(format_args!(
                "`{key}` is too large: the most is {}",
                u32::MAX
            ))),
        }
    }

    pub(super) fn duration(&self) -> syn::Result<Duration> {
        if let Some(Lit::Str(text)) = self.literal() {
            return duration::from_text(&text.value()).map_err(|message| self.wrong(message));
        }
        match self.number() {
            Some(Number { digits, unit, .. }) if unit.is_empty() => {
                duration::from_seconds(&digits).map_err(|message| self.wrong(message))
            }
            Some(Number { digits, unit, .. }) => Err(self.wrong(format_args!(
                "a duration with a unit is a string: write `{} = \"{digits}{unit}\"`",
                self.key
            ))),
            None => Err(self.expected("a number of seconds or a string with units")),
        }
    }

    pub(super) fn timeout(&self) -> syn::Result<Duration> {
        let timeout = self.duration()?;
        if timeout.is_zero() {
            return Err(self.wrong(
                "with a timeout of 0 every attempt fails: leave `timeout` out for no limit",
            ));
        }
        Ok(timeout)
    }

    pub(super) fn factor(&self) -> syn::Result<f64> {
        const LARGEST: f64 = 1000.0;
        if self.value.is_none() {
            return Ok(2.0);
        }
        let what = "the factor on each further delay, a number from 1";
        let Some(Number { digits, unit, .. }) = self.number() else {
            return Err(self.expected(what));
        };
        match digits.parse::<f64>() {
            _ if !unit.is_empty() => Err(self.expected(what)),
            Ok(factor) if (1.0..=LARGEST).contains(&factor) => Ok(factor),
            Ok(factor) if factor > LARGEST => Err(self.wrong(format_args!(
                "`backoff` is too large: the most is {LARGEST}"
            ))),
            Ok(_) => Err(self.wrong(
                "`backoff` is at least 1: delays would shrink otherwise, and `backoff = 1` \
                 keeps them equal",
            )),
            Err(_) => Err(self.expected(what)),
        }
    }

    pub(super) fn flag(&self) -> syn::Result<bool> {
        match (&self.value, self.literal()) {
            (None, _) => Ok(true),
            (_, Some(Lit::Bool(flag))) => Ok(flag.value),
            _ => Err(self.wrong(format_args!(
                "`{0}` is either on or off: write `{0}` or `{0} = false`",
                self.key
            ))),
        }
    }

    pub(super) fn string(&self) -> syn::Result<String> {
        match self.literal() {
            Some(Lit::Str(text)) if text.value().trim().is_empty() => {
                Err(self.wrong("the name is empty: leave `name` out for the name of the function"))
            }
            Some(Lit::Str(text)) => Ok(text.value()),
            _ => Err(self.expected("a string")),
        }
    }

    pub(super) fn path(&self) -> syn::Result<Path> {
        match self.value.as_ref().map(inside_groups) {
            Some(Expr::Path(path)) if path.qself.is_none() => Ok(path.path.clone()),
            _ => Err(self.expected("the path of a function `fn(&Error) -> bool`")),
        }
    }

    pub(super) fn absolute_path(&self) -> syn::Result<Path> {
        let relative = |path: &Path| {
            path.leading_colon.is_none()
                && path.segments.first().is_none_or(|first| {
                    // `$crate` is what a path inside `macro_rules!` begins with.
                    first.ident != "crate" && first.ident != "$crate"
                })
        };
        let what = "the absolute path of dotflow";
        match self.value.as_ref().map(inside_groups) {
            Some(Expr::Path(path)) if relative(&path.path) => {
                let path = path.to_token_stream().to_string().replace(' ', "");
                Err(self.wrong(format_args!(
                    "`crate` takes an absolute path, since actions stand in many modules: write \
                     `crate = ::{path}` or `crate = crate::{path}`"
                )))
            }
            Some(Expr::Path(_)) => self.path(),
            _ => Err(self.expected(what)),
        }
    }

    fn literal(&self) -> Option<&Lit> {
        match inside_groups(self.value.as_ref()?) {
            Expr::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        }
    }

    fn number(&self) -> Option<Number> {
        let (sign, literal) = match inside_groups(self.value.as_ref()?) {
            Expr::Lit(ExprLit { lit, .. }) => ("", lit),
            Expr::Unary(ExprUnary {
                op: UnOp::Neg(_),
                expr,
                ..
            }) => match inside_groups(expr) {
                Expr::Lit(ExprLit { lit, .. }) => ("-", lit),
                _ => return None,
            },
            _ => return None,
        };
        match literal {
            Lit::Int(number) => Some(Number {
                digits: format!("{sign}{}", number.base10_digits()),
                whole: true,
                unit: unit(number.suffix()),
            }),
            Lit::Float(number) => Some(Number {
                digits: format!("{sign}{}", number.base10_digits()),
                whole: false,
                unit: unit(number.suffix()),
            }),
            _ => None,
        }
    }
}

struct Number {
    digits: String,
    whole: bool,
    /// What is glued to the number, as the `s` of `30s`.
    unit: String,
}

/// The suffix of a number, where it is not merely its Rust type.
fn unit(suffix: &str) -> String {
    let is_type = matches!(
        suffix,
        "u8" | "u16"
            | "u32"
            | "u64"
            | "usize"
            | "i8"
            | "i16"
            | "i32"
            | "i64"
            | "isize"
            | "f32"
            | "f64"
    );
    if is_type {
        String::new()
    } else {
        suffix.into()
    }
}

/// The expression without the invisible delimiters that `macro_rules!` puts around it.
fn inside_groups(mut value: &Expr) -> &Expr {
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    value
}
