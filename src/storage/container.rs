//! Containers: HDF5 files of named arrays that are complete or absent, and know when they are damaged.
//!
//! A container is written under another name and takes its own when it is whole and on disk. Every array has a checksum
//! in the header, a JSON text; the header has one too. Model files and checkpoints are containers.

use super::hdf5_stream::{CREATOR, CREATOR_NAME, hdf5_error};
use crate::claims::check_dataset;
use crate::error::{Error, Result};
use rust_hdf5::{FileLocking, FileSpaceStrategy, H5Dataset, H5File, H5Type, Hdf5Error, MappedView};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Root attribute with the checksum of the header.
const SUM: &str = "header_xxh3";
/// Root attribute with the kind of container.
const FORMAT: &str = "format";
/// Name of the array that holds the header.
const HEADER: &str = "header";
/// Large arrays begin on a page of the file, and so of memory when they are mapped.
const PAGE: u64 = 4096;
/// Registered numbers of the HDF5 filters used.
const DEFLATE: u16 = 1;
const ZSTD: u16 = 32_015;
/// Bytes of a chunk of a compressed array, and of a slab of a large one.
const SLAB: usize = 1 << 20;
/// Longest header, bytes: it is read and parsed as a whole.
const LONGEST_HEADER: u64 = 256 << 20;

/// How the arrays of a container are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they lie in memory: the file can be mapped.
    #[default]
    None,
    /// In zstd chunks, which plain h5py reads with the package `hdf5plugin`.
    Zstd,
    /// In gzip chunks, which every HDF5 reader reads.
    Gzip,
}

/// Types of the elements of arrays.
pub(super) trait Element: H5Type + Copy + PartialEq {
    /// Name of the type in the header, as NumPy has it.
    const NAME: &'static str;
    /// Adds the little-endian bytes of `values` to a checksum.
    fn digest(values: &[Self], hash: &mut Xxh3);
}

macro_rules! elements {
    ($($t:ty = $name:literal),*) => {$(
        impl Element for $t {
            const NAME: &'static str = $name;
            fn digest(values: &[Self], hash: &mut Xxh3) {
                let mut bytes = [0u8; 4096];
                for values in values.chunks(4096 / size_of::<$t>()) {
                    for (to, value) in bytes.chunks_exact_mut(size_of::<$t>()).zip(values) {
                        to.copy_from_slice(&value.to_le_bytes());
                    }
                    hash.update(&bytes[..size_of_val(values)]);
                }
            }
        }
    )*};
}
elements!(u8 = "u1", u16 = "u2", u32 = "u4", u64 = "u8", f32 = "f4", f64 = "f8");

/// What the header says of an array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    element: String,
    shape: Vec<u64>,
    /// XXH3-64 of the little-endian bytes, 16 hexadecimal digits.
    xxh3: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    version: u32,
    arrays: BTreeMap<String, Entry>,
    description: serde_json::Value,
}

fn hex(sum: u64) -> String {
    format!("{sum:016x}")
}

/// A container being written.
pub(super) struct ContainerWriter {
    path: PathBuf,
    part: PathBuf,
    file: Option<H5File>,
    compression: Compression,
    arrays: BTreeMap<String, Entry>,
}

impl ContainerWriter {
    /// Begins a container that is to be `path`; until [`finish`](Self::finish) nothing of that name is touched.
    pub fn create(path: &Path, format: &str, compression: Compression) -> Result<Self> {
        let name = path.file_name().ok_or_else(|| Error::Usage(format!("{} is not a file name", path.display())))?;
        let part = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
        let file = H5File::options()
            .locking(FileLocking::BestEffort)
            .file_space(FileSpaceStrategy::Page, false, 1)
            .file_space_page_size(PAGE)
            .create(&part)
            .and_then(|file| {
                file.set_attr_string(CREATOR, CREATOR_NAME)?;
                file.set_attr_string(FORMAT, format)?;
                Ok(file)
            })
            .map_err(|e| hdf5_error(path, "write", e))?;
        Ok(Self { path: path.to_owned(), part, file: Some(file), compression, arrays: BTreeMap::new() })
    }

