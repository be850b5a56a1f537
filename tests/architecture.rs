//! The shape of the code: which file may import from which, what may be named where, how large files
//! are, and which crate may depend on which.

#[path = "architecture/source.rs"]
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use crate::source::{Names, Source};

/// The crates that are published.
const PUBLISHED: [&str; 4] = [
    "dotflow",
    "dotflow-macros",
    "dotflow-otel",
    "dotflow-report",
];

/// Those whose files import in one direction.
const LAYERED: &[&str] = &["dotflow", "dotflow-otel", "dotflow-report"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn folder(package: &str) -> PathBuf {
    root().join(package).join("src")
}

/// The imports that go up: from a module to one that is declared above it, in `lib.rs` or in the
/// file of the module that both belong to.
fn imports_upwards(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (from, to) in source.arrows() {
        let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        // A parent and its child are in no order: only a circle is refused.
        let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) else {
            continue;
        };
        let parent = source.file(&from[..shared]);
        let place = |child| parent.children.iter().position(|name| name == child);
        if place(a) > place(b) {
            found.push(format!(
                "{} imports from {}, but {} declares `{b}` above `{a}`",
                source.file(from).path,
                source.file(to).path,
                parent.path
            ));
        }
    }
    found
}

/// A circle of files, each of which imports from the next one.
fn circle(source: &Source) -> Option<String> {
    let mut arrows: BTreeMap<&Names, BTreeSet<&Names>> = BTreeMap::new();
    for (from, to) in source.arrows() {
        arrows.entry(from).or_default().insert(to);
    }
    // What imports only from files that are in no circle is in none either.
    loop {
        let open: BTreeSet<&Names> = arrows.keys().copied().collect();
        arrows.retain(|_, targets| targets.iter().any(|target| open.contains(*target)));
        if arrows.len() == open.len() {
            break;
        }
    }
    let mut way = vec![*arrows.keys().next()?];
    loop {
        let targets = &arrows[way.last()?];
        let next = targets.iter().find(|target| arrows.contains_key(*target))?;
        if let Some(start) = way.iter().position(|file| file == next) {
            let files = way[start..].iter().chain([next]);
            let files: Vec<&str> = files.map(|file| &*source.file(file).path).collect();
            return Some(files.join(" → "));
        }
        way.push(next);
    }
}

#[test]
fn files_import_only_from_modules_that_are_declared_below_them() {
    for package in LAYERED {
        let source = Source::of(&folder(package));
        assert_eq!(imports_upwards(&source), [""; 0], "in {package}");
    }
}

#[test]
fn no_file_imports_from_itself_by_way_of_others() {
    for package in LAYERED {
        let source = Source::of(&folder(package));
        assert_eq!(circle(&source), None, "in {package}");
    }
}

/// A crate of two floors, one of which has a folder.
fn small(b_child: &'static str, b: &'static str, c: &'static str) -> Source {
    Source::read(move |path| {
        let text = match path {
            "lib.rs" => "mod a;\n#[path = \"bee.rs\"]\nmod b;\nmod c;\npub use crate::a::A;",
            "a.rs" => "use crate::{b::{self, B}, c::{nested::Deep, C as D}}; pub struct A;",
            "bee.rs" => b,
            "b/upper.rs" | "bee/upper.rs" => b_child,
            "bee/lower.rs" => {
                "// crate::a::A\npub struct Lower; const TEXT: &str = \"crate::a::A\";"
            }
            "c.rs" => c,
            _ => return None,
        };
        Some(text.to_owned())
    })
}

