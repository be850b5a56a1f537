//! The method that tells the name of the action and how it is run.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use crate::{
    model::{CheckpointMode, Model, Returns},
    types,
};

/// The name of the action and how it is run: a constant, so that it costs nothing at run time.
pub(super) fn spec(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let dotflow = &model.arguments.dotflow;
    let name = model.name();
    let retry = retry(model);
    let timeout = model.arguments.timeout.map(|timeout| {
        let timeout = duration(timeout);
        quote_spanned!(site=> .timeout(#timeout))
    });
    let version =
        (model.arguments.version).map(|version| quote_spanned!(site=> .version(#version)));
    let may_overlap =
        (model.arguments.may_overlap.as_ref()).map(|_| quote_spanned!(site=> .may_overlap()));
    let blocks =
        (model.runs_on_the_blocking_pool()).then(|| quote_spanned!(site=> .on_blocking_pool()));
    let checkpoint = checkpoint(model);
    let is_output = is_output(model);
    quote_spanned! {site=>
        fn spec(&self) -> #dotflow::ActionSpec {
            #[allow(unused_imports)]
            use #dotflow::__private::ProbeFallback as _;
            #is_output
            const {
                #dotflow::ActionSpec::new(#name)
                    #retry #timeout #version #may_overlap #blocks #checkpoint
            }
        }
    }
}

/// A check that the output is not a `Result` under another name, whose errors would pass for outputs.
fn is_output(model: &Model) -> Option<TokenStream> {
    let dotflow = &model.arguments.dotflow;
    match (&model.returns, types::returned(&model.signature.output)) {
        (Returns::Output(output), Some(ty)) => {
            // A mistake is shown at the return type.
            let site = types::site_at(ty);
            Some(quote_spanned! {site=>
                #dotflow::__private::is_output(<#dotflow::__private::Probe<#output>>::RETURNED);
            })
        }
        _ => None,
    }
}

fn retry(model: &Model) -> Option<TokenStream> {
    let site = Span::mixed_site();
    let dotflow = &model.arguments.dotflow;
    let arguments = &model.arguments;
    let steps = [
        arguments
            .retry
            .map(|attempts| quote_spanned!(site=> .attempts(#attempts))),
        arguments.retry_delay.map(|delay| {
            let delay = duration(delay);
            quote_spanned!(site=> .delay(#delay))
        }),
        arguments
            .backoff
            .map(|factor| quote_spanned!(site=> .backoff(#factor))),
        arguments.max_delay.map(|delay| {
            let delay = duration(delay);
            quote_spanned!(site=> .max_delay(#delay))
        }),
        arguments
            .jitter
            .then(|| quote_spanned!(site=> .jitter(true))),
    ];
    let steps: Vec<TokenStream> = steps.into_iter().flatten().collect();
    (!steps.is_empty())
        .then(|| quote_spanned!(site=> .retry(#dotflow::RetryPolicy::new() #(#steps)*)))
}

fn duration(duration: Duration) -> TokenStream {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    quote_spanned!(Span::mixed_site()=> ::core::time::Duration::new(#seconds, #nanoseconds))
}

fn checkpoint(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let dotflow = &model.arguments.dotflow;
    let output = model.returns.output();
    let checkpoint = match model.checkpoint {
        CheckpointMode::Detect => {
            quote_spanned!(site=> <#dotflow::__private::Probe<#output>>::CHECKPOINT)
        }
        CheckpointMode::No => {
            quote_spanned!(site=> #dotflow::__private::Checkpoint::not_storable::<#output>())
        }
        CheckpointMode::Required => {
            quote_spanned!(site=> #dotflow::__private::Checkpoint::of::<#output>())
        }
        CheckpointMode::Never => quote_spanned!(site=> #dotflow::__private::Checkpoint::Never),
    };
    quote_spanned!(site=> .with_checkpoint(#checkpoint))
}
