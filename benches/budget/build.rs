//! What dotflow adds to the build of a program: crates, seconds and bytes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// A small program, with and without dotflow.
struct Program {
    name: &'static str,
    dependencies: &'static str,
    main: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "by hand, on tokio",
        dependencies: "",
        main: r#"
async fn hello() -> String { "hello".into() }
async fn shout(previous: String) -> String { previous.to_uppercase() }

#[tokio::main]
async fn main() {
    println!("{}", shout(hello().await).await);
}
"#,
    },
    Program {
        name: "with dotflow",
        dependencies: "dotflow = { path = \"{root}/dotflow\" }\n",
        main: r#"
use dotflow::{action, task, DotFlow, PreviousContext};

#[action]
async fn hello() -> String { "hello".into() }
#[action]
async fn shout(previous: PreviousContext<String>) -> String { previous.to_uppercase() }

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let workflow = DotFlow::new("hello", task(hello()).then(shout()));
    println!("{}", workflow.start().await?.output()?);
    Ok(())
}
"#,
    },
    Program {
        name: "with dotflow-otel",
        dependencies: "dotflow = { path = \"{root}/dotflow\" }\n\
                       dotflow-otel = { path = \"{root}/dotflow-otel\" }\n",
        main: r#"
use dotflow::{action, task, DotFlow, PreviousContext};

#[action]
async fn hello() -> String { "hello".into() }
#[action]
async fn shout(previous: PreviousContext<String>) -> String { previous.to_uppercase() }

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = dotflow_otel::OpenTelemetry::new("hello").with_otlp().install()?;
    let workflow = DotFlow::new("hello", task(hello()).then(shout()));
    println!("{}", workflow.start().await?.output()?);
    telemetry.shutdown()?;
    Ok(())
}
"#,
    },
];

pub(crate) fn print() {
    println!("| program | crates | cold build, debug | cold build, release | binary, release |");
    println!("|---|--:|--:|--:|--:|");
    let folder = env::temp_dir().join(format!("dotflow-bench-build-{}", std::process::id()));
    for program in PROGRAMS {
        program.write(&folder);
        let crates = program.crates(&folder);
        let debug = seconds(&folder, &[]);
        let release = seconds(&folder, &["--release"]);
        let binary = fs::metadata(folder.join("target/release/hello"));
        let bytes = binary.expect("it was built a moment ago").len();
        println!(
            "| {} | {crates} | {debug:.0} s | {release:.0} s | {:.1} MiB |",
            program.name,
            // Sizes of programs are far below what an f64 can count.
            f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0,
        );
        fs::remove_dir_all(&folder).expect("it was written a moment ago");
    }
}

impl Program {
    fn write(&self, folder: &Path) {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root
            .canonicalize()
            .expect("the repository is where it was built");
        let dependencies = self.dependencies.replace("{root}", &root.to_string_lossy());
        let manifest = format!(
            "[package]\nname = \"hello\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n\
             tokio = {{ version = \"1\", features = [\"rt-multi-thread\", \"macros\"] }}\n\
             {dependencies}\n[workspace]\n"
        );
        fs::create_dir_all(folder.join("src"))
            .expect("the folder for temporary files can be written to");
        fs::write(folder.join("Cargo.toml"), manifest).expect("the folder was made a moment ago");
        fs::write(folder.join("src/main.rs"), self.main).expect("the folder was made a moment ago");
        // The same versions as here, as far as they are needed.
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))
            .expect("the repository has a lockfile");
    }

    /// How many crates the program is made of, itself included.
    fn crates(&self, folder: &Path) -> usize {
        let output = cargo(folder)
            .args([
                "tree", "--edges", "normal", "--prefix", "none", "--format", "{p}",
            ])
            .output()
            .expect("cargo can be started");
        assert!(
            output.status.success(),
            "`cargo tree` failed for {}",
            self.name
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut crates: Vec<&str> = text
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .filter(|line| !line.is_empty())
            .collect();
        crates.sort_unstable();
        crates.dedup();
        crates.len()
    }
}

/// How long a build takes whose crates are all downloaded.
fn seconds(folder: &Path, arguments: &[&str]) -> f64 {
    let fetched = cargo(folder)
        .arg("fetch")
        .status()
        .expect("cargo can be started");
    assert!(fetched.success(), "the crates could not be fetched");
    let started = Instant::now();
    let built = cargo(folder).arg("build").args(arguments).status();
    assert!(
        built.expect("cargo can be started").success(),
        "the build failed"
    );
    started.elapsed().as_secs_f64()
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_TERM_QUIET", "true");
    cargo
}
