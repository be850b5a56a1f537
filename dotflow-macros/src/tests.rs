//! The macro on tokens: snapshots of what it expands to, and what an editor needs of it while a
//! function is being typed.

mod random;

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use crate::attribute::expand_action;

fn pretty(arguments: TokenStream, item: TokenStream) -> String {
    let expansion = expand_action(arguments, item);
    let file = syn::parse2(expansion).expect("the expansion consists of items");
    prettyplease::unparse(&file)
}

#[test]
fn minimal_action() {
    insta::assert_snapshot!(pretty(
        quote!(),
        quote! {
            fn extract() -> Vec<u32> {
                vec![3, 5, 8]
            }
        },
    ));
}

#[test]
fn action_with_everything() {
    insta::assert_snapshot!(pretty(
        quote! {
            retry = 3,
            retry_delay = "500ms",
            backoff = 2.0,
            max_delay = "1m",
            jitter,
            retry_if = LoadError::is_transient,
            timeout = 30,
            name = "load sales",
            checkpoint,
            version = 2,
            may_overlap,
            inline = false,
            crate = ::renamed
        },
        quote! {
            /// Loads the rows.
            #[tracing::instrument]
            #[deprecated(note = "use `store`")]
            pub(crate) fn r#load<T: Row, const BATCH: usize>(
                mut table: String,
                rows: PreviousContext<Vec<T>>,
                (user, _): (User, u32),
                audit: Result<PreviousContext<Audit>, TaskError>,
                task: TaskContext,
            ) -> Result<Receipt<T>, LoadError>
            where
                T: Clone,
            {
                #![allow(unused_mut)]
                insert::<T, BATCH>(&mut table, rows, user, audit, task)
            }
        },
    ));
}

#[test]
fn inline_action_with_an_alias_of_result() {
    insta::assert_snapshot!(pretty(
        quote!(inline),
        quote! {
            fn parse(text: PreviousContext<String>) -> io::Result<u32> {
                text.parse().map_err(io::Error::other)
            }
        },
    ));
}

#[test]
fn action_with_a_rejected_signature() {
    insta::assert_snapshot!(pretty(
        quote!(retry = 0),
        quote! {
            unsafe fn load<'a>(table: &'a str, previous: &PreviousContext<u32>) -> Cow<'a, str> {
                table.into()
            }
        },
    ));
}

/// All identifiers in the tokens.
fn words(tokens: TokenStream) -> BTreeSet<String> {
    let words = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(word) => BTreeSet::from([word.to_string()]),
        TokenTree::Group(group) => words(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => BTreeSet::new(),
    });
    words.flatten().collect()
}

