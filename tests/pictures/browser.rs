//! A real browser, without a window: what it makes of a page.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A page in a folder of its own, and the browser for it.
pub(crate) struct Page {
    folder: tempfile::TempDir,
}

impl Page {
    pub(crate) fn new(html: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("page.html"), html).unwrap();
        Self { folder }
    }

    fn open(&self, arguments: &[&str]) -> Output {
        let page = self.folder.path().join("page.html");
        let output = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--hide-scrollbars",
                "--allow-file-access-from-files",
                "--enable-logging=stderr",
            ])
            .arg(format!(
                "--user-data-dir={}",
                self.folder.path().join("profile").display()
            ))
            .args(arguments)
            .arg(format!("file://{}", page.display()))
            .output();
        let output = output.expect("Chromium is there: `apt-get install chromium`");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// The page as it is once it has been loaded and its scripts have run, and what it said on the
    /// console.
    pub(crate) fn dumped(&self, arguments: &[&str]) -> (String, Vec<String>) {
        let budget = "--virtual-time-budget=60000";
        let output = self.open(&[&["--dump-dom", budget], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        let console = said.lines().filter(|line| line.contains("CONSOLE"));
        let console = console.map(str::to_owned).collect();
        (String::from_utf8(output.stdout).unwrap(), console)
    }
}

/// A file that a package of npm has.
pub(crate) fn of_npm(variable: &str, file: &str) -> PathBuf {
    let folder = std::env::var(variable);
    let folder = folder.unwrap_or_else(|_| panic!("{variable} names a folder with {file}"));
    let file = Path::new(&folder).join(file);
    assert!(file.is_file(), "{} is there", file.display());
    file
}
