//! Reads what stands in the parentheses of `#[action(…)]`.
//!
//! A key with a mistake is left at its default and the next one is read, so that all mistakes are
//! reported at once and the action still expands.

mod argument;
mod keys;

use std::time::Duration;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Path, Token,
    parse::{ParseStream, Parser},
    parse_quote,
};

use self::{argument::Argument, keys::unknown_key};
use crate::errors::Errors;

/// The arguments of one `#[action(…)]`, checked each for itself.
pub(crate) struct Arguments {
    pub(crate) retry: Option<u32>,
    pub(crate) retry_delay: Option<Duration>,
    pub(crate) backoff: Option<f64>,
    pub(crate) max_delay: Option<Duration>,
    pub(crate) jitter: bool,
    pub(crate) retry_if: Option<Path>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) name: Option<String>,
    /// `true` demands that the output can be stored, `false` that it is not.
    pub(crate) checkpoint: Option<bool>,
    pub(crate) version: Option<u32>,
    /// The key itself, for messages.
    pub(crate) may_overlap: Option<Ident>,
    /// The key itself, for messages.
    pub(crate) inline: Option<Ident>,
    /// Where dotflow is found, by an absolute path.
    pub(crate) dotflow: Path,
}

impl Arguments {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut arguments = Self {
            retry: None,
            retry_delay: None,
            backoff: None,
            max_delay: None,
            jitter: false,
            retry_if: None,
            timeout: None,
            name: None,
            checkpoint: None,
            version: None,
            may_overlap: None,
            inline: None,
            dotflow: parse_quote!(::dotflow),
        };
        let mut seen = Vec::new();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match Argument::parse(input) {
                    Ok(argument) if seen.contains(&argument.key) => errors.at(
                        &argument.key,
                        format_args!("`{}` is given twice: keep one", argument.key),
                    ),
                    Ok(argument) => {
                        seen.push(argument.key.clone());
                        if let Err(error) = arguments.set(argument) {
                            errors.add(error);
                        }
                    }
                    Err(error) => errors.add(error),
                }
                skip_to_next(input);
            }
            Ok(())
        };
        // All tokens were read, but some within brackets may have been left out.
        if let Err(error) = read.parse2(tokens) {
            errors.add(error);
        }
        arguments
    }

    fn set(&mut self, argument: Argument) -> syn::Result<()> {
        match argument.key.to_string().as_str() {
            "retry" => self.retry = Some(argument.attempts()?),
            "retry_delay" => self.retry_delay = Some(argument.duration()?),
            "backoff" => self.backoff = Some(argument.factor()?),
            "max_delay" => self.max_delay = Some(argument.duration()?),
            "jitter" => self.jitter = argument.flag()?,
            "retry_if" => self.retry_if = Some(argument.path()?),
            "timeout" => self.timeout = Some(argument.timeout()?),
            "name" => self.name = Some(argument.string()?),
            "checkpoint" => self.checkpoint = Some(argument.flag()?),
            "version" => self.version = Some(argument.version()?),
            "may_overlap" => self.may_overlap = argument.flag()?.then_some(argument.key),
            "inline" => self.inline = argument.flag()?.then_some(argument.key),
            "crate" => self.dotflow = argument.absolute_path()?,
            unknown => return Err(syn::Error::new_spanned(&argument.key, unknown_key(unknown))),
        }
        Ok(())
    }
}

/// Goes behind the next comma.
fn skip_to_next(input: ParseStream<'_>) {
    while !input.is_empty() {
        if input
            .parse::<Option<Token![,]>>()
            .is_ok_and(|comma| comma.is_some())
        {
            return;
        }
        // Anything else is what is left of an argument with a mistake in it.
        let _ = input.parse::<TokenTree>();
    }
}
