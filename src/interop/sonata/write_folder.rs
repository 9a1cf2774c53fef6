//! The folder of an export: it appears whole or not at all.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The record of an export, by which it is known.
pub(super) const RECORD: &str = "export.json";

/// What the record says.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// The program and its version.
    pub(super) creator: String,
    /// Files, relative to the folder, with `/` between folders.
    pub(super) files: Vec<String>,
    /// Neurons and edges.
    pub(super) nodes: u64,
    pub(super) edges: u64,
    /// Stimuli that were left out.
    pub(super) left_out: Vec<String>,
}

/// A folder being filled under another name, beside the one it is to be.
pub(super) struct Staged {
    folder: PathBuf,
    part: PathBuf,
    files: Vec<String>,
    /// Files of an earlier export that is to be replaced.
    earlier: Option<Vec<String>>,
}

impl Staged {
    /// Begins to fill what is to be `folder`.
    ///
    /// # Errors
    /// The folder has something in it; with `overwrite`, something that is no earlier export.
    pub(super) fn begin(folder: &Path, overwrite: bool) -> Result<Self> {
        let earlier = earlier(folder, overwrite)?;
        let folder = std::path::absolute(folder).map_err(|e| Error::io(folder, "create", e))?;
        let name = folder.file_name().ok_or_else(|| Error::Usage(format!("{} is no folder", folder.display())))?;
        let part = folder.with_file_name(format!(".{}.part", name.to_string_lossy()));
        if part.exists() {
            if read_record(&part).is_none() {
                let message = format!("{} is in the way and not of an export; move it elsewhere", part.display());
                return Err(Error::Usage(message));
            }
            // Left by an export that was killed.
            std::fs::remove_dir_all(&part).map_err(|e| Error::io(&part, "remove", e))?;
        }
        std::fs::create_dir_all(&part).map_err(|e| Error::io(&part, "create", e))?;
        let staged = Self { folder, part, files: Vec::new(), earlier };
        // A record from the start on: by it, what a kill leaves is known as ours.
        staged.write(RECORD, &serde_json::to_string(&Record::default()).expect("plain data"))?;
        Ok(staged)
    }

    /// Where to write a file of the export, given by its path within it.
    pub(super) fn place(&mut self, file: &str) -> Result<PathBuf> {
        let path = self.part.join(file);
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above).map_err(|e| Error::io(above, "create", e))?;
        }
        self.files.push(file.to_owned());
        Ok(path)
    }

    /// Writes a text file of the export.
    pub(super) fn text(&mut self, file: &str, text: &str) -> Result<()> {
        self.place(file)?;
        self.write(file, text)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.part.join(file);
        let attempt = || {
            let mut file = File::create(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        attempt().map_err(|e| Error::io(&path, "write", e))
    }

    /// Gives the folder its name and returns the files in it.
    pub(super) fn finish(mut self, mut record: Record) -> Result<Vec<PathBuf>> {
        record.files = self.files.clone();
        record.files.push(RECORD.to_owned());
        self.text(RECORD, &(serde_json::to_string_pretty(&record).expect("plain data") + "\n"))?;
        match &self.earlier {
            None => {
                if self.folder.exists() {
                    std::fs::remove_dir(&self.folder).map_err(|e| Error::io(&self.folder, "replace", e))?;
                }
                std::fs::rename(&self.part, &self.folder).map_err(|e| Error::io(&self.folder, "create", e))?;
            }
            Some(earlier) => self.replace(earlier)?,
        }
        if cfg!(unix)
            && let Some(above) = self.folder.parent()
        {
            let synced = File::open(above).and_then(|folder| folder.sync_all());
            synced.map_err(|e| Error::io(above, "write", e))?;
        }
        Ok(record.files.iter().map(|file| self.folder.join(file)).collect())
    }

    /// Puts the new files in the place of those of the earlier export. The records go last: should this be interrupted,
    /// the folder still counts as an export and can be replaced.
    fn replace(&self, earlier: &[String]) -> Result<()> {
        for file in earlier.iter().filter(|f| *f != RECORD && !self.files.contains(f)) {
            let path = self.folder.join(file);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, "remove", error));
                }
                _ => {}
            }
            // A folder that is empty now was ours.
            if let Some(above) = path.parent().filter(|above| *above != self.folder) {
                let _ = std::fs::remove_dir(above);
            }
        }
        for file in &self.files {
            let path = self.folder.join(file);
            if let Some(above) = path.parent() {
                std::fs::create_dir_all(above).map_err(|e| Error::io(above, "create", e))?;
            }
            std::fs::rename(self.part.join(file), &path).map_err(|e| Error::io(&path, "write", e))?;
        }
        Ok(())
    }
}

