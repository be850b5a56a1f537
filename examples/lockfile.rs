//! A real job on real input: what a Cargo.lock says about its crates.
//!
//! `cargo run --example lockfile [CARGO_LOCK [REPORT]]` reads a lock file (this workspace's unless
//! told otherwise), finds crates that are locked in several versions and those that most others
//! depend on, and writes a report as JSON to a file or to standard output. The trace goes to
//! standard error, so that the report can be piped on. Whatever goes wrong is a failed task, a
//! message, and exit code 1.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::PathBuf,
    process::ExitCode,
};

use dotflow::{DotFlow, PreviousContext, action, task};
use dotflow_otel::OpenTelemetry;
use serde::{Deserialize, Serialize};

/// How many of the most depended-on crates the report names.
const MOST_DEPENDED_ON: usize = 10;

/// What is read of a Cargo.lock.
#[derive(Deserialize)]
struct Lockfile {
    #[serde(rename = "package", default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// Each is `name`, or `name version` where several versions are locked.
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    crates: usize,
    /// The versions of each crate that is locked more than once.
    several_versions: BTreeMap<String, BTreeSet<String>>,
    most_depended_on: Vec<Popular>,
}

#[derive(Serialize, Clone)]
struct Popular {
    name: String,
    dependants: usize,
}

#[derive(Debug, thiserror::Error)]
enum LockfileError {
    #[error("can't read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{} is no valid Cargo.lock: {cause}", path.display())]
    Malformed {
        path: PathBuf,
        cause: Box<toml::de::Error>,
    },
    #[error("{} lists no package: is it a Cargo.lock?", path.display())]
    Empty { path: PathBuf },
    #[error("can't write the report to {destination}: {cause}")]
    Write {
        destination: String,
        cause: io::Error,
    },
}

#[action]
fn read(path: PathBuf) -> Result<String, LockfileError> {
    fs::read_to_string(&path).map_err(|cause| LockfileError::Read { path, cause })
}

#[action]
fn parse(path: PathBuf, text: PreviousContext<String>) -> Result<Lockfile, LockfileError> {
    let lockfile: Lockfile = match toml::from_str(&text) {
        Ok(lockfile) => lockfile,
        Err(cause) => {
            let cause = Box::new(cause);
            return Err(LockfileError::Malformed { path, cause });
        }
    };
    if lockfile.packages.is_empty() {
        return Err(LockfileError::Empty { path });
    }
    Ok(lockfile)
}

#[action]
fn several_versions(lockfile: PreviousContext<Lockfile>) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &lockfile.packages {
        let known = versions.entry(package.name.clone()).or_default();
        known.insert(package.version.clone());
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}

#[action]
fn most_depended_on(lockfile: PreviousContext<Lockfile>) -> Vec<Popular> {
    let mut dependants: BTreeMap<&str, usize> = BTreeMap::new();
    for dependency in lockfile
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
    {
        let name = dependency.split(' ').next().unwrap_or(dependency);
        *dependants.entry(name).or_default() += 1;
    }
    let mut popular: Vec<Popular> = dependants
        .into_iter()
        .map(|(name, dependants)| Popular {
            name: name.to_owned(),
            dependants,
        })
        .collect();
    // A stable sort: names decide where the numbers are the same.
    popular.sort_by_key(|popular| Reverse(popular.dependants));
    popular.truncate(MOST_DEPENDED_ON);
    popular
}

#[action]
fn write(
    destination: Option<PathBuf>,
    lockfile: PreviousContext<Lockfile>,
    several_versions: PreviousContext<BTreeMap<String, BTreeSet<String>>>,
    most_depended_on: PreviousContext<Vec<Popular>>,
) -> Result<(), LockfileError> {
    let report = Report {
        crates: lockfile.packages.len(),
        several_versions: several_versions.into_inner(),
        most_depended_on: most_depended_on.into_inner(),
    };
    let written = match &destination {
        Some(path) => fs::File::create(path).and_then(|file| write_json(file, &report)),
        None => write_json(io::stdout().lock(), &report),
    };
    written.map_err(|cause| LockfileError::Write {
        destination: destination
            .map_or("standard output".into(), |path| path.display().to_string()),
        cause,
    })
}

fn write_json(mut out: impl io::Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, report)?;
    writeln!(out)?;
    out.flush()
}

fn survey(path: PathBuf, destination: Option<PathBuf>) -> DotFlow<()> {
    let lockfile = task(read(path.clone())).then(parse(path));
    let written = lockfile
        .and(&lockfile.then(several_versions()))
        .and(&lockfile.then(most_depended_on()))
        .then(write(destination));
    DotFlow::new("lockfile", written)
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let workspace_lockfile = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    let path = arguments
        .next()
        .unwrap_or_else(|| workspace_lockfile.into());
    let destination = arguments.next();
    if arguments.next().is_some() {
        return Err("usage: lockfile [CARGO_LOCK [REPORT]]".into());
    }

    let telemetry = OpenTelemetry::new("lockfile")
        .with_console_to(io::stderr())
        .install()?;
    // This program has no async code, so it brings no runtime.
    let run = survey(path, destination).start_blocking()?;
    telemetry.shutdown()?;

    Ok(match run.ok() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    })
}
