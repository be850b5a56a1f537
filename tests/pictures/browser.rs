//! A real browser, without a window: what it makes of a page.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

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
        self.loaded(&[&["--virtual-time-budget=60000"], arguments].concat())
    }

    /// The same without time for scripts that go on: so the clock of the page is a real one.
    fn loaded(&self, arguments: &[&str]) -> (String, Vec<String>) {
        let output = self.open(&[&["--dump-dom"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        let console = said.lines().filter(|line| line.contains("CONSOLE"));
        let console = console.map(str::to_owned).collect();
        (String::from_utf8(output.stdout).unwrap(), console)
    }

    /// What a page around it sees of this one in a frame of so many pixels.
    pub(crate) fn seen(&self, width: u32, argument: &str) -> Value {
        let around = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::copy(
            self.folder.path().join("page.html"),
            around.folder.path().join("framed.html"),
        )
        .unwrap();
        let html = include_str!("frame.html").replace("WIDTH", &width.to_string());
        fs::write(around.folder.path().join("page.html"), html).unwrap();
        let (page, console) = around.loaded(&[argument, "--window-size=1600,1000"]);
        let seen = page
            .split("<pre>")
            .nth(1)
            .and_then(|rest| rest.split("</pre>").next());
        let seen = seen.unwrap_or_else(|| panic!("{console:?}\n{page}"));
        serde_json::from_str(seen).unwrap_or_else(|_| panic!("{console:?}\n{seen}"))
    }

    pub(crate) fn printed(&self) -> Vec<u8> {
        let file = self.folder.path().join("page.pdf");
        self.open(&[&format!("--print-to-pdf={}", file.display())]);
        fs::read(file).unwrap()
    }

    pub(crate) fn pictured(&self, file: &Path, width: u32, argument: &str) {
        let size = format!("--window-size={width},1200");
        // A window is never as narrow as a telephone.
        let page = if width < 500 {
            let html = fs::read_to_string(self.folder.path().join("page.html")).unwrap();
            fs::write(self.folder.path().join("framed.html"), html).unwrap();
            let frame = format!(
                "<iframe src=framed.html width={width} height=1150 style='border:0'></iframe>"
            );
            fs::write(self.folder.path().join("page.html"), frame).unwrap();
            "--window-size=500,1200".to_owned()
        } else {
            size
        };
        self.open(&[&format!("--screenshot={}", file.display()), &page, argument]);
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
