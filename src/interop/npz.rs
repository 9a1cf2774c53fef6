//! NPZ files, NumPy's format for several arrays: a ZIP archive of NPY files.

use super::npy::{self, Array};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// Deflated data are at most about 1,032 times smaller than what they stand for; what claims more is refused.
const MOST_EXPANSION: u64 = 1_100;
/// Room for headers beyond that.
const HEADER: u64 = 1 << 16;

/// The arrays of an NPZ file.
pub struct Npz<'a> {
    path: &'a Path,
    archive: ZipArchive<BufReader<File>>,
    bytes: u64,
}

/// Whether a file is one in NPZ format by its name.
pub(super) fn is_named(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"))
}

impl<'a> Npz<'a> {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read or is not a ZIP archive.
    pub fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
        let bytes = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
        let archive = ZipArchive::new(BufReader::new(file))
            .map_err(|e| Error::format(path, format!("it is not an NPZ file: {e}")))?;
        Ok(Self { path, archive, bytes })
    }

    /// Names of the arrays.
    pub fn names(&self) -> Vec<String> {
        let names = self.archive.file_names().filter_map(Result::ok);
        names.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned)).collect()
    }

    /// Reads an array that is one short text, as NumPy keeps it in bytes or in UTF-32.
    ///
    /// # Errors
    /// There is none of that name, or it is no text.
    pub fn text(&mut self, name: &str) -> Result<String> {
        let wrong = |what: &str| Error::format(self.path, format!("array `{name}`: {what}"));
        let entry =
            self.archive.by_name(&format!("{name}.npy")).map_err(|e| wrong(&format!("it cannot be read: {e}")))?;
        let mut bytes = Vec::new();
        entry.take(HEADER).read_to_end(&mut bytes).map_err(|e| Error::io(self.path, "read", e))?;
        // Magic, version, length of the header (two bytes in version 1, four in later ones), header, text.
        let header = match bytes.get(6..12) {
            Some(&[1, _, low, high, ..]) => 10 + usize::from(u16::from_le_bytes([low, high])),
            Some(&[_, _, a, b, c, d]) => 12usize.saturating_add(u32::from_le_bytes([a, b, c, d]) as usize),
            _ => return Err(wrong("it is not an NPY file")),
        };
        let text = bytes.get(header..).ok_or_else(|| wrong("it is not an NPY file"))?;
        String::from_utf8(text.iter().copied().filter(|b| *b != 0).collect()).map_err(|_| wrong("it is no text"))
    }

    /// Reads an array.
    ///
    /// # Errors
    /// There is none of that name, or it is not what [`npy::read`] takes.
    pub fn array(&mut self, name: &str) -> Result<Array> {
        let at = format!("array `{name}`: ");
        let most = self.bytes.saturating_mul(MOST_EXPANSION).saturating_add(HEADER);
        let entry = self
            .archive
            .by_name(&format!("{name}.npy"))
            .map_err(|e| Error::format(self.path, format!("{at}it cannot be read: {e}")))?;
        if entry.size() > most {
            let message = format!("{at}it claims {} bytes, which cannot be in this file", entry.size());
            return Err(Error::format(self.path, message));
        }
        let mut bytes = Vec::new();
        entry.take(most).read_to_end(&mut bytes).map_err(|e| Error::io(self.path, "read", e))?;
        npy::parse(self.path, &at, &bytes[..])
    }
}
