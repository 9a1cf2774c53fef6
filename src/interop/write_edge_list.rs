//! Lists of synapses for other tools, written one synapse at a time.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A list of synapses being written: under another name until it is complete.
///
/// - `.npy`: a structured array with the fields `source` and `target` (u64), `weight` and `delay` (f64).
/// - anything else: values between commas under a header line with these names.
///
/// Numbers are written so that the same ones are read back. [`super::edge_list::read`] reads both.
#[derive(Debug)]
pub struct EdgeListWriter {
    path: PathBuf,
    aside: PathBuf,
    file: Option<BufWriter<File>>,
    binary: bool,
    expected: u64,
    written: u64,
}

impl EdgeListWriter {
    /// Begins a list of so many synapses.
    ///
    /// # Errors
    /// The file exists and `overwrite` is false, or cannot be made.
    pub fn create(path: impl AsRef<Path>, synapses: u64, overwrite: bool) -> Result<Self> {
        let path = path.as_ref().to_owned();
        if path.exists() && !overwrite {
            let message = format!("{} exists; choose another name or allow it with --overwrite", path.display());
            return Err(Error::Usage(message));
        }
        let name = path.file_name().ok_or_else(|| Error::Usage(format!("{} is not a file name", path.display())))?;
        let aside = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
        let file = File::create(&aside).map_err(|e| Error::io(&path, "create", e))?;
        let binary = super::npy::is_named(&path);
        let mut writer = Self { path, aside, file: Some(BufWriter::new(file)), binary, expected: synapses, written: 0 };
        let header = if binary { npy_header(synapses) } else { b"source,target,weight,delay\n".to_vec() };
        writer.put(&header)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let file = self.file.as_mut().expect("open until it is finished");
        file.write_all(bytes).map_err(|e| Error::io(&self.path, "write", e))
    }

    /// Adds a synapse; the delay in ms.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push(&mut self, source: u64, target: u64, weight: f64, delay: f64) -> Result<()> {
        self.written += 1;
        if !self.binary {
            return self.put(format!("{source},{target},{weight},{delay}\n").as_bytes());
        }
        let mut row = [0; 32];
        row[..8].copy_from_slice(&source.to_le_bytes());
        row[8..16].copy_from_slice(&target.to_le_bytes());
        row[16..24].copy_from_slice(&weight.to_le_bytes());
        row[24..].copy_from_slice(&delay.to_le_bytes());
        self.put(&row)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// The file cannot be written, or has another number of synapses than was said.
    pub fn finish(mut self) -> Result<()> {
        if self.written != self.expected {
            let message = format!("{} of {} synapses were written", self.written, self.expected);
            return Err(Error::format(&self.path, message));
        }
        let file = self.file.take().expect("open until it is finished");
        let attempt = || {
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            std::fs::rename(&self.aside, &self.path)
        };
        attempt().map_err(|e| Error::io(&self.path, "write", e))
    }
}

/// What was not finished leaves nothing behind.
impl Drop for EdgeListWriter {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.aside);
    }
}

/// The header of an NPY file, version 1.0, padded so that the data begin at a multiple of 64 bytes.
fn npy_header(rows: u64) -> Vec<u8> {
    let mut text = format!(
        "{{'descr': [('source', '<u8'), ('target', '<u8'), ('weight', '<f8'), ('delay', '<f8')], 'fortran_order': False, \
         'shape': ({rows},), }}"
    );
    const BEFORE: usize = 10;
    let whole = (BEFORE + text.len() + 1).next_multiple_of(64);
    text.push_str(&" ".repeat(whole - BEFORE - text.len() - 1));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&(text.len() as u16).to_le_bytes());
    header.extend_from_slice(text.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interop::edge_list;

    #[test]
    fn lists_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let edges = [(0, 7, 0.1, 1.5), (1 << 33, 2, -12.0, 0.30000000000000004), (5, 5, 1e-7, 0.0)];
        for name in ["edges.csv", "edges.npy"] {
            let path = folder.path().join(name);
            let write = |overwrite| -> Result<()> {
                let mut writer = EdgeListWriter::create(&path, 3, overwrite)?;
                for (source, target, weight, delay) in edges {
                    writer.push(source, target, weight, delay)?;
                }
                writer.finish()
            };
            write(false).unwrap();
            let read: Vec<_> = edge_list::read(&path)
                .unwrap()
                .iter()
                .map(|e| (e.source, e.target, e.weight.unwrap(), e.delay.unwrap()))
                .collect();
            assert_eq!(read, edges, "{name}");
            assert!(matches!(write(false), Err(Error::Usage(_))));
            write(true).unwrap();
        }
        drop(EdgeListWriter::create(folder.path().join("half.csv"), 1, false).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