/// A name that the expansion declares is told by its `__`: nobody calls a constant so. All others
/// are keywords, or are looked up in a place where only dotflow has names.
#[test]
fn names_of_the_expansion_are_its_own() {
    let arguments = quote! {
        retry = 3, retry_delay = 1, backoff, max_delay = 9, jitter, retry_if = is, timeout = 3
    };
    let plain = quote! {
        fn f<T: Row, const N: usize>(
            a: T, (b, c): (u8, u8), _: u8, d: PreviousContext<T>, e: Arc<dyn Db>, _: TaskContext
        ) -> Result<T, E> {}
    };
    let others = [
        quote!(
            async fn f(a: PreviousContext<u8>, b: Arc<dyn Db>) -> u8 {}
        ),
        quote!(
            fn f(&self, (a, b): (u8, u8), c: PreviousContext<u8>) {}
        ),
        quote!(
            unsafe fn f(a: &str, (b, c): (u8, u8), d: PreviousContext<u8>) {}
        ),
    ];
    let cases = others.map(|item| (quote!(), item));
    for (arguments, item) in [(arguments, plain)].into_iter().chain(cases) {
        let given = words(quote!(#arguments #item));
        let expansion = words(expand_action(arguments, item));
        let declared: Vec<&String> = expansion
            .difference(&given)
            .filter(|word| !word.starts_with("__") && !KNOWN.contains(&word.as_str()))
            .collect();
        assert_eq!(declared, Vec::<&String>::new());
    }
}

/// Keywords, attributes, segments behind the first one of an absolute path, methods and associated
/// types of traits and structs of dotflow.
const KNOWN: &[&str] = &[
    "Action",
    "ActionSpec",
    "CHECKPOINT",
    "KEEP",
    "Checkpoint",
    "Duration",
    "Future",
    "Inputs",
    "Keeping",
    "KeepingFallback",
    "Keeps",
    "Ok",
    "Output",
    "PhantomData",
    "Probe",
    "ProbeFallback",
    "RETURNED",
    "Result",
    "RetryPolicy",
    "Self",
    "Send",
    "Sync",
    "TaskContext",
    "TaskError",
    "_",
    "action",
    "allow",
    "as",
    "async",
    "attempt",
    "attempts",
    "automatically_derived",
    "await",
    "blocking",
    "call",
    "clippy",
    "cloned",
    "compile_error",
    "const",
    "core",
    "delay",
    "diagnostic",
    "do_not_recommend",
    "dotflow",
    "fn",
    "for",
    "from_fn",
    "future",
    "impl",
    "is_output",
    "keep",
    "label",
    "large_types_passed_by_value",
    "let",
    "marker",
    "message",
    "move",
    "needless_pass_by_value",
    "new",
    "not_storable",
    "of",
    "offloaded",
    "on_blocking_pool",
    "on_unimplemented",
    "outcome",
    "outcome_if",
    "own",
    "pending",
    "result",
    "retry_if",
    "self",
    "shared",
    "spec",
    "static",
    "struct",
    "time",
    "too_many_arguments",
    "trait",
    "true",
    "type",
    "unnecessary_box_returns",
    "unnecessary_wraps",
    "unused",
    "unused_async",
    "unused_imports",
    "use",
    "variable",
    "with_checkpoint",
    "where",
];

/// The tokens of the function inside of the expansion, as far as its body goes.
fn keeps(arguments: TokenStream, item: TokenStream, body: &TokenStream) -> bool {
    let expansion = expand_action(arguments, item).to_string();
    expansion.contains(&format!("{{ {body} }}"))
}

#[test]
fn a_body_that_is_being_typed_is_handed_on() {
    let bodies = [
        // A method that is not chosen yet: this is where an editor completes.
        quote!(previous.),
        quote!(let sum = ; sum),
        quote!(if previous.is_empty() {} else),
        quote!(match previous { Some(x) => , }),
        quote!(let rows = previous.iter().map(|row| row.); rows),
    ];
    for body in bodies {
        let item = quote! {
            async fn load(previous: PreviousContext<Vec<u32>>) -> u32 { #body }
        };
        let expansion = expand_action(quote!(), item.clone()).to_string();
        assert!(!expansion.contains("compile_error"), "{body}: {expansion}");
        assert!(keeps(quote!(), item.clone(), &body), "{body}");
        // Arguments that are being typed as well.
        for arguments in [
            quote!(retry =),
            quote!(ret),
            quote!(timeout = 30s 5),
            quote!(retry = 3,),
        ] {
            assert!(keeps(arguments, item.clone(), &body), "{body}");
        }
    }
}

#[test]
fn callers_find_the_action_whatever_is_wrong() {
    let action = "fn load (table : String) -> impl :: dotflow :: Action";
    let body = quote!(table.len());
    let items = [
        quote!(unsafe fn load(table: String) -> usize { #body }),
        quote!(const fn load(table: String) -> usize { #body }),
        quote!(extern "C" fn load(table: String) -> usize { #body }),
        quote!(fn load(table: String, previous: &PreviousContext<u32>) -> usize { #body }),
        quote!(fn load(table: String) -> &str { #body }),
        quote!(fn load(table: String) -> impl Iterator { #body }),
        quote!(fn load(table: String) -> ! { #body }),
    ];
    for item in items {
        let expansion = expand_action(quote!(), item.clone()).to_string();
        assert!(expansion.contains("compile_error"), "{item}");
        assert!(expansion.contains(action), "{item}: {expansion}");
        assert!(keeps(quote!(), item.clone(), &body), "{item}");
    }
    let method = quote!(fn load(&self, table: String) -> usize { #body });
    let expansion = expand_action(quote!(), method.clone()).to_string();
    assert!(expansion.contains("compile_error"), "{expansion}");
    let action = "fn load (& self , table : String) -> impl :: dotflow :: Action";
    assert!(expansion.contains(action), "{expansion}");
    assert!(keeps(quote!(), method, &body));
    let others = quote!(fn load(other: Self, table: &str) -> usize { #body });
    let expansion = expand_action(quote!(), others.clone()).to_string();
    let action = "fn load (other : Self , table : & str) -> impl :: dotflow :: Action";
    assert!(expansion.contains(action), "{expansion}");
    assert!(keeps(quote!(), others, &body));
    let action = "fn load (table : String) -> impl :: dotflow :: Action";
    let item = quote!(fn load(table: String) -> usize { #body });
    for arguments in [
        quote!(retries = 3),
        quote!(retry),
        quote!(= 3),
        quote!(crate = dotflow),
    ] {
        let expansion = expand_action(arguments.clone(), item.clone()).to_string();
        assert!(expansion.contains("compile_error"), "{arguments}");
        assert!(expansion.contains(action), "{arguments}: {expansion}");
    }
}

#[test]
fn an_item_that_is_no_function_stays() {
    for item in [
        quote!(
            struct Load {
                table: String,
            }
        ),
        quote!(
            fn load(&self) -> usize;
        ),
        quote!(
            fn load(&self, other: impl Table) -> usize {
                self.table.len()
            }
        ),
    ] {
        let expansion = expand_action(quote!(), item.clone()).to_string();
        assert!(expansion.starts_with(&item.to_string()), "{expansion}");
        assert!(expansion.contains("compile_error"), "{expansion}");
    }
}

/// `DOTFLOW_RANDOM=400000` has as many attributes tried; `DOTFLOW_SEED` repeats a run.
#[test]
fn random_tokens_neither_panic_nor_take_the_function_away() {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let count = number("DOTFLOW_RANDOM").unwrap_or(5_000);
    let seed = number("DOTFLOW_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("DOTFLOW_RANDOM={count} DOTFLOW_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..count {
        let mut bytes = [0; 64];
        random.fill(&mut bytes);
        if let Err(message) = random::expand_random(&bytes, expand_action) {
            panic!("{message}");
        }
    }
}
