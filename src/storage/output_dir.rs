//! The folder a run writes its results into.

use super::checkpoints;
use super::hdf5_stream::{CREATOR, CREATOR_NAME};
use super::read_spikes::open_hdf5;
use super::run_record::{self, RunRecord};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Names that only this program gives, with at most one `*` for any text.
const NAMES: [&str; 6] =
    [run_record::FILE, "spikes.h5", "spikes.csv", "spikes_*_times.npy", "spikes_*_ids.npy", "rates.csv"];

/// A folder for the results of one run. It never holds the results of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputDir {
    path: PathBuf,
}

impl OutputDir {
    /// Makes the folder (and those above it) or takes an existing one that holds no earlier results.
    ///
    /// With `overwrite`, earlier results are removed: files with the names this program gives, HDF5 files that say they
    /// are by it, and those the earlier run's own record lists. Anything else in the folder is left alone.
    ///
    /// # Errors
    /// [`Error::WouldOverwrite`] if there are earlier results and `overwrite` is false; [`Error::Io`] if the folder
    /// cannot be made or cleared.
    pub fn create(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let path = path.as_ref().to_owned();
        std::fs::create_dir_all(&path).map_err(|e| Error::io(&path, "create", e))?;
        let mut earlier = earlier_results(&path)?;
        if let (false, Some(found)) = (overwrite, earlier.first()) {
            return Err(Error::WouldOverwrite { path, found: found.clone() });
        }
        // The record goes last: it lists the others, should the removal be interrupted and done again. Checkpoints, which
        // need the others, go first.
        earlier.sort_by_key(|name| (name == run_record::FILE, !name.contains('/')));
        for name in earlier {
            let file = path.join(name);
            std::fs::remove_file(&file).map_err(|e| Error::io(&file, "remove", e))?;
        }
        // Fails if something else is in there, which stays.
        let _ = std::fs::remove_dir(path.join(checkpoints::FOLDER));
        Ok(Self { path })
    }

    /// Takes a folder with the results of a run that goes on.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn reopen(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let about = std::fs::metadata(&path).map_err(|e| Error::io(&path, "open", e))?;
        if about.is_dir() { Ok(Self { path }) } else { Err(Error::format(path, "it is not a folder")) }
    }

    /// The folder, or a file in it: `path("")` is the folder itself.
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.path.clone() } else { self.path.join(name) }
    }

    /// Writes a whole file: a reader, also after a power failure, sees the old content or the new, never a part.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_atomic(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (target, aside) = (self.path.join(name), self.path.join(format!(".{name}.part")));
        let attempt = || {
            let mut file = File::create(&aside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&aside, &target)?;
            // The new name is on disk only once the folder is.
            if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
        };
        attempt().map_err(|e| {
            let _ = std::fs::remove_file(&aside);
            Error::io(&target, "write", e)
        })
    }

    /// Names of the result files in the folder, sorted, without the record of the run and checkpoints.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn results(&self) -> Result<Vec<String>> {
        let mut names = earlier_results(&self.path)?;
        names.retain(|name| name != run_record::FILE && !name.contains('/'));
        Ok(names)
    }
}

/// Names of the files in a folder that this program wrote as results, sorted; those of checkpoints with their folder.
fn earlier_results(folder: &Path) -> Result<Vec<String>> {
    let record = folder.join(run_record::FILE);
    // A record that cannot be read lists nothing; its own name is known anyway.
    let listed = RunRecord::read(&record).map_or(Vec::new(), |r| r.files);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, "read", e))? {
        let entry = entry.map_err(|e| Error::io(folder, "read", e))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_file = entry.file_type().is_ok_and(|t| t.is_file());
        let ours =
            || NAMES.iter().any(|p| matches(p, &name)) || listed.contains(&name) || is_own_hdf5(&entry.path(), &name);
        if is_file && ours() {
            names.push(name);
        }
    }
    let checkpoints = folder.join(checkpoints::FOLDER);
    if checkpoints.is_dir() {
        names.extend(checkpoints::names(&checkpoints)?.iter().map(|name| format!("{}/{name}", checkpoints::FOLDER)));
    }
    names.sort();
    Ok(names)
}

/// Whether `name` is `pattern`, whose one `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
        None => pattern == name,
    }
}

fn is_own_hdf5(path: &Path, name: &str) -> bool {
    name.ends_with(".h5")
        && open_hdf5(path)
            .and_then(|f| f.attr_string(CREATOR).map_err(|e| Error::format(path, e.to_string())))
            .is_ok_and(|creator| creator == CREATOR_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("run.json", "run.json") && !matches("run.json", "run.json2"));
        assert!(matches("spikes_*_ids.npy", "spikes_exc_ids.npy"));
        assert!(!matches("spikes_*_ids.npy", "spikes_ids.npy"));
    }

    #[test]
    fn earlier_results_are_kept_or_removed_alone() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(folder.path().join(name), b"x").unwrap();
        put("notes.txt");
        put("network.h5");
        let dir = OutputDir::create(folder.path(), false).unwrap();
        dir.write_atomic("spikes.csv", b"time_ms,population,id\n").unwrap();
        put("spikes_a_ids.npy");
        let error = OutputDir::create(folder.path(), false).unwrap_err();
        assert!(matches!(&error, Error::WouldOverwrite { found, .. } if found == "spikes.csv"), "{error}");
        assert_eq!(dir.results().unwrap(), ["spikes.csv", "spikes_a_ids.npy"]);
        OutputDir::create(folder.path(), true).unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["network.h5", "notes.txt"]);
    }

    #[test]
    fn checkpoints_are_results() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = folder.path().join("checkpoints");
        std::fs::create_dir(&checkpoints).unwrap();
        let put = |name: &str| std::fs::write(checkpoints.join(name), b"x").unwrap();
        put("step_000000000012.h5");
        put(".step_000000000013.h5.part");
        put("mine");
        let error = OutputDir::create(folder.path(), false).unwrap_err();
        assert!(matches!(&error, Error::WouldOverwrite { .. }), "{error}");
        let dir = OutputDir::create(folder.path(), true).unwrap();
        assert_eq!(std::fs::read_dir(&checkpoints).unwrap().count(), 1);
        std::fs::remove_file(checkpoints.join("mine")).unwrap();
        put("step_000000000012.h5");
        assert!(dir.results().unwrap().is_empty());
        OutputDir::create(folder.path(), true).unwrap();
        assert!(!checkpoints.exists());
    }

    #[test]
    fn files_are_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(folder.path().join("a/b"), false).unwrap();
        dir.write_atomic("run.json", b"one").unwrap();
        dir.write_atomic("run.json", b"two").unwrap();
        assert_eq!(std::fs::read(dir.path("run.json")).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path("")).unwrap().count(), 1);
    }
}