/// What was not finished leaves nothing behind.
impl Drop for Staged {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.part);
    }
}

fn read_record(folder: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(folder.join(RECORD)).ok()?).ok()
}

/// An error if a folder may not be written to.
pub(super) fn refuse(folder: &Path, overwrite: bool) -> Result<()> {
    earlier(folder, overwrite).map(drop)
}

/// The files of an earlier export in a folder; none if the folder is empty or not there.
fn earlier(folder: &Path, overwrite: bool) -> Result<Option<Vec<String>>> {
    let found = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(folder, "read", error)),
        Ok(mut entries) => match entries.next() {
            None => return Ok(None),
            Some(entry) => entry.map_err(|e| Error::io(folder, "read", e))?.file_name().to_string_lossy().into_owned(),
        },
    };
    let record = read_record(folder);
    let remedy = match (overwrite, &record) {
        (true, Some(_)) => "",
        (true, None) => "it is not an earlier export, so choose another folder or clear it yourself",
        (false, Some(_)) => "it is an earlier export; choose another folder or allow it with --overwrite",
        (false, None) => "choose another folder",
    };
    if !remedy.is_empty() {
        return Err(Error::Usage(format!("{} is not empty (it has {found}); {remedy}", folder.display())));
    }
    // Only plain names within the folder are believed.
    let inside = |file: &String| {
        let parts = Path::new(file).components();
        parts.clone().next().is_some() && parts.clone().all(|c| matches!(c, std::path::Component::Normal(_)))
    };
    Ok(record.map(|r| r.files.into_iter().filter(inside).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record { creator: "tessera".into(), files: Vec::new(), nodes: 0, edges: 0, left_out: Vec::new() }
    }

    fn export(folder: &Path, files: &[&str], overwrite: bool) -> Result<Vec<PathBuf>> {
        let mut staged = Staged::begin(folder, overwrite)?;
        for file in files {
            staged.text(file, file)?;
        }
        staged.finish(record())
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_export_replaces_an_earlier_one_and_nothing_else() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("net");
        export(&folder, &["a.json", "network/b.h5", "old/c"], false).unwrap();
        assert_eq!(names(above.path()), ["net"]);
        std::fs::write(folder.join("network/mine.txt"), "mine").unwrap();
        assert!(export(&folder, &["a.json"], false).is_err());
        export(&folder, &["a.json", "network/d.h5"], true).unwrap();
        assert_eq!(names(&folder), ["a.json", "export.json", "network"]);
        assert_eq!(names(&folder.join("network")), ["d.h5", "mine.txt"]);
        assert_eq!(names(above.path()), ["net"]);
    }

    #[test]
    fn folders_of_others_are_left_alone() {
        let above = tempfile::tempdir().unwrap();
        std::fs::write(above.path().join("thesis.tex"), "x").unwrap();
        for overwrite in [false, true] {
            assert!(matches!(Staged::begin(above.path(), overwrite), Err(Error::Usage(_))));
        }
        // What is not finished leaves no trace.
        let mut staged = Staged::begin(&above.path().join("net"), false).unwrap();
        staged.text("a", "b").unwrap();
        drop(staged);
        assert_eq!(names(above.path()), ["thesis.tex"]);
        // A folder of that name by others is not touched; what a killed export left is replaced.
        std::fs::create_dir(above.path().join(".net.part")).unwrap();
        assert!(matches!(Staged::begin(&above.path().join("net"), false), Err(Error::Usage(_))));
        std::fs::remove_dir(above.path().join(".net.part")).unwrap();
        let staged = Staged::begin(&above.path().join("net"), false).unwrap();
        std::mem::forget(staged);
        assert_eq!(names(above.path()), [".net.part", "thesis.tex"]);
        // A record cannot name files outside.
        let folder = above.path().join("net");
        export(&folder, &["a"], false).unwrap();
        let record = Record { files: vec!["../thesis.tex".into(), "/etc/passwd".into(), "a".into()], ..record() };
        std::fs::write(folder.join(RECORD), serde_json::to_string(&record).unwrap()).unwrap();
        export(&folder, &["b"], true).unwrap();
        assert_eq!(names(above.path()), ["net", "thesis.tex"]);
        assert_eq!(names(&folder), ["b", "export.json"]);
    }
}
