//! The project's thin face to the HDF5 library: files that grow while a simulation runs and survive a kill.
//!
//! A file is written in the single-writer/multiple-reader mode of HDF5: whatever [`Stream::acknowledge`] has returned
//! for stays readable if the process dies, after the flags that mark the file as open are cleared ([`super::repair`]).

use super::aside;
use crate::error::{Error, Result};
use rust_hdf5::format::messages::datatype::EnumMember;
use rust_hdf5::swmr::SwmrFileWriter;
use rust_hdf5::{DatatypeMessage, FileLocking, H5Type, Hdf5Error};
use std::path::{Path, PathBuf};

/// First root attribute of every SONATA file.
pub(super) const SONATA_MAGIC: u32 = 0x0A7A;
/// Version of the SONATA format written.
pub(super) const SONATA_VERSION: [u32; 2] = [0, 1];
/// Root attribute by which we know our own files.
pub(super) const CREATOR: &str = "creator";
/// Value of [`CREATOR`].
pub(super) const CREATOR_NAME: &str = "tessera";

/// Numbers as HDF5 stores them here: little-endian.
pub(super) trait Element: H5Type + Copy {
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! elements {
    ($($t:ty),*) => {$(
        impl Element for $t {
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
elements!(u32, u64, f32, f64);

fn bytes_of<T: Element>(values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(values));
    values.iter().for_each(|v| v.put(&mut bytes));
    bytes
}

/// Turns what the HDF5 library says into our error.
pub(super) fn hdf5_error(path: &Path, action: &'static str, error: Hdf5Error) -> Error {
    let text = match error {
        Hdf5Error::Io(source) => return Error::io(path, action, source),
        other => other.to_string(),
    };
    // What the system said comes wrapped in a type that the library keeps to itself; its text is all there is.
    match text.strip_prefix("hdf5-io error: I/O error: ") {
        Some(said) => Error::io(path, action, system_error(said)),
        None => Error::format(path, format!("cannot {action}: {text}")),
    }
}

/// The system's error of which this is the text.
fn system_error(text: &str) -> std::io::Error {
    let code = text.rsplit_once("(os error ").and_then(|(_, code)| code.strip_suffix(')')?.parse().ok());
    code.map_or_else(|| std::io::Error::other(text.to_owned()), std::io::Error::from_raw_os_error)
}

/// An HDF5 file being written.
///
/// A write that fails (a full disk) is the last: what the library has in memory then says more than the file holds, so it
/// is not asked to complete the file, which stays as it was last acknowledged.
pub(super) struct Stream {
    /// What the file is called, or is to be called.
    path: PathBuf,
    /// Absent once a write has failed.
    writer: Option<SwmrFileWriter>,
    state: State,
    /// Whether the file's name is on disk.
    named: bool,
}

/// How far a [`Stream`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The file is being described; it holds nothing worth keeping yet.
    Described,
    /// Records are being copied into a file beside the one it will replace.
    Beside,
    /// The file grows.
    Growing,
}

/// A data set of a [`Stream`] that grows along its first axis.
#[derive(Debug)]
pub(super) struct Growing {
    index: usize,
    rows: u64,
    row: Vec<u64>,
    chunk_rows: u64,
}

impl Growing {
    /// Rows appended so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    fn row_len(&self) -> usize {
        self.row.iter().product::<u64>() as usize
    }
}

/// A data set of a [`Stream`] of fixed size whose values may be replaced.
#[derive(Debug)]
pub(super) struct Fixed(usize);

impl Stream {
    /// Creates the file with the SONATA root attributes. A file of that name is never replaced.
    pub(super) fn create(path: &Path) -> Result<Self> {
        refuse_existing(path)?;
        Self::create_at(path, path, State::Described)
    }

    /// Creates a file beside `path`, whose name it takes when [`put_in_place`](Self::put_in_place) is called. Dropped
    /// before, it leaves nothing.
    pub(super) fn create_beside(path: &Path) -> Result<Self> {
        aside::remove_leftover(path)?;
        Self::create_at(path, &aside::part_of(path), State::Beside)
    }

    fn create_at(path: &Path, file: &Path, state: State) -> Result<Self> {
        // A shared file system without locks must not keep anybody from writing results.
        let writer = SwmrFileWriter::create_with_locking(file, FileLocking::BestEffort)
            .map_err(|e| hdf5_error(path, "create", e))?;
        let mut stream = Self { path: path.to_owned(), writer: Some(writer), state, named: false };
        stream.attempt("write", |w| {
            w.set_group_attr_numeric("/", "magic", &SONATA_MAGIC)?;
            w.set_group_attr_array("/", "version", &[2], &SONATA_VERSION)?;
            w.set_group_attr_string("/", CREATOR, CREATOR_NAME)
        })?;
        Ok(stream)
    }

    fn attempt<T>(
        &mut self,
        action: &'static str,
        f: impl FnOnce(&mut SwmrFileWriter) -> Result<T, Hdf5Error>,
    ) -> Result<T> {
        let Some(writer) = &mut self.writer else {
            let message =
                "it could not be written before; it holds what was on disk then, to be had with `tessera repair`";
            return Err(Error::format(&self.path, message));
        };
        f(writer).map_err(|e| {
            self.abandon();
            hdf5_error(&self.path, action, e)
        })
    }

    /// Leaves the file as it is. Dropping the library's writer would complete the file by what it has in memory.
    fn abandon(&mut self) {
        std::mem::forget(self.writer.take());
    }

    /// Makes the group `parent/name`.
    pub(super) fn group(&mut self, parent: &str, name: &str) -> Result<()> {
        self.attempt("write", |w| w.create_group(parent, name))
    }

    /// Sets an attribute of an enumeration type over u8 on a group; `members[i]` has the value `i`.
    pub(super) fn enum_attribute(&mut self, group: &str, name: &str, members: &[&str], value: u8) -> Result<()> {
        let members =
            members.iter().zip(0u8..).map(|(m, v)| EnumMember { name: (*m).into(), value: vec![v] }).collect();
        let datatype = DatatypeMessage::enumeration(DatatypeMessage::u8_type(), members);
        self.attempt("write", |w| w.set_group_attr_typed(group, name, datatype, vec![value]))
    }

    /// Makes a data set `group/name` of no rows; a row has the shape `row`, a chunk `chunk_rows` whole rows.
    pub(super) fn growing<T: Element>(
        &mut self,
        group: &str,
        name: &str,
        row: &[u64],
        chunk_rows: u64,
    ) -> Result<Growing> {
        let (dims, chunk) = ([&[0], row].concat(), [&[chunk_rows], row].concat());
        let most: Vec<Option<u64>> = std::iter::once(None).chain(row.iter().copied().map(Some)).collect();
        let path = format!("{}/{name}", group.trim_start_matches('/'));
        let index = self
            .attempt("write", |w| w.create_grid_dataset_with_max(&path, T::hdf5_type(), &dims, &most, &chunk, None))?;
        Ok(Growing { index, rows: 0, row: row.to_vec(), chunk_rows })
    }

    /// Makes a one-dimensional data set `group/name` with these values.
    pub(super) fn fixed<T: Element>(&mut self, group: &str, name: &str, values: &[T]) -> Result<Fixed> {
        let path = format!("{}/{name}", group.trim_start_matches('/'));
        self.attempt("write", |w| w.write_dataset(&path, &[values.len() as u64], values)).map(Fixed)
    }

    /// Sets a text attribute of a data set.
    pub(super) fn text(&mut self, dataset: usize, name: &str, value: &str) -> Result<()> {
        self.attempt("write", |w| w.set_dataset_attr_string(dataset, name, value))
    }

    /// Sets a number attribute of a data set.
    pub(super) fn number<T: Element>(&mut self, dataset: usize, name: &str, value: T) -> Result<()> {
        self.attempt("write", |w| w.set_dataset_attr_numeric(dataset, name, &value))
    }

    /// Ends the description of the file: from now on it only grows, and others may read it.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.attempt("write", SwmrFileWriter::start_swmr)?;
        if self.state == State::Described {
            self.state = State::Growing;
        }
        Ok(())
    }

    /// Whether the file still stands beside the one it is to replace.
    pub(super) fn is_beside(&self) -> bool {
        self.state == State::Beside
    }

    /// Gives a file made beside another the other's name. Everything in it must have been acknowledged.
    pub(super) fn put_in_place(&mut self) -> Result<()> {
        if self.is_beside() {
            aside::put_in_place(&self.path)?;
            self.state = State::Growing;
            self.named = true;
        }
        Ok(())
    }

    /// Appends whole rows. They are in the file, but not promised before [`acknowledge`](Self::acknowledge).
    pub(super) fn append<T: Element>(&mut self, data: &mut Growing, values: &[T]) -> Result<()> {
        let row_len = data.row_len().max(1);
        debug_assert_eq!(values.len() % row_len, 0);
        // Chunk by chunk, so that a chunk written whole is written once and never read back.
        let mut rest = values;
        while !rest.is_empty() {
            let room = data.chunk_rows - data.rows % data.chunk_rows;
            let rows = room.min((rest.len() / row_len) as u64);
            let (now, later) = rest.split_at(rows as usize * row_len);
            let extent = [&[data.rows + rows], data.row.as_slice()].concat();
            let start = [vec![data.rows], vec![0; data.row.len()]].concat();
            let counts = [&[rows], data.row.as_slice()].concat();
            let bytes = bytes_of(now);
            self.attempt("write", |w| {
                w.set_extent(data.index, &extent)?;
                w.write_slice(data.index, &start, &counts, &bytes)
            })?;
            data.rows += rows;
            rest = later;
        }
        Ok(())
    }

    /// Replaces the values of a fixed data set.
    pub(super) fn replace<T: Element>(&mut self, data: &Fixed, values: &[T]) -> Result<()> {
        let bytes = bytes_of(values);
        self.attempt("write", |w| w.write_dataset_raw(data.0, &bytes))
    }

    /// Returns when everything appended so far is on disk and stays readable whatever happens to this process.
    pub(super) fn acknowledge(&mut self) -> Result<()> {
        self.attempt("write", SwmrFileWriter::flush)?;
        if !self.named && !self.is_beside() {
            aside::sync_folder_of(&self.path)?;
            self.named = true;
        }
        Ok(())
    }

    /// Completes the file: every HDF5 reader opens it without further ado. A file made beside another takes its place.
    pub(super) fn close(mut self) -> Result<()> {
        self.attempt("write", |_| Ok(()))?;
        if let Some(writer) = self.writer.take() {
            writer.close().map_err(|e| hdf5_error(&self.path, "write", e))?;
        }
        self.put_in_place()
    }
}

/// A file that never came to hold records is removed.
impl Drop for Stream {
    fn drop(&mut self) {
        let file = match self.state {
            State::Described => self.path.clone(),
            State::Beside => aside::part_of(&self.path),
            State::Growing => return,
        };
        drop(self.writer.take());
        // A file that cannot be removed can be told to nobody here; the next run will not take it for results.
        let _ = std::fs::remove_file(file);
    }
}

impl Growing {
    pub(super) fn index(&self) -> usize {
        self.index
    }
}

impl Fixed {
    pub(super) fn index(&self) -> usize {
        self.0
    }
}

/// An error if `path` exists: results are replaced only where the user asked for it ([`super::OutputDir`]).
pub(super) fn refuse_existing(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let found = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(Error::WouldOverwrite { path: folder, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_keep_their_kind() {
        let full = std::io::Error::from_raw_os_error(28);
        assert_eq!(system_error(&full.to_string()).kind(), full.kind());
        assert_eq!(system_error("read past end").to_string(), "read past end");
    }
}
