//! The folder a run writes its results into.

use super::aside;
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
/// Folder of the checkpoints of a run, within its folder of results, and the names they have.
pub(super) const CHECKPOINTS: &str = "checkpoints";
const CHECKPOINT: &str = "step_*.h5";

/// A folder for the results of one run. It never holds the results of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputDir {
    path: PathBuf,
}

impl OutputDir {
    /// Makes the folder (and those above it) or takes an existing one that holds no earlier results.
    ///
    /// With `overwrite`, earlier results are removed: files with the names this program gives, spikes and reports in HDF5
    /// that say they are by it, checkpoints that say so, and what the earlier run's own record lists. Anything else in the
    /// folder is left alone.
    ///
    /// # Errors
    /// [`Error::WouldOverwrite`] if there are earlier results and `overwrite` is false; [`Error::Io`] if the folder
    /// cannot be made or cleared.
    pub fn create(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let path = path.as_ref().to_owned();
        std::fs::create_dir_all(&path).map_err(|e| Error::io(&path, "create", e))?;
        let mut earlier = earlier_results(&path)?;
        earlier.extend(own_checkpoints(&path)?);
        if let (false, Some(found)) = (overwrite, earlier.first()) {
            return Err(Error::WouldOverwrite { path, found: found.clone() });
        }
        remove_leftovers(&path)?;
        // The record goes last: it lists the others, should the removal be interrupted and done again. Checkpoints, which
        // are of no use without the others, go first.
        earlier.sort_by_key(|name| (name == run_record::FILE, !name.starts_with(CHECKPOINTS)));
        for name in earlier {
            let file = path.join(name);
            std::fs::remove_file(&file).map_err(|e| Error::io(&file, "remove", e))?;
        }
        remove_if_empty(&path.join(CHECKPOINTS))?;
        Ok(Self { path })
    }

    /// Takes a folder of results to go on in it. Nothing is cleared but what a killed process left of files that it was
    /// writing beside others (`.NAME.part`).
    ///
    /// # Errors
    /// There is no such folder, or it cannot be read or cleared of these.
    pub fn resume(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        remove_leftovers(&path)?;
        Ok(Self { path })
    }

    /// The folder of the run's checkpoints, which may not exist yet. Those in it that are named `step_*.h5` and say they
    /// are by this program count as results.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
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
        let target = self.path.join(name);
        let part = aside::part_of(&target);
        let attempt = || {
            let mut file = File::create(&part)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        let wrote = attempt().map_err(|e| Error::io(&target, "write", e)).and_then(|()| aside::put_in_place(&target));
        wrote.inspect_err(|_| {
            let _ = std::fs::remove_file(&part);
        })
    }

    /// Names of the result files in the folder, sorted, without the record of the run.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn results(&self) -> Result<Vec<String>> {
        let mut names = earlier_results(&self.path)?;
        names.retain(|name| name != run_record::FILE);
        Ok(names)
    }
}

/// Names of the files in a folder that this program wrote as results, sorted.
fn earlier_results(folder: &Path) -> Result<Vec<String>> {
    let listed = listed(folder);
    let mut names = files_in(folder)?;
    names.retain(|name| is_ours(name, &listed) || is_own_hdf5(&folder.join(name), &["spikes", "report"]));
    Ok(names)
}

/// Names of the run's own checkpoints in a folder of results, with that of their folder before them.
fn own_checkpoints(folder: &Path) -> Result<Vec<String>> {
    let checkpoints = folder.join(CHECKPOINTS);
    if !checkpoints.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = files_in(&checkpoints)?;
    names.retain(|name| matches(CHECKPOINT, name) && is_own_hdf5(&checkpoints.join(name), &[]));
    Ok(names.into_iter().map(|name| format!("{CHECKPOINTS}/{name}")).collect())
}

/// What the record of the run in a folder lists. A record that cannot be read lists nothing; its own name is known
/// anyway.
fn listed(folder: &Path) -> Vec<String> {
    RunRecord::read(folder.join(run_record::FILE)).map_or(Vec::new(), |r| r.files)
}

fn is_ours(name: &str, listed: &[String]) -> bool {
    NAMES.iter().any(|p| matches(p, name)) || listed.iter().any(|l| l == name)
}

/// Names of the files (no links) in a folder, sorted.
fn files_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, "read", e))? {
        let entry = entry.map_err(|e| Error::io(folder, "read", e))?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.file_type().is_ok_and(|t| t.is_file())) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes what a killed process left of files that it was writing beside our results and checkpoints.
