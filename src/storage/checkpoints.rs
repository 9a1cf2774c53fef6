//! The checkpoints of a run: which are kept, and which is the newest that can be gone on from.

use super::checkpoint::Checkpoint;
use super::output_dir::{CHECKPOINTS, OutputDir};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The folder with the checkpoints of a run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

/// The newest checkpoint of a run that is intact.
#[derive(Debug)]
pub struct Latest {
    /// Its file.
    pub path: PathBuf,
    /// What it holds.
    pub checkpoint: Checkpoint,
    /// What is wrong with newer ones.
    pub damaged: Vec<Error>,
}

impl Checkpoints {
    /// Those of the run with these results, of which the newest `keep` (at least one) are kept.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn of(results: &OutputDir, keep: usize) -> Result<Self> {
        let folder = results.checkpoints();
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "create", e))?;
        Ok(Self { folder, keep: keep.max(1) })
    }

    /// Writes a checkpoint, then removes the oldest beyond those that are kept. Gives its length, bytes.
    ///
    /// # Errors
    /// The file cannot be written, or an older one not removed.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<u64> {
        let step = checkpoint.snapshot.step;
        let bytes = checkpoint.write(self.folder.join(file_name(step)))?;
        // Later ones are damaged, or this run would have gone on from them; it will replace them.
        let older: Vec<_> = files(&self.folder)?.into_iter().filter(|(s, _)| *s < step).collect();
        for (_, path) in older.iter().rev().skip(self.keep - 1) {
            remove(path)?;
        }
        Ok(bytes)
    }

    /// Removes those of steps after `step`, for a run that goes on from there: its records will end there. Gives their
    /// number.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn forget_after(&self, step: u64) -> Result<usize> {
        let later: Vec<_> = files(&self.folder)?.into_iter().filter(|(s, _)| *s > step).collect();
        later.iter().try_for_each(|(_, path)| remove(path))?;
        Ok(later.len())
    }

    /// The newest intact checkpoint of the run whose results are in `results`.
    ///
    /// # Errors
    /// There is none; the folder cannot be read.
    pub fn latest(results: impl AsRef<Path>) -> Result<Latest> {
        let folder = results.as_ref().join(CHECKPOINTS);
        let mut damaged = Vec::new();
        let all = if folder.is_dir() { files(&folder)? } else { Vec::new() };
        for (_, path) in all.into_iter().rev() {
            match Checkpoint::read(&path) {
                Ok(checkpoint) => return Ok(Latest { path, checkpoint, damaged }),
                Err(error) => damaged.push(error),
            }
        }
        let why = match damaged.first() {
            None => {
                "there is no checkpoint in it; a run writes some if its configuration has a table [checkpoint]".into()
            }
            Some(first) => format!("none of the {} checkpoints in it is intact; the newest: {first}", damaged.len()),
        };
        Err(Error::format(results, why))
    }

    /// The folder of the results to which a checkpoint file belongs, if it is where this program puts it.
    pub fn results_of(checkpoint: &Path) -> Option<PathBuf> {
        let folder = checkpoint.parent()?;
        step_of(checkpoint.file_name()?.to_str()?)?;
        let absolute = std::path::absolute(folder).ok()?;
        (absolute.file_name()? == CHECKPOINTS)
            .then(|| folder.parent().map(Path::to_owned))?
            .map(|results| if results.as_os_str().is_empty() { PathBuf::from(".") } else { results })
    }
}

fn file_name(step: u64) -> String {
    format!("step_{step:012}.h5")
}

/// The step that a file's name says.
fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step_")?.strip_suffix(".h5")?;
    let step = digits.parse().ok()?;
    (file_name(step) == name).then_some(step)
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|e| Error::io(path, "remove", e))
}

/// Checkpoints in a folder, ascending by step.
fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, "read", e))? {
        let entry = entry.map_err(|e| Error::io(folder, "read", e))?;
        files.extend(entry.file_name().to_str().and_then(step_of).map(|step| (step, entry.path())));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::tests::example;
    use super::*;

    fn steps(results: &Path) -> Vec<u64> {
        files(&results.join(CHECKPOINTS)).unwrap().into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn the_newest_are_kept() {
        let results = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(&OutputDir::resume(results.path()).unwrap(), 2).unwrap();
        for step in [0, 5, 1_000_000_000_000_000, 17] {
            checkpoints.write(&example(step)).unwrap();
        }
        // The one with the long number was there when the last was written.
        assert_eq!(steps(results.path()), [5, 17, 1_000_000_000_000_000]);
        assert_eq!(checkpoints.forget_after(17).unwrap(), 1);
        checkpoints.write(&example(30)).unwrap();
        assert_eq!(steps(results.path()), [17, 30]);
        let latest = Checkpoints::latest(results.path()).unwrap();
        assert_eq!((latest.checkpoint.snapshot.step, latest.damaged.len()), (30, 0));
        assert_eq!(Checkpoints::results_of(&latest.path).unwrap(), results.path());
        assert_eq!(Checkpoints::results_of(Path::new("x/step_000000000001.h5")), None);
        assert_eq!(Checkpoints::results_of(Path::new("checkpoints/step_000000000001.h5")), Some(".".into()));
    }

    #[test]
    fn damaged_ones_are_passed_over_and_told() {
        let results = tempfile::tempdir().unwrap();
        let none = Checkpoints::latest(results.path()).unwrap_err().to_string();
        assert!(none.contains("there is no checkpoint"), "{none}");
        let checkpoints = Checkpoints::of(&OutputDir::resume(results.path()).unwrap(), 3).unwrap();
        let folder = results.path().join(CHECKPOINTS);
        for step in [1, 2, 3] {
            checkpoints.write(&example(step)).unwrap();
        }
        let newest = folder.join(file_name(3));
        let whole = std::fs::read(&newest).unwrap();
        std::fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
        let mut bytes = std::fs::read(folder.join(file_name(2))).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle..middle + 4096].fill(0x55);
        std::fs::write(folder.join(file_name(2)), bytes).unwrap();
        std::fs::write(folder.join("notes.h5"), b"mine").unwrap();
        let latest = Checkpoints::latest(results.path()).unwrap();
        assert_eq!((latest.checkpoint.snapshot.step, latest.damaged.len()), (1, 2));
        assert!(latest.damaged[0].to_string().contains("step_000000000003.h5"), "{}", latest.damaged[0]);
        std::fs::remove_file(folder.join(file_name(1))).unwrap();
        let error = Checkpoints::latest(results.path()).unwrap_err().to_string();
        assert!(error.contains("none of the 2 checkpoints in it is intact"), "{error}");
    }
}
