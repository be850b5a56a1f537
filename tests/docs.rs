//! The documentation of the published crates: every public function says how it is used, how it
//! fails and when it panics. The sources are read, so that a new one that says nothing is seen.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use quote::ToTokens;
use syn::{
    Attribute, Block, Expr, ExprLit, ImplItem, Item, ItemImpl, Lit, LitStr, Meta, Signature, Stmt,
    Visibility,
};

/// The crates that are published.
const PUBLISHED: [&str; 4] = [
    "dotflow",
    "dotflow-macros",
    "dotflow-otel",
    "dotflow-report",
];

/// What is public by its words only: the expansion of `#[action]` or a fuzz target calls it, and
/// nobody else can name it.
const HIDDEN: [&str; 5] = [
    "dotflow/src/private.rs",
    "dotflow/src/private/own.rs",
    "dotflow/src/action/codec.rs",
    "dotflow/src/action/value.rs",
    "dotflow-macros/src/attribute.rs",
];

/// A public function or method.
struct Function {
    /// Its file, type and name.
    place: String,
    name: String,
    docs: String,
    /// Whether its body only hands out a field.
    is_trivial: bool,
    returns: String,
    body: String,
}

impl Function {
    /// Whether it has an example that asserts.
    fn has_example(&self) -> bool {
        let mut parts = self.docs.split("```").skip(1).step_by(2);
        parts.any(|code| code.contains("assert"))
    }

    fn has_section(&self, name: &str) -> bool {
        let heading = format!("# {name}");
        self.docs.lines().any(|line| line.trim() == heading)
    }

    fn asserts(&self) -> bool {
        ["assert !", "panic !", "assert_eq !", "assert_ne !"]
            .iter()
            .any(|call| self.body.contains(call))
    }

    /// Whether it calls a method of this name.
    fn calls(&self, name: &str) -> bool {
        self.body.contains(&format!(". {name} ("))
    }
}

/// All public functions of one of our crates.
fn functions(package: &str) -> Vec<Function> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut functions = Vec::new();
    for path in sources(&root.join(package).join("src")) {
        let file = path.strip_prefix(root).unwrap();
        let file = file.display().to_string().replace('\\', "/");
        if HIDDEN.contains(&file.as_str()) {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let parsed = syn::parse_file(&source).unwrap_or_else(|error| panic!("{file}: {error}"));
        collect(&file, parsed.items, &mut functions);
    }
    functions
}

fn sources(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path);
        }
    }
    found
}

fn collect(file: &str, items: Vec<Item>, functions: &mut Vec<Function>) {
    for item in items {
        match item {
            Item::Fn(item) if is_public(&item.vis, &item.attrs) => {
                functions.push(function(file, &item.attrs, &item.sig, &item.block));
            }
            Item::Impl(item) if item.trait_.is_none() && !is_hidden(&item.attrs) => {
                collect_methods(file, item, functions);
            }
            Item::Mod(item) if is_public(&item.vis, &item.attrs) => {
                let items = item.content.map(|(_, items)| items);
                collect(file, items.unwrap_or_default(), functions);
            }
            _ => {}
        }
    }
}

fn collect_methods(file: &str, item: ItemImpl, functions: &mut Vec<Function>) {
    let owner = item.self_ty.to_token_stream().to_string();
    let place = format!("{file} {}", owner.replace(' ', ""));
    for item in item.items {
        if let ImplItem::Fn(item) = item
            && is_public(&item.vis, &item.attrs)
        {
            functions.push(function(&place, &item.attrs, &item.sig, &item.block));
        }
    }
}

fn is_public(visibility: &Visibility, attributes: &[Attribute]) -> bool {
    matches!(visibility, Visibility::Public(_)) && !is_hidden(attributes)
}

/// Whether it is `#[doc(hidden)]`, or there for tests only.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("doc") => list.tokens.to_string() == "hidden",
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

fn function(
    place: &str,
    attributes: &[Attribute],
    signature: &Signature,
    body: &Block,
) -> Function {
    let docs = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(line) if line.path.is_ident("doc") => Some(&line.value),
            _ => None,
        });
    Function {
        place: format!("{place}::{}", signature.ident),
        name: signature.ident.to_string(),
        docs: docs.map(|line| text(place, line) + "\n").collect(),
        is_trivial: matches!(&*body.stmts, [Stmt::Expr(hands_out, None)] if is_field(hands_out)),
        returns: signature.output.to_token_stream().to_string(),
        body: body.to_token_stream().to_string(),
    }
}

/// What a line of documentation says, or the file that it includes.
fn text(place: &str, line: &Expr) -> String {
    match line {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => text.value(),
        Expr::Macro(include) => {
            let file: LitStr = include.mac.parse_body().unwrap();
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let folder = root.join(place).parent().unwrap().to_owned();
            fs::read_to_string(folder.join(file.value())).unwrap()
        }
        _ => panic!("{place}: documentation of an unknown form"),
    }
}

/// Whether an expression is a part of `self`, perhaps seen as another type.
fn is_field(expression: &Expr) -> bool {
    match expression {
        Expr::Path(path) => path.path.is_ident("self"),
        Expr::Field(field) => is_field(&field.base),
        Expr::Reference(reference) => is_field(&reference.expr),
        Expr::Unary(unary) => is_field(&unary.expr),
        Expr::Cast(cast) => is_field(&cast.expr),
        Expr::MethodCall(call) => call.args.is_empty() && is_field(&call.receiver),
        _ => false,
    }
}

/// The functions of a crate that do more than hand out a field, and have no example.
fn without_example(package: &str) -> Vec<String> {
    let functions = functions(package).into_iter();
    functions
        .filter(|function| !function.is_trivial && !function.has_example())
        .map(|function| function.place)
        .collect()
}

#[test]
fn public_functions_have_examples() {
    let counted = functions("dotflow");
    let examples = counted.iter().filter(|function| function.has_example());
    println!("{} of {} have an example", examples.count(), counted.len());
    assert!(counted.len() > 100, "does this test still see them?");
    for package in PUBLISHED {
        let without = without_example(package);
        println!("{package}: {} without an example", without.len());
        assert!(
            without.is_empty(),
            "these need an example that asserts:\n{}",
            without.join("\n")
        );
    }
}

#[test]
fn public_functions_say_how_they_fail() {
    for package in PUBLISHED {
        let functions = functions(package).into_iter();
        let silent: Vec<String> = functions
            .filter(|function| function.returns.contains("Result <"))
            .filter(|function| !function.has_section("Errors"))
            .map(|function| function.place)
            .collect();
        assert!(silent.is_empty(), "no `# Errors`:\n{}", silent.join("\n"));
    }
}

#[test]
fn public_functions_say_when_they_panic() {
    for package in PUBLISHED {
        let functions = functions(package);
        // A method that hands its argument on to one that asserts panics as well.
        let asserting: BTreeSet<&str> = functions
            .iter()
            .filter(|function| function.asserts())
            .map(|function| function.name.as_str())
            .collect();
        let silent: Vec<&str> = functions
            .iter()
            .filter(|function| {
                function.asserts() || asserting.iter().any(|name| function.calls(name))
            })
            .filter(|function| !function.has_section("Panics"))
            .map(|function| function.place.as_str())
            .collect();
        assert!(silent.is_empty(), "no `# Panics`:\n{}", silent.join("\n"));
    }
}