fn remove_leftovers(folder: &Path) -> Result<()> {
    let listed = listed(folder);
    let remove = |folder: &Path, ours: &dyn Fn(&str) -> bool| {
        for part in files_in(folder)? {
            if let Some(name) = aside::target_of(&part).filter(|name| ours(name)) {
                aside::remove_leftover(&folder.join(name))?;
            }
        }
        Ok(())
    };
    // Such a file may be in pieces and cannot say whose it is; that of a report stands beside the report.
    let own = |name: &str| is_ours(name, &listed) || is_own_hdf5(&folder.join(name), &["spikes", "report"]);
    remove(folder, &own)?;
    let checkpoints = folder.join(CHECKPOINTS);
    if checkpoints.is_dir() { remove(&checkpoints, &|name| matches(CHECKPOINT, name)) } else { Ok(()) }
}

/// Removes a folder that holds nothing.
fn remove_if_empty(folder: &Path) -> Result<()> {
    if !folder.is_dir() || std::fs::read_dir(folder).map_err(|e| Error::io(folder, "read", e))?.next().is_some() {
        return Ok(());
    }
    std::fs::remove_dir(folder).map_err(|e| Error::io(folder, "remove", e))
}

/// Whether `name` is `pattern`, whose one `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
        None => pattern == name,
    }
}

/// Whether a file is HDF5, says that it is by this program, and has one of these groups (any file if there are none).
fn is_own_hdf5(path: &Path, groups: &[&str]) -> bool {
    let ours = || -> Result<bool, rust_hdf5::Hdf5Error> {
        let Ok(file) = open_hdf5(path) else { return Ok(false) };
        if file.attr_string(CREATOR)? != CREATOR_NAME {
            return Ok(false);
        }
        let found = file.root_group().group_names()?;
        Ok(groups.is_empty() || groups.iter().any(|group| found.iter().any(|f| f == group)))
    };
    path.extension().is_some_and(|e| e == "h5") && ours().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::super::sonata_file::SonataFile;
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

    /// An empty spike file, of which only the mark that it is ours counts here.
    fn own_hdf5(path: &Path) {
        SonataFile::create(path, &[]).unwrap().close().unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn own_checkpoints_are_removed_alone() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = folder.path().join(CHECKPOINTS);
        std::fs::create_dir(&checkpoints).unwrap();
        own_hdf5(&checkpoints.join("step_100.h5"));
        own_hdf5(&checkpoints.join("kept by hand.h5"));
        std::fs::write(checkpoints.join("step_200.h5"), b"not ours").unwrap();
        let error = OutputDir::create(folder.path(), false).unwrap_err();
        assert!(matches!(&error, Error::WouldOverwrite { found, .. } if found == "checkpoints/step_100.h5"), "{error}");
        let dir = OutputDir::create(folder.path(), true).unwrap();
        assert_eq!(names(&checkpoints), ["kept by hand.h5", "step_200.h5"]);
        std::fs::remove_dir_all(&checkpoints).unwrap();
        std::fs::create_dir(&checkpoints).unwrap();
        own_hdf5(&dir.checkpoints().join("step_1.h5"));
        OutputDir::create(folder.path(), true).unwrap();
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn going_on_clears_leftovers_alone() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(folder.path().join(name), b"x").unwrap();
        std::fs::create_dir(folder.path().join(CHECKPOINTS)).unwrap();
        let mine = [".spikes.h5.part", ".soma_v_m.h5.part", ".run.json.part", "checkpoints/.step_7.h5.part"];
        let others = [".profile.part", "notes.part", ".network.h5.part", "checkpoints/.x.part", "spikes.csv"];
        mine.iter().chain(&others).for_each(|name| put(name));
        own_hdf5(&folder.path().join("soma_v_m.h5"));
        own_hdf5(&folder.path().join("checkpoints/step_7.h5"));
        let dir = OutputDir::resume(folder.path()).unwrap();
        assert_eq!(
            names(folder.path()),
            [".network.h5.part", ".profile.part", "checkpoints", "notes.part", "soma_v_m.h5", "spikes.csv"]
        );
        assert_eq!(names(&dir.checkpoints()), [".x.part", "step_7.h5"]);
        assert!(OutputDir::resume(folder.path().join("nowhere")).is_err());
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
