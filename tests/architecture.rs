//! The shape of the code: which module may import which, and which crate may depend on which.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The modules of `dotflow`, in the order in which `lib.rs` declares them.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string(root().join("dotflow/src/lib.rs")).unwrap();
    lib.lines()
        .filter_map(|line| {
            line.strip_prefix("pub ")
                .unwrap_or(line)
                .strip_prefix("mod ")
        })
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect()
}

/// All files of a module: its own, and those in its folder.
fn files(module: &str) -> Vec<(String, String)> {
    let source = root().join("dotflow/src");
    let file = module.trim_start_matches('_');
    let own = source.join(format!("{file}.rs"));
    let folder = fs::read_dir(source.join(file)).into_iter().flatten();
    let below = folder.map(|entry| entry.unwrap().path());
    let all = [own].into_iter().chain(below).filter(|path| path.is_file());
    all.map(|path| {
        (
            path.display().to_string(),
            fs::read_to_string(&path).unwrap(),
        )
    })
    .collect()
}

/// The modules that a text names by `crate::<module>`, also in a list of imports.
fn named(text: &str, modules: &[String]) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for (position, _) in code.match_indices("crate::") {
        let rest = &code[position + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            // The first names of a list, at its outer level.
            Some(list) => {
                let mut depth = 0;
                let end = list.find(|character| {
                    match character {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    depth < 0
                });
                outer_names(&list[..end.unwrap()])
            }
            None => vec![rest],
        };
        for name in names {
            let name: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if modules.contains(&name) {
                found.insert(name);
            }
        }
    }
    found
}

fn outer_names(list: &str) -> Vec<&str> {
    let mut depth = 0;
    list.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    })
    .collect()
}

#[test]
fn a_module_imports_only_from_those_declared_below_it() {
    let modules = modules();
    assert!(modules.len() > 15, "{modules:?}");
    let mut seen = 0;
    for (place, module) in modules.iter().enumerate() {
        let files = files(module);
        assert!(!files.is_empty(), "{module} has no file");
        for (path, text) in files {
            for imported in named(&text, &modules) {
                let declared = modules
                    .iter()
                    .position(|module| *module == imported)
                    .unwrap();
                assert!(
                    declared > place || imported == *module,
                    "{path} imports {imported}, which lib.rs declares above {module}"
                );
                seen += 1;
            }
        }
    }
    assert!(
        seen > 40,
        "only {seen} imports were found: does this test still see them?"
    );
}

#[test]
fn imports_in_lists_are_seen() {
    let modules: Vec<String> = ["error", "spans", "run", "task"].map(String::from).to_vec();
    let text = "use crate::{\n    error::{Error, run::No},\n    spans,\n}; // crate::run\nlet x = crate::task::X;";
    assert_eq!(
        named(text, &modules),
        ["error", "spans", "task"].map(String::from).into()
    );
}

/// The names of all crates that one of ours is built from, without those of its tests.
fn tree(package: &str, depth: Option<&str>) -> BTreeSet<String> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let mut command = Command::new(cargo);
    command.current_dir(root()).args([
        "tree",
        "--offline",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    command.args(["--package", package, "--format", "{p}"]);
    if let Some(depth) = depth {
        command.args(["--depth", depth]);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

fn ours(package: &str) -> BTreeSet<String> {
    let direct = tree(package, Some("1"));
    direct
        .into_iter()
        .filter(|name| name.starts_with("dotflow") && name != package)
        .collect()
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    assert_eq!(ours("dotflow"), ["dotflow-macros".to_owned()].into());
    assert_eq!(ours("dotflow-otel"), ["dotflow".to_owned()].into());
    assert_eq!(ours("dotflow-macros"), BTreeSet::new());
    let macros = tree("dotflow-macros", Some("1"));
    let allowed = ["dotflow-macros", "proc-macro2", "quote", "syn"].map(str::to_owned);
    assert_eq!(macros, allowed.into());
}

#[test]
fn the_core_knows_nothing_of_opentelemetry_and_is_small() {
    let crates = tree("dotflow", None);
    assert!(
        !crates.iter().any(|name| name.contains("opentelemetry")),
        "{crates:?}"
    );
    assert!(crates.contains("tokio"));
    assert!(crates.len() <= 40, "{} crates: {crates:?}", crates.len());
}