    fn attempt<T>(&self, f: impl FnOnce(&H5File) -> Result<T, Hdf5Error>) -> Result<T> {
        f(self.file.as_ref().expect("open until it is finished")).map_err(|e| hdf5_error(&self.path, "write", e))
    }

    /// Makes the group of that path; those above it exist.
    pub fn group(&self, path: &str) -> Result<()> {
        self.attempt(|file| match path.rsplit_once('/') {
            None => file.create_group(path).map(drop),
            Some((above, name)) => file.root_group().group(above)?.create_group(name).map(drop),
        })
    }

    /// Makes a group unless it is there.
    pub fn ensure_group(&self, path: &str) -> Result<()> {
        let there = self.attempt(|file| {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            let above = if above.is_empty() { file.root_group() } else { file.root_group().group(above)? };
            Ok(above.group_names()?.iter().any(|n| n == name))
        })?;
        if there { Ok(()) } else { self.group(path) }
    }

    /// Writes an array of that path and shape.
    pub fn array<T: Element>(&mut self, path: &str, shape: &[u64], values: &[T]) -> Result<()> {
        let mut slabs = self.slabs::<T>(path, shape)?;
        slabs.write(values)?;
        slabs.finish()
    }

    /// Begins an array that is written piece by piece, in order.
    pub fn slabs<T: Element>(&mut self, path: &str, shape: &[u64]) -> Result<Slabs<'_, T>> {
        let dims: Vec<usize> = shape.iter().map(|n| *n as usize).collect();
        let row: usize = dims[1..].iter().product::<usize>().max(1);
        let chunk_rows = (SLAB / size_of::<T>() / row).clamp(1, dims[0].max(1));
        let chunk: Vec<usize> = std::iter::once(chunk_rows).chain(dims[1..].iter().copied()).collect();
        let data = self.attempt(|file| {
            let (group, name) = match path.rsplit_once('/') {
                None => (file.root_group(), path),
                Some((group, name)) => (file.root_group().group(group)?, name),
            };
            let builder = group.new_dataset::<T>().shape(&dims);
            match self.compression {
                _ if dims.contains(&0) => builder,
                Compression::None => builder,
                Compression::Zstd => builder.chunk(&chunk).zstd(3),
                Compression::Gzip => builder.chunk(&chunk).shuffle_deflate(4),
            }
            .create(name)
        })?;
        let (path, shape) = (path.to_owned(), shape.to_vec());
        Ok(Slabs {
            to: self,
            path,
            shape,
            data,
            row,
            chunk: chunk_rows * row,
            done: 0,
            hash: Xxh3::new(),
            waiting: Vec::new(),
        })
    }

    /// Completes the file and gives it its name, once it is on disk.
    pub fn finish(mut self, version: u32, description: serde_json::Value) -> Result<u64> {
        let header = Header { version, arrays: std::mem::take(&mut self.arrays), description };
        let text = serde_json::to_vec(&header).map_err(|e| Error::format(&self.path, e.to_string()))?;
        self.attempt(|file| {
            file.set_attr_string(SUM, &hex(xxh3_64(&text)))?;
            file.new_dataset::<u8>().shape([text.len()]).create(HEADER)?.write_raw(&text)
        })?;
        let file = self.file.take().expect("open until it is finished");
        file.close().map_err(|e| hdf5_error(&self.path, "write", e))?;
        let attempt = || {
            let file = File::open(&self.part)?;
            file.sync_all()?;
            let bytes = file.metadata()?.len();
            std::fs::rename(&self.part, &self.path)?;
            // The new name is on disk only once the folder is.
            if cfg!(unix) {
                let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                File::open(folder)?.sync_all()?;
            }
            Ok(bytes)
        };
        attempt().map_err(|e| Error::io(&self.path, "write", e))
    }
}

/// What was not finished leaves nothing behind.
impl Drop for ContainerWriter {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            let _ = file.close();
        }
        let _ = std::fs::remove_file(&self.part);
    }
}

