//! Making tables and arrays readable again that a killed run or a full disk left in the midst of a record.

use super::csv_spikes;
use super::npy_spikes;
use super::rate_table;
use super::repair::Repaired;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const BLOCK: u64 = 64 * 1024;

fn open(path: &Path) -> Result<(File, u64)> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| Error::io(path, "open", e))?;
    let len = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
    Ok((file, len))
}

fn read_at(path: &Path, file: &mut File, offset: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len.min(BLOCK) as usize];
    let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|e| Error::io(path, "read", e))?;
    Ok(bytes)
}

/// Whether a file begins as the tables of spikes and rates do.
pub(super) fn is_table(path: &Path) -> bool {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BLOCK).read_to_end(&mut begin));
    let line = begin.split(|&b| b == b'\n').next().unwrap_or_default();
    read.is_ok()
        && (line == csv_spikes::HEADER.as_bytes() || line.starts_with(format!("{},", rate_table::TIME).as_bytes()))
}

/// Cuts a last line without an end off a table.
pub(super) fn table(path: &Path) -> Result<Repaired> {
    let (mut file, len) = open(path)?;
    if len == 0 {
        return Ok(Repaired::Intact);
    }
    if !is_table(path) {
        return Err(Error::format(path, "it is not a table of spikes or rates by this program"));
    }
    let mut end = len;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        let block = read_at(path, &mut file, begin, end - begin)?;
        if let Some(last) = block.iter().rposition(|&b| b == b'\n') {
            end = begin + last as u64 + 1;
            break;
        }
        end = begin;
    }
    if end == len {
        return Ok(Repaired::Intact);
    }
    file.set_len(end).and_then(|()| file.sync_all()).map_err(|e| Error::io(path, "write", e))?;
    Ok(Repaired::Recovered)
}

/// One of the two arrays of a population.
struct Array {
    path: PathBuf,
    dtype: &'static str,
    file: File,
    len: u64,
    /// Elements, by the header and by the length of the file.
    said: u64,
    has: u64,
}

impl Array {
    fn open(path: PathBuf, dtype: &'static str) -> Result<Self> {
        let (mut file, len) = open(&path)?;
        let header = npy_spikes::HEADER as u64;
        let begin = if len < header { Vec::new() } else { read_at(&path, &mut file, 0, header)? };
        let Some(said) = npy_spikes::length_in(&begin, dtype) else {
            return Err(Error::format(&path, format!("it is not an array of `{dtype}` by this program")));
        };
        let has = (len - header) / npy_spikes::element_size(dtype);
        Ok(Self { path, dtype, file, len, said, has })
    }

    /// Gives the array the length `len`, if it has another.
    fn level(&mut self, len: u64) -> Result<Repaired> {
        let bytes = npy_spikes::HEADER as u64 + len * npy_spikes::element_size(self.dtype);
        if (self.said, self.len) == (len, bytes) {
            return Ok(Repaired::Intact);
        }
        let header = npy_spikes::header(self.dtype, len);
        let file = &mut self.file;
        let mut attempt = || {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.set_len(bytes)?;
            file.sync_all()
        };
        attempt().map_err(|e| Error::io(&self.path, "write", e))?;
        Ok(Repaired::Recovered)
    }
}

/// Brings the two arrays of a population to the same length, that of the shorter, and their headers with them.
pub(super) fn arrays(folder: &Path, population: &str) -> Result<Repaired> {
    let [times, ids] = npy_spikes::file_names(population).map(|name| folder.join(name));
    let mut times = Array::open(times, npy_spikes::DTYPES[0])?;
    let mut ids = Array::open(ids, npy_spikes::DTYPES[1])?;
    let both = times.has.min(ids.has);
    let (times, ids) = (times.level(both)?, ids.level(both)?);
    Ok(if ids == Repaired::Intact { times } else { ids })
}
