//! A thin, checked face to HDF5 files of other programs: nothing is read before its size is compared with the file's.

use crate::claims::{check_dataset, check_texts};
use crate::error::{Error, Result};
use rust_hdf5::{DatatypeMessage, FileLocking, H5Dataset, H5File};
use std::path::{Path, PathBuf};

/// An HDF5 file open for reading.
pub(super) struct Hdf5 {
    path: PathBuf,
    file: H5File,
    bytes: u64,
}

impl std::fmt::Debug for Hdf5 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hdf5({})", self.path.display())
    }
}

impl Hdf5 {
    /// Opens a file, also where the file system has no locks.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::metadata(path).map_err(|e| Error::io(path, "read", e))?.len();
        match H5File::options().locking(FileLocking::BestEffort).open(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file, bytes }),
            Err(rust_hdf5::Hdf5Error::Io(source)) => Err(Error::io(path, "read", source)),
            Err(error) => Err(Error::format(path, format!("it cannot be read as HDF5: {error}"))),
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the groups in a group, if that exists.
    pub(super) fn groups(&self, group: &str) -> Result<Option<Vec<String>>> {
        match self.group(group) {
            Some(found) => found.group_names().map(Some).map_err(|e| self.error(group, e)),
            None => Ok(None),
        }
    }

    /// Names of the data sets in a group; none if there is no such group.
    pub(super) fn datasets(&self, group: &str) -> Result<Vec<String>> {
        match self.group(group) {
            Some(found) => found.dataset_names().map_err(|e| self.error(group, e)),
            None => Ok(Vec::new()),
        }
    }

    fn group(&self, path: &str) -> Option<rust_hdf5::H5Group> {
        path.split('/').try_fold(self.file.root_group(), |group, name| group.group(name).ok())
    }

    /// An error at a place of the file.
    pub(super) fn error(&self, place: &str, message: impl std::fmt::Display) -> Error {
        Error::format(&self.path, format!("/{place}: {message}"))
    }

    /// Opens a data set with at most one dimension, after checking that the file can hold it.
    fn dataset(&self, path: &str) -> Result<H5Dataset> {
        let dataset = self.file.dataset(path).map_err(|e| self.error(path, e))?;
        let shape = dataset.shape();
        if shape.len() > 1 {
            return Err(self.error(path, format!("its shape is {shape:?}; a list of values is expected")));
        }
        check_dataset(&dataset, self.bytes).map_err(|why| self.error(path, why))?;
        Ok(dataset)
    }

    /// Number of values of a data set.
    pub(super) fn length(&self, path: &str) -> Result<usize> {
        Ok(self.dataset(path)?.total_elements())
    }

    /// Whole numbers from 0 on.
    pub(super) fn indices(&self, path: &str) -> Result<Vec<u64>> {
        self.dataset(path)?.read_numeric_as().map_err(|e| self.error(path, e))
    }

    /// Whole numbers.
    pub(super) fn integers(&self, path: &str) -> Result<Vec<i64>> {
        self.dataset(path)?.read_numeric_as().map_err(|e| self.error(path, e))
    }

    /// Numbers of any type.
    pub(super) fn numbers(&self, path: &str) -> Result<Vec<f64>> {
        let dataset = self.dataset(path)?;
        let failed = |e| self.error(path, e);
        if let DatatypeMessage::FloatingPoint { .. } = dataset.datatype().map_err(failed)? {
            return dataset.read_numeric_as().map_err(failed);
        }
        let integers: Vec<i64> = dataset.read_numeric_as().map_err(failed)?;
        Ok(integers.into_iter().map(|n| n as f64).collect())
    }

    /// Texts of fixed or variable length.
    pub(super) fn texts(&self, path: &str) -> Result<Vec<String>> {
        let dataset = self.dataset(path)?;
        check_texts(&self.path, &dataset, self.bytes).map_err(|why| self.error(path, why))?;
        dataset.read_strings().map_err(|e| self.error(path, e))
    }

    /// Whether a data set holds texts.
    pub(super) fn holds_texts(&self, path: &str) -> Result<bool> {
        let datatype = self.dataset(path)?.datatype().map_err(|e| self.error(path, e))?;
        Ok(matches!(datatype, DatatypeMessage::VarLenString { .. } | DatatypeMessage::FixedString { .. }))
    }

    /// A text attribute of a data set, if there is one.
    pub(super) fn text_attribute(&self, path: &str, name: &str) -> Result<Option<String>> {
        let dataset = self.dataset(path)?;
        if !dataset.attr_names().map_err(|e| self.error(path, e))?.iter().any(|known| known == name) {
            return Ok(None);
        }
        let read = dataset.attr(name).and_then(|attribute| attribute.read_string());
        read.map(Some).map_err(|e| self.error(&format!("{path}.{name}"), e))
    }
}