/// An array being written in order.
pub(super) struct Slabs<'a, T> {
    to: &'a mut ContainerWriter,
    path: String,
    shape: Vec<u64>,
    data: H5Dataset,
    /// Elements of a row.
    row: usize,
    /// Elements of a slab: whole rows.
    chunk: usize,
    done: usize,
    hash: Xxh3,
    waiting: Vec<T>,
}

impl<T: Element> Slabs<'_, T> {
    /// Appends values.
    pub fn write(&mut self, mut values: &[T]) -> Result<()> {
        T::digest(values, &mut self.hash);
        while self.waiting.len() + values.len() >= self.chunk {
            if self.waiting.is_empty() {
                let whole = values.len() / self.chunk * self.chunk;
                let (now, later) = values.split_at(whole);
                self.put(now)?;
                values = later;
            } else {
                let (now, later) = values.split_at(self.chunk - self.waiting.len());
                self.waiting.extend_from_slice(now);
                let waiting = std::mem::take(&mut self.waiting);
                self.put(&waiting)?;
                values = later;
            }
        }
        self.waiting.extend_from_slice(values);
        Ok(())
    }

    fn put(&mut self, values: &[T]) -> Result<()> {
        // Compressed chunks are made one by one; plain ones go in one piece.
        let step = if self.to.compression == Compression::None { values.len().max(1) } else { self.chunk };
        for values in values.chunks(step) {
            let mut starts = vec![0; self.shape.len()];
            let mut counts: Vec<usize> = self.shape.iter().map(|n| *n as usize).collect();
            (starts[0], counts[0]) = (self.done / self.row, values.len() / self.row);
            let written = self.data.write_slice(&starts, &counts, values);
            written.map_err(|e| hdf5_error(&self.to.path, "write", e))?;
            self.done += values.len();
        }
        Ok(())
    }

    /// Ends the array.
    ///
    /// # Panics
    /// If it is not complete.
    pub fn finish(mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.put(&waiting)?;
        }
        assert_eq!(self.done as u64, self.shape.iter().product::<u64>(), "`{}` is complete", self.path);
        let entry = Entry { element: T::NAME.into(), shape: self.shape, xxh3: hex(self.hash.digest()) };
        self.to.arrays.insert(self.path, entry);
        Ok(())
    }
}

/// A container that was opened: its header is sound.
pub(super) struct Container {
    path: PathBuf,
    file: H5File,
    header: Header,
    file_bytes: u64,
}

impl Container {
    /// The kind of container a file says it is, if it is one.
    pub fn kind(path: &Path) -> Option<String> {
        H5File::options().locking(FileLocking::BestEffort).open(path).ok()?.attr_string(FORMAT).ok()
    }

