//! Files written beside the one they replace, under the name `.NAME.part`: a reader, also after a kill or a power
//! failure, sees the old file or the new one, never a part.

use crate::error::{Error, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The name beside `target` under which its successor is written.
pub(super) fn part_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.part"))
}

/// Name of the file that `.NAME.part` is to become.
pub(super) fn target_of(part: &str) -> Option<&str> {
    part.strip_prefix('.')?.strip_suffix(".part").filter(|name| !name.is_empty())
}

/// Removes what a killed process left under the name beside `target`.
pub(super) fn remove_leftover(target: &Path) -> Result<()> {
    let part = part_of(target);
    match std::fs::remove_file(&part) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&part, "remove", e)),
        _ => Ok(()),
    }
}

/// Gives the file beside `target`, which is whole and on disk, the name of `target`.
pub(super) fn put_in_place(target: &Path) -> Result<()> {
    std::fs::rename(part_of(target), target).map_err(|e| Error::io(target, "write", e))?;
    sync_folder_of(target)
}

/// Puts the name of a file on disk: a new or renamed file is found after a power failure only once its folder is.
pub(super) fn sync_folder_of(file: &Path) -> Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::io(folder, "write", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(part_of(Path::new("a/spikes.h5")), Path::new("a/.spikes.h5.part"));
        assert_eq!(target_of(".spikes.h5.part"), Some("spikes.h5"));
        assert_eq!(target_of("spikes.h5.part"), None);
        assert_eq!(target_of("..part"), None);
    }
}
