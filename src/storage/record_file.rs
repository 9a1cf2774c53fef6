//! A plain file that grows by whole records: lines of a table, elements of an array.

use super::aside;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes kept in memory before they are written.
const BUFFER: usize = 256 * 1024;

/// A file being written.
///
/// Invariant: the file holds whole records wherever this process stops, but for a kill or a power failure in the midst
/// of a write. A write that fails (a full disk) is taken back to the last whole record.
#[derive(Debug)]
pub(super) struct RecordFile {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Bytes of the file that are ours to keep.
    written: u64,
    /// Whether the file may be longer than that: it was opened to go on at an earlier place, and nothing has changed yet.
    tail: bool,
    /// Whether the file's name is on disk.
    named: bool,
}

impl RecordFile {
    /// Makes a file that does not exist yet, which begins with `head`. If there is no room for that, no file is left.
    pub(super) fn create(path: &Path, head: &[u8]) -> Result<Self> {
        let file = File::create_new(path).map_err(|e| Error::io(path, "create", e))?;
        let buffer = head.to_vec();
        let mut created = Self { path: path.to_owned(), file, buffer, written: 0, tail: false, named: false };
        created.flush().inspect_err(|_| {
            let _ = std::fs::remove_file(path);
        })?;
        Ok(created)
    }

    /// Opens a file to go on after its first `bytes` bytes. It is not changed before [`go_on`](Self::go_on).
    pub(super) fn reopen(path: &Path, bytes: u64) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| Error::io(path, "open", e))?;
        let len = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
        if len < bytes {
            return Err(Error::format(path, format!("it has {len} bytes; the checkpoint needs the first {bytes}")));
        }
        Ok(Self { path: path.to_owned(), file, buffer: Vec::new(), written: bytes, tail: true, named: true })
    }

    /// Some bytes of a file that was opened to go on, at most those that are kept.
    pub(super) fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let len = len.min(usize::try_from(self.written.saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut bytes = vec![0; len];
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|e| Error::io(&self.path, "read", e))?;
        Ok(bytes)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file, with those still in memory.
    pub(super) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Whether the file was opened to go on and has not been changed.
    pub(super) fn untouched(&self) -> bool {
        self.tail
    }

    /// Drops what the file holds after the place it goes on from.
    pub(super) fn go_on(&mut self) -> Result<()> {
        if self.tail {
            self.file.set_len(self.written).map_err(|e| Error::io(&self.path, "write", e))?;
            self.tail = false;
        }
        Ok(())
    }

    /// Adds a record.
    pub(super) fn put(&mut self, record: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(record);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Adds a line of text.
    pub(super) fn line(&mut self, text: std::fmt::Arguments<'_>) -> Result<()> {
        writeln!(self.buffer, "{text}").map_err(|e| Error::io(&self.path, "write", e))?;
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the system: a kill of this process no longer loses it.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.go_on()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let wrote = self.file.seek(SeekFrom::Start(self.written)).and_then(|_| self.file.write_all(&self.buffer));
        if let Err(e) = wrote {
            // Half a record at the end would make the whole file unreadable.
            let _ = self.file.set_len(self.written);
            return Err(Error::io(&self.path, "write", e));
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Replaces bytes at the beginning of the file, which must have been written.
    pub(super) fn replace_head(&mut self, bytes: &[u8]) -> Result<()> {
        let wrote = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(bytes));
        wrote.map_err(|e| Error::io(&self.path, "write", e))
    }

    /// Puts everything on disk: a power failure no longer loses it.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync_all().map_err(|e| Error::io(&self.path, "write", e))?;
        if !self.named {
            aside::sync_folder_of(&self.path)?;
            self.named = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_before_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let mut file = RecordFile::create(&path, b"one\n").unwrap();
        file.sync().unwrap();
        let place = file.len();
        file.line(format_args!("two")).unwrap();
        file.flush().unwrap();
        drop(file);
        drop(RecordFile::reopen(&path, place).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        let mut file = RecordFile::reopen(&path, place).unwrap();
        assert_eq!(file.read_at(place - 1, 9).unwrap(), b"\n");
        file.line(format_args!("3")).unwrap();
        file.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n3\n");
        let error = RecordFile::reopen(&path, 7).unwrap_err().to_string();
        assert!(error.contains("has 6 bytes") && error.contains("first 7"), "{error}");
    }
}