    /// Opens a container of that kind, of a version up to `newest`.
    ///
    /// # Errors
    /// The file cannot be read, is not such a container, is of a later version, or its header is damaged.
    pub fn open(path: &Path, format: &str, newest: u32) -> Result<Self> {
        let file_bytes = std::fs::metadata(path).map_err(|e| Error::io(path, "open", e))?.len();
        let file = H5File::options().locking(FileLocking::BestEffort).open(path).map_err(|e| match e {
            Hdf5Error::Io(source) => Error::io(path, "open", source),
            other => Error::format(path, format!("it is not a file of kind `{format}`: {other}")),
        })?;
        match file.attr_string(FORMAT) {
            Ok(found) if found == format => {}
            Ok(found) => return Err(Error::format(path, format!("it is of kind `{found}`; `{format}` is needed"))),
            Err(_) => return Err(Error::format(path, format!("it is an HDF5 file, but not of kind `{format}`"))),
        }
        let mut container = Self { path: path.to_owned(), file, header: Header::none(), file_bytes };
        let damaged = |what: &str| Error::format(path, format!("/{HEADER}: the file is damaged ({what})"));
        let data = container.file.dataset(HEADER).map_err(|e| damaged(&e.to_string()))?;
        container.believable(HEADER, &data)?;
        if data.shape().iter().any(|n| *n as u64 > LONGEST_HEADER) {
            return Err(damaged(&format!("it claims {:?} bytes; at most {LONGEST_HEADER} are read", data.shape())));
        }
        let text = data.read_raw::<u8>().map_err(|e| damaged(&e.to_string()))?;
        let sum = container.file.attr_string(SUM).map_err(|e| damaged(&e.to_string()))?;
        if sum != hex(xxh3_64(&text)) {
            return Err(damaged("its checksum is wrong"));
        }
        container.header = serde_json::from_slice(&text).map_err(|e| damaged(&e.to_string()))?;
        if let Some(path) = container.header.arrays.iter().find(|(_, e)| e.shape.is_empty()).map(|(path, _)| path) {
            return Err(damaged(&format!("/{path} has no shape")));
        }
        if container.header.version > newest {
            let found = container.header.version;
            let message = format!("it has version {found} of `{format}`; this program reads versions up to {newest}");
            return Err(Error::format(path, message));
        }
        Ok(container)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length, bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// What its writer said of it.
    pub fn description(&self) -> &serde_json::Value {
        &self.header.description
    }

    fn entry(&self, path: &str) -> Result<&Entry> {
        self.header.arrays.get(path).ok_or_else(|| Error::format(&self.path, format!("there is no array `/{path}`")))
    }

    fn damaged(&self, path: &str, what: &str) -> Error {
        Error::format(&self.path, format!("/{path}: the file is damaged ({what})"))
    }

    /// Whether an array can be as large as it says, before memory is taken for it.
    fn believable(&self, path: &str, data: &H5Dataset) -> Result<()> {
        check_dataset(data, self.file_bytes).map_err(|why| self.damaged(path, &why))
    }

    /// Whether there is an array of that path, type and shape, as far as can be told without reading it.
    pub fn check_shape<T: Element>(&self, path: &str, shape: &[u64]) -> Result<()> {
        let (_, entry) = self.data::<T>(path)?;
        if entry.shape == shape {
            return Ok(());
        }
        Err(self.damaged(path, &format!("its shape is {:?} instead of {shape:?}", entry.shape)))
    }

    fn data<T: Element>(&self, path: &str) -> Result<(H5Dataset, &Entry)> {
        let entry = self.entry(path)?;
        if entry.element != T::NAME {
            let message = format!("/{path}: it has the type {}; {} is needed", entry.element, T::NAME);
            return Err(Error::format(&self.path, message));
        }
        let data = self.file.dataset(path).map_err(|e| self.damaged(path, &e.to_string()))?;
        if !data.shape().iter().map(|n| *n as u64).eq(entry.shape.iter().copied()) {
            return Err(self.damaged(path, &format!("its shape is {:?} instead of {:?}", data.shape(), entry.shape)));
        }
        self.believable(path, &data)?;
        Ok((data, entry))
    }

    /// Reads an array and checks it.
    pub fn read<T: Element>(&self, path: &str) -> Result<Vec<T>> {
        let (data, entry) = self.data::<T>(path)?;
        if entry.shape.contains(&0) {
            return Ok(Vec::new());
        }
        let values = data.read_raw::<T>().map_err(|e| self.damaged(path, &e.to_string()))?;
        let mut hash = Xxh3::new();
        T::digest(&values, &mut hash);
        if hex(hash.digest()) != entry.xxh3 {
            return Err(self.damaged(path, "its checksum is wrong"));
        }
        Ok(values)
    }

    /// One element of a one-dimensional array of floating-point numbers of either width.
    pub fn number(&self, path: &str, index: u64) -> Result<f64> {
        let value = match self.entry(path)?.element.as_str() {
            "f4" => self.rows::<f32>(path, index, 1)?.first().copied().map(f64::from),
            _ => self.rows::<f64>(path, index, 1)?.first().copied(),
        };
        value.ok_or_else(|| self.damaged(path, "it is empty"))
    }

    /// How its arrays are kept: that of the largest decides.
    pub fn compression(&self) -> Compression {
        let size = |e: &Entry| e.shape.iter().fold(1u64, |a, n| a.saturating_mul(*n));
        let largest = self.header.arrays.iter().max_by_key(|(_, e)| size(e));
        let filters = largest.and_then(|(path, _)| self.file.dataset(path).ok()?.filters().ok()).unwrap_or_default();
        match filters.iter().map(|f| f.id).collect::<Vec<_>>() {
            ids if ids.contains(&ZSTD) => Compression::Zstd,
            ids if ids.contains(&DEFLATE) => Compression::Gzip,
            _ => Compression::None,
        }
    }

    /// Reads an array of floating-point numbers of either width.
    pub fn numbers(&self, path: &str) -> Result<Vec<f64>> {
        match self.entry(path)?.element.as_str() {
            "f4" => Ok(self.read::<f32>(path)?.into_iter().map(f64::from).collect()),
            _ => self.read::<f64>(path),
        }
    }

    /// Copies all arrays but those that `skip` names, checking each on the way.
    pub fn copy_into(&self, to: &mut ContainerWriter, skip: impl Fn(&str) -> bool) -> Result<()> {
        let mut groups = std::collections::BTreeSet::new();
        for path in self.header.arrays.keys() {
            for (slash, _) in path.match_indices('/') {
                groups.insert(&path[..slash]);
            }
        }
        groups.into_iter().try_for_each(|group| to.group(group))?;
        for (path, entry) in self.header.arrays.iter().filter(|(path, _)| !skip(path)) {
            match entry.element.as_str() {
                "u1" => self.copy::<u8>(path, to)?,
                "u2" => self.copy::<u16>(path, to)?,
                "u4" => self.copy::<u32>(path, to)?,
                "u8" => self.copy::<u64>(path, to)?,
                "f4" => self.copy::<f32>(path, to)?,
                "f8" => self.copy::<f64>(path, to)?,
                other => return Err(self.damaged(path, &format!("unknown type `{other}`"))),
            }
            if to.arrays[path] != *entry {
                return Err(self.damaged(path, "its checksum is wrong"));
            }
        }
        Ok(())
    }

    fn copy<T: Element>(&self, path: &str, to: &mut ContainerWriter) -> Result<()> {
        // What the header claims is checked before room for it is made in the other file.
        let shape = self.data::<T>(path)?.1.shape.clone();
        let mut slabs = to.slabs::<T>(path, &shape)?;
        self.pieces::<T>(path, |piece| slabs.write(piece))?;
        slabs.finish()
    }

    /// Some rows of an array, unchecked but for their place.
    pub fn rows<T: Element>(&self, path: &str, first: u64, rows: u64) -> Result<Vec<T>> {
        let (data, entry) = self.data::<T>(path)?;
        if first.checked_add(rows).is_none_or(|end| end > entry.shape[0]) {
            return Err(self.damaged(path, &format!("rows {first} to {first} + {rows} of {:?}", entry.shape)));
        }
        if rows == 0 {
            return Ok(Vec::new());
        }
        let mut starts = vec![0; entry.shape.len()];
        let mut counts: Vec<usize> = entry.shape.iter().map(|n| *n as usize).collect();
        (starts[0], counts[0]) = (first as usize, rows as usize);
        data.read_slice::<T>(&starts, &counts).map_err(|e| self.damaged(path, &e.to_string()))
    }

    /// Maps an array: nothing is read before it is looked at. Its checksum is not checked.
    pub fn map<T: Element>(&self, path: &str) -> Result<MappedView<T>> {
        let (data, _) = self.data::<T>(path)?;
        if data.is_chunked() {
            let message = format!(
                "/{path}: it is compressed and cannot be mapped; `tessera convert` makes a plain model file of it"
            );
            return Err(Error::format(&self.path, message));
        }
        data.read_mapped::<T>()
            .map_err(|e| Error::format(&self.path, format!("/{path}: it cannot be mapped into memory: {e}")))
    }

    /// Checks every array against its checksum; gives all that is damaged.
    pub fn verify(&self) -> Vec<Error> {
        let check = |path: &str, entry: &Entry| match entry.element.as_str() {
            "u1" => self.sum::<u8>(path),
            "u2" => self.sum::<u16>(path),
            "u4" => self.sum::<u32>(path),
            "u8" => self.sum::<u64>(path),
            "f4" => self.sum::<f32>(path),
            "f8" => self.sum::<f64>(path),
            other => Err(self.damaged(path, &format!("unknown type `{other}`"))),
        };
        self.header.arrays.iter().filter_map(|(path, entry)| check(path, entry).err()).collect()
    }

    /// Checks an array without holding all of it.
    fn sum<T: Element>(&self, path: &str) -> Result<()> {
        let mut hash = Xxh3::new();
        self.pieces::<T>(path, |piece| {
            T::digest(piece, &mut hash);
            Ok(())
        })?;
        let right = hex(hash.digest()) == self.entry(path)?.xxh3;
        if right { Ok(()) } else { Err(self.damaged(path, "its checksum is wrong")) }
    }

    /// Gives an array piece by piece, in order.
    fn pieces<T: Element>(&self, path: &str, mut take: impl FnMut(&[T]) -> Result<()>) -> Result<()> {
        let shape = &self.entry(path)?.shape;
        let (rows, row) = (shape[0], shape[1..].iter().fold(1u64, |a, n| a.saturating_mul((*n).max(1))));
        let step = (16 * SLAB as u64 / row.saturating_mul(size_of::<T>() as u64)).max(1);
        let mut first = 0;
        while first < rows {
            let rows = step.min(rows - first);
            take(&self.rows::<T>(path, first, rows)?)?;
            first += rows;
        }
        Ok(())
    }
}

impl Header {
    fn none() -> Self {
        Self { version: 0, arrays: BTreeMap::new(), description: serde_json::Value::Null }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, compression: Compression) -> Vec<u64> {
        let mut writer = ContainerWriter::create(path, "test", compression).unwrap();
        writer.group("a").unwrap();
        writer.group("a/b").unwrap();
        let small: Vec<f32> = (0..30).map(|i| i as f32).collect();
        writer.array("a/b/small", &[10, 3], &small).unwrap();
        writer.array::<u16>("none", &[0], &[]).unwrap();
        let large: Vec<u64> = (0..400_000).map(|i| i * i).collect();
        let mut slabs = writer.slabs::<u64>("a/large", &[400_000]).unwrap();
        for piece in large.chunks(77_777) {
            slabs.write(piece).unwrap();
        }
        slabs.finish().unwrap();
        writer.finish(1, serde_json::json!({ "what": "a test" })).unwrap();
        large
    }

