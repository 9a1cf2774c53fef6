//! Claims of texts of variable length in HDF5 files.
//!
//! Such a data set holds references to objects in collections (global heaps). Nothing keeps a file from referring to one
//! large object many times, or from having collections that overlap; a reader copies each of them.

use rust_hdf5::{DatatypeMessage, H5Dataset};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Most bytes of texts for each byte of the file, beyond those that any file may have.
const MOST_EXPANSION: u64 = 16;
const FREE: u64 = 64 << 20;
const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Whether the texts of a data set, all together, are in proportion to its file, so that they may be read. Others than
/// those of variable length always are. The data set itself has been found sound ([`check_dataset`](super::check_dataset)).
///
/// # Errors
/// What is wrong, as a part of a sentence.
pub fn check_texts(path: &Path, data: &H5Dataset, file_bytes: u64) -> Result<(), String> {
    if !matches!(data.datatype().map_err(|e| e.to_string())?, DatatypeMessage::VarLenString { .. }) {
        return Ok(());
    }
    // A reference: length (4 bytes), address of the collection, number of the object in it (4 bytes).
    let reference = data.element_size();
    let width = reference.checked_sub(8).filter(|width| (1..=8).contains(width));
    let Some(width) = width else { return Err(format!("its references have {reference} bytes")) };
    let references = data.read_raw_bytes().map_err(|e| e.to_string())?;
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let start = start_of(&mut file, file_bytes).map_err(|e| e.to_string())?;
    let nowhere = u64::MAX >> (64 - 8 * width as u32);
    let mut collections: HashMap<u64, u64> = HashMap::new();
    let mut known = HashSet::new();
    let mut bytes = 0u64;
    for reference in references.chunks_exact(reference) {
        let (place, object) = (&reference[4..4 + width], &reference[4 + width..]);
        let place = place.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        if place == 0 || place == nowhere {
            continue;
        }
        let size = match collections.get(&place) {
            Some(size) => *size,
            None => {
                let size = size_of_collection(&mut file, start.saturating_add(place))
                    .ok_or_else(|| format!("it refers to texts at {place}, where there are none"))?
                    .min(file_bytes);
                collections.insert(place, size);
                bytes = bytes.saturating_add(size);
                size
            }
        };
        if !known.insert((place, object.to_vec())) {
            bytes = bytes.saturating_add(size);
        }
        if bytes > file_bytes.saturating_mul(MOST_EXPANSION).saturating_add(FREE) {
            return Err(format!("it refers to the same texts again and again, more than a file of {file_bytes} bytes"));
        }
    }
    Ok(())
}

/// Where HDF5 begins in a file: at 0, or after something of another program of 512 bytes or a power of two as many.
fn start_of(file: &mut File, file_bytes: u64) -> std::io::Result<u64> {
    let mut start = 0;
    while start + 8 <= file_bytes {
        let mut bytes = [0; 8];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        if bytes == *SIGNATURE {
            return Ok(start);
        }
        start = if start == 0 { 512 } else { start.saturating_mul(2) };
    }
    Ok(0)
}

/// The size that a collection says it has, if there is one.
fn size_of_collection(file: &mut File, at: u64) -> Option<u64> {
    let mut bytes = [0; 16];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    let [b'G', b'C', b'O', b'L', _, _, _, _, size @ ..] = bytes else { return None };
    Some(u64::from_le_bytes(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_hdf5::H5File;

    fn check(path: &Path) -> Result<(), String> {
        let file = H5File::open(path).unwrap();
        check_texts(path, &file.dataset("texts").unwrap(), std::fs::metadata(path).unwrap().len())
    }

    #[test]
    fn one_text_many_times_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.h5");
        let file = H5File::create(&path).unwrap();
        let long = "x".repeat(50_000);
        let mut texts = vec!["a"; 20_000];
        texts[0] = &long;
        file.root_group().write_vlen_strings("texts", &texts).unwrap();
        file.close().unwrap();
        assert_eq!(check(&path), Ok(()));
        // All references become the first one.
        let mut bytes = std::fs::read(&path).unwrap();
        let first: Vec<u8> = [50_000u32.to_le_bytes()].concat();
        let at = bytes.windows(4).enumerate().find(|(at, w)| *w == first && bytes[at + 16..at + 20] == [1, 0, 0, 0]);
        let at = at.unwrap().0;
        let reference = bytes[at..at + 16].to_vec();
        for k in 1..20_000 {
            bytes[at + 16 * k..at + 16 * (k + 1)].copy_from_slice(&reference);
        }
        std::fs::write(&path, &bytes).unwrap();
        let why = check(&path).unwrap_err();
        assert!(why.contains("again and again"), "{why}");
    }
}