#[test]
fn an_import_that_is_turned_around_is_found() {
    const B: &str = "mod upper; mod lower; pub use self::upper::B; pub struct Here;";
    const UPPER: &str = "use super::{Here, lower::Lower}; pub struct B(crate::c::C);";
    const C: &str = "mod tests { use super::*; } pub(in crate::a) struct C;";
    let source = small(UPPER, B, C);
    assert_eq!(source.0.len(), 6);
    assert_eq!(source.arrows().len(), 6, "{:?}", source.arrows());
    assert_eq!(imports_upwards(&source), [""; 0]);
    assert_eq!(circle(&source), None);

    let up = "c.rs imports from a.rs, but lib.rs declares `a` above `c`";
    for c in [
        "use crate::{a::{A}}; pub struct C;",
        "fn f() { g::<super::a::A>() }",
        // By way of the root, which exports it.
        "use crate::A;",
        "mod tests { use super::super::a; }",
        "pub use crate::a::A;",
        "macro_rules! m { () => { $crate::a::A } }",
    ] {
        let source = small(UPPER, B, c);
        assert_eq!(imports_upwards(&source), [up], "{c}");
        let circle = circle(&source).unwrap();
        assert!(circle.ends_with("→ c.rs → a.rs"), "{c}: {circle}");
    }

    let turned = "mod lower; mod upper; pub use self::upper::B; pub struct Here;";
    let source = small(UPPER, turned, C);
    let up = "bee/upper.rs imports from bee/lower.rs, but bee.rs declares `lower` above `upper`";
    assert_eq!(imports_upwards(&source), [up]);

    for b in [
        "mod upper; mod lower; use self::upper::B; pub struct Here;",
        "mod upper; mod lower; pub struct Here(upper::B);",
    ] {
        let source = small(UPPER, b, C);
        assert_eq!(imports_upwards(&source), [""; 0]);
        let circle = circle(&source).unwrap();
        assert_eq!(circle, "bee.rs → bee/upper.rs → bee.rs", "{b}");
    }
}

/// The files of a crate in which some token is found.
fn files_with(source: &Source, is_meant: impl Fn(&[String]) -> bool) -> Vec<&str> {
    let files = source.0.values();
    let files = files.filter(|file| file.tokens.windows(2).any(&is_meant));
    files.map(|file| &*file.path).collect()
}

#[test]
fn deciding_knows_no_clock_no_runtime_and_no_telemetry() {
    let source = Source::of(&folder("dotflow"));
    let state = |file: &&str| file.starts_with("engine/state");
    for word in [
        "tokio",
        "Instant",
        "SystemTime",
        "tracing",
        "Span",
        "RunSpan",
        "TaskSpan",
        "telemetry",
        "unwind",
        "catch_unwind",
    ] {
        let files = files_with(&source, |tokens| tokens[0] == word);
        let files: Vec<&str> = files.into_iter().filter(state).collect();
        assert_eq!(files, [""; 0], "{word}");
    }
    assert!(source.0.values().any(|file| state(&&*file.path)));
}

#[test]
fn only_telemetry_opens_spans() {
    let source = Source::of(&folder("dotflow"));
    let opens = |tokens: &[String]| tokens[0].ends_with("span") && tokens[1] == "!";
    assert_eq!(
        files_with(&source, opens),
        ["telemetry/run.rs", "telemetry/task.rs"]
    );
}

#[test]
fn panics_are_caught_in_two_places() {
    let source = Source::of(&folder("dotflow"));
    let catches = |tokens: &[String]| tokens[0] == "catch_unwind";
    assert_eq!(
        files_with(&source, catches),
        ["engine/call.rs", "unwind.rs"]
    );
}

#[test]
fn few_names_stand_at_the_root_and_none_of_the_plumbing() {
    let source = Source::of(&folder("dotflow"));
    let (mut names, mut plumbing) = (BTreeSet::new(), BTreeSet::new());
    for (within, name, origin) in &source.file(&[]).exports {
        // A module is one name for many, and counted by none of them.
        if source.0.contains_key(origin) {
            continue;
        }
        match &within[..] {
            [] => names.insert(name),
            _ => plumbing.insert(name),
        };
    }
    // The macro, which is from another crate.
    assert!(names.len() < 22, "{} names: {names:?}", names.len() + 1);
    assert!(names.len() > 10 && plumbing.len() > 10);
    assert_eq!(names.intersection(&plumbing).count(), 0);
}

#[test]
fn files_are_short() {
    for package in PUBLISHED {
        let source = Source::of(&folder(package));
        let mut lengths: Vec<(usize, &str)> = source
            .0
            .values()
            .map(|file| (file.lines, &*file.path))
            .collect();
        lengths.sort_unstable();
        let (most, longest) = *lengths.last().unwrap();
        assert!(most <= 400, "{package}: {longest} has {most} lines");
        let median = lengths[lengths.len() / 2].0;
        assert!(median <= 200, "{package}: {median} lines");
    }
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
    assert_eq!(ours("dotflow-report"), ["dotflow".to_owned()].into());
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
