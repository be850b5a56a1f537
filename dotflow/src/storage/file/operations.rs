//! The file operations that storing takes, one by one, so that tests can let each of them fail.

use std::{
    fs::{self, DirBuilder, File, Metadata},
    io::{self, Read as _, Write as _},
    path::Path,
};

use tempfile::NamedTempFile;

use super::regular::{check_file, open};

/// File operations; each does what the operating system does, unless a test replaces it.
pub(super) trait Operations: Send + Sync {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        private().create(folder)
    }

    fn create_temporary(&self, folder: &Path) -> io::Result<NamedTempFile> {
        tempfile::Builder::new()
            .prefix(".")
            .suffix(".tmp")
            .tempfile_in(folder)
    }

    fn write(&self, file: &mut File, content: &[u8]) -> io::Result<()> {
        file.write_all(content)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Gives a complete file its name. Returns `false` if another one has it.
    fn publish(&self, file: NamedTempFile, path: &Path) -> io::Result<bool> {
        match file.persist_noclobber(path) {
            Ok(_) => Ok(true),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(failed) => Err(failed.error),
        }
    }

    /// Makes sure that the names of new files outlive a crash of the machine.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Elsewhere a folder can't be opened; NTFS keeps its names by itself.
        if cfg!(unix) {
            open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Looks at what is in a place, without opening it.
    fn look(&self, path: &Path) -> io::Result<Metadata> {
        fs::symlink_metadata(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Some devices do something when they are opened, so look before. What was put there in
        // between is noticed afterwards.
        check_file(&self.look(path)?)?;
        let mut file = open(path)?;
        check_file(&file.metadata()?)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok(content)
    }
}

/// Makes folders that are their owner's only: names of runs and tasks may be confidential too.
pub(super) fn private() -> DirBuilder {
    #[allow(unused_mut, reason = "only Unix has modes")]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// The real ones.
pub(super) struct Disk;

impl Operations for Disk {}