    #[test]
    fn what_was_written_is_read_and_mapped() {
        let folder = tempfile::tempdir().unwrap();
        for compression in [Compression::None, Compression::Zstd, Compression::Gzip] {
            let path = folder.path().join("c.h5");
            let large = write(&path, compression);
            let container = Container::open(&path, "test", 1).unwrap();
            assert_eq!(container.description()["what"], "a test");
            assert_eq!(container.read::<u64>("a/large").unwrap(), large);
            assert_eq!(container.read::<f32>("a/b/small").unwrap()[29], 29.0);
            assert_eq!(container.rows::<f32>("a/b/small", 2, 2).unwrap(), [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
            assert!(container.read::<u16>("none").unwrap().is_empty());
            assert!(container.verify().is_empty());
            match container.map::<u64>("a/large") {
                Ok(view) => {
                    assert_eq!(compression, Compression::None);
                    assert_eq!(view[..], large[..]);
                    assert_eq!(view.as_ptr() as usize % PAGE as usize, 0, "large arrays begin on a page");
                }
                Err(error) => assert!(compression != Compression::None && error.to_string().contains("compressed")),
            }
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    #[test]
    fn unfinished_containers_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.h5");
        std::fs::write(&path, b"older").unwrap();
        let mut writer = ContainerWriter::create(&path, "test", Compression::None).unwrap();
        writer.array::<u8>("x", &[3], &[1, 2, 3]).unwrap();
        drop(writer);
        assert_eq!(std::fs::read(&path).unwrap(), b"older");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn damage_and_other_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.h5");
        write(&path, Compression::None);
        assert!(Container::open(&path, "other", 1).err().unwrap().to_string().contains("of kind `test`"));
        assert!(Container::open(&path, "test", 0).err().unwrap().to_string().contains("versions up to 0"));
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        let container = Container::open(&path, "test", 1).unwrap();
        let found = container.verify();
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("/a/large: the file is damaged"), "{}", found[0]);
        assert!(container.read::<u64>("a/large").is_err());
    }
}
