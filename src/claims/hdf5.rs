//! Claims of data sets in HDF5 files.

use rust_hdf5::{H5Dataset, Hdf5Error, StorageLayout};

/// Most bytes a compressed data set may hold for each byte of its file. Deflate reaches about 1000; zstd reaches more on
/// long runs of one value, which are a small part of real files.
pub const MOST_EXPANSION: u64 = 4096;
/// Bytes of a chunk that need no file to hold them: chunks may be larger than what has been written of them.
const FREE_CHUNK: u64 = 64 << 20;

/// Number of chunks that a data set of any file may come to have. A list of them takes 24 bytes for each.
const FREE_CHUNKS: u64 = 1 << 22;

/// Whether the file can hold what a data set in it claims to be, so that it may be read; if not, why. `file_bytes` is
/// the length of the file.
///
/// Values in other files and virtual data sets are not read: a file must not lead to others.
///
/// # Errors
/// The claim, and what it is compared with, as a part of a sentence.
pub fn check_dataset(data: &H5Dataset, file_bytes: u64) -> Result<(), String> {
    let said = |e: Hdf5Error| e.to_string();
    let compressed = match data.storage_layout().map_err(said)? {
        StorageLayout::Virtual => return Err("it is a virtual data set, which are not read".to_owned()),
        StorageLayout::Chunked => !data.filters().map_err(said)?.is_empty(),
        _ => false,
    };
    if !data.external_files().map_err(said)?.is_empty() {
        return Err("its values stand in another file, which is not read".to_owned());
    }
    let most = if compressed { file_bytes.saturating_mul(MOST_EXPANSION) } else { file_bytes };
    // Axes of no length hide the others, which readers take for counts all the same.
    let bytes_of = |axes: &[usize]| {
        axes.iter().try_fold(data.element_size() as u64, |bytes, n| bytes.checked_mul((*n).max(1) as u64))
    };
    let shape = data.shape();
    if bytes_of(&shape).is_none_or(|bytes| bytes > most) {
        return Err(format!("it claims the shape {shape:?}, more than a file of {file_bytes} bytes can hold"));
    }
    if let Some(chunk) = data.chunk_dims()
        && bytes_of(&chunk).is_none_or(|bytes| bytes > most.max(FREE_CHUNK))
    {
        return Err(format!(
            "it claims chunks of the shape {chunk:?}, more than a file of {file_bytes} bytes can hold"
        ));
    }
    if let Some(chunk) = data.chunk_dims() {
        // Readers list all chunks there may come to be, at least along the axes that have an end.
        let most = data.max_shape().map_err(said)?;
        let chunks = shape.iter().zip(&most).zip(&chunk).try_fold(1u64, |chunks, ((axis, most), chunk)| {
            chunks.checked_mul((*axis).max(most.unwrap_or(0)).checked_div(*chunk)?.saturating_add(1) as u64)
        });
        // The index of a chunk that is there takes 8 bytes of the file at least.
        if chunks.is_none_or(|chunks| chunks > (file_bytes / 8).max(FREE_CHUNKS)) {
            let message =
                format!("it claims the shape {shape:?} (at most {most:?}) in chunks of {chunk:?}, which are too many");
            return Err(message);
        }
    }
    Ok(())
}
