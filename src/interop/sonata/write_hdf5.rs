//! HDF5 files of SONATA being written: columns of known length, filled from the front with bounded memory.

use crate::error::{Error, Result};
use rust_hdf5::format::messages::datatype::EnumMember;
use rust_hdf5::{DatatypeMessage, H5Dataset, H5File, H5Group, H5Type, Hdf5Error};
use std::path::{Path, PathBuf};

/// Rows a column keeps before it writes them.
const WAITING: usize = 1 << 16;

/// An HDF5 file being written. It must not be read before [`close`](Self::close).
pub(super) struct NewFile {
    path: PathBuf,
    file: H5File,
}

/// A data set of a [`NewFile`] that is filled from the front. A row has `WIDTH` values.
pub(super) struct Column<T, const WIDTH: usize = 1> {
    path: PathBuf,
    dataset: H5Dataset,
    rows: usize,
    written: usize,
    waiting: Vec<T>,
}

fn failed(path: &Path) -> impl Fn(Hdf5Error) -> Error + '_ {
    move |error| match error {
        Hdf5Error::Io(source) => Error::io(path, "write", source),
        other => Error::format(path, format!("cannot write: {other}")),
    }
}

/// A number of rows as memory counts it.
fn count(path: &Path, rows: u64) -> Result<usize> {
    usize::try_from(rows).map_err(|_| Error::format(path, format!("{rows} rows are more than this machine can count")))
}

impl NewFile {
    /// Creates the file, with the root attributes that SONATA wants.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = H5File::create(path).map_err(failed(path))?;
        file.set_attr_numeric("magic", &0x0A7A_u32).map_err(failed(path))?;
        file.set_attr_array_numeric("version", &[0_u32, 1]).map_err(failed(path))?;
        file.set_attr_string("creator", "tessera").map_err(failed(path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// The group above what a path names, and the last part of the path.
    fn above<'p>(&self, path: &'p str) -> Result<(H5Group, &'p str)> {
        match path.rsplit_once('/') {
            None => Ok((self.file.root_group(), path)),
            Some((above, name)) => Ok((self.file.root_group().group(above).map_err(failed(&self.path))?, name)),
        }
    }

    /// Makes the group of that path; the one above it exists.
    pub(super) fn group(&self, path: &str) -> Result<()> {
        let (above, name) = self.above(path)?;
        above.create_group(name).map(drop).map_err(failed(&self.path))
    }

    /// Sets an attribute of an enumeration type over u8 on a group; `members[i]` has the value `i`.
    pub(super) fn enum_attribute(&self, group: &str, name: &str, members: &[&str], value: u8) -> Result<()> {
        let members =
            members.iter().zip(0u8..).map(|(m, v)| EnumMember { name: (*m).into(), value: vec![v] }).collect();
        let datatype = DatatypeMessage::enumeration(DatatypeMessage::u8_type(), members);
        let group = self.file.root_group().group(group).map_err(failed(&self.path))?;
        group.set_attr_typed(name, datatype, vec![value]).map_err(failed(&self.path))
    }

    /// Makes a data set of `rows` rows. Its text attributes are those given.
    pub(super) fn column<T: H5Type, const WIDTH: usize>(
        &self,
        path: &str,
        rows: u64,
        attributes: &[(&str, &str)],
    ) -> Result<Column<T, WIDTH>> {
        let rows = count(&self.path, rows)?;
        let shape: &[usize] = if WIDTH == 1 { &[rows] } else { &[rows, WIDTH] };
        let (above, name) = self.above(path)?;
        let dataset = above.new_dataset::<T>().shape(shape).create(name).map_err(failed(&self.path))?;
        for (name, value) in attributes {
            let attribute = dataset.new_attr::<rust_hdf5::types::VarLenUnicode>().shape(()).create(name);
            attribute.and_then(|a| a.write_string(value)).map_err(failed(&self.path))?;
        }
        Ok(Column { path: self.path.clone(), dataset, rows, written: 0, waiting: Vec::new() })
    }

    /// Makes a data set with these values.
    pub(super) fn values<T: H5Type + Copy>(&self, path: &str, values: &[T], attributes: &[(&str, &str)]) -> Result<()> {
        let mut column = self.column::<T, 1>(path, values.len() as u64, attributes)?;
        column.extend(values)?;
        column.finish()
    }

    /// Gives a data set a second name in the same group.
    pub(super) fn also_named(&self, group: &str, dataset: &str, name: &str) -> Result<()> {
        let made = self.file.root_group().group(group).and_then(|g| g.link(name, &format!("{group}/{dataset}")));
        made.map_err(failed(&self.path))
    }

    /// Completes the file; when this returns it is on disk.
    pub(super) fn close(self) -> Result<()> {
        let Self { path, file } = self;
        file.close().map_err(failed(&path))
    }
}

impl<T: H5Type + Copy, const WIDTH: usize> Column<T, WIDTH> {
    /// Adds a row.
    pub(super) fn push(&mut self, row: [T; WIDTH]) -> Result<()> {
        self.waiting.extend_from_slice(&row);
        if self.waiting.len() >= WAITING * WIDTH { self.flush() } else { Ok(()) }
    }

    /// Adds whole rows.
    pub(super) fn extend(&mut self, values: &[T]) -> Result<()> {
        for part in values.chunks(WAITING * WIDTH) {
            self.waiting.extend_from_slice(part);
            if self.waiting.len() >= WAITING * WIDTH {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = self.waiting.len() / WIDTH;
        if rows == 0 {
            return Ok(());
        }
        let (starts, counts): (&[usize], &[usize]) =
            if WIDTH == 1 { (&[self.written], &[rows]) } else { (&[self.written, 0], &[rows, WIDTH]) };
        self.dataset.write_slice(starts, counts, &self.waiting).map_err(failed(&self.path))?;
        self.written += rows;
        self.waiting.clear();
        Ok(())
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The file cannot be written, or not all rows were given.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        if self.written == self.rows {
            return Ok(());
        }
        Err(Error::format(&self.path, format!("{} of {} rows of a column were made", self.written, self.rows)))
    }
}
