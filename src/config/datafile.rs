//! What is wrong with the data files of a configuration is told at the key that names the file.

use super::reader::{Context, Section};
use super::tree::Place;
use crate::error::{Error, Result};

/// What was read from a data file; its faults are noted at a key of a section.
pub(super) fn noted<T>(section: &Section<'_>, key: &str, read: Result<T>) -> Option<T> {
    noted_at(section.ctx, &section.path_of(key), section.place_of(key), read)
}

/// As [`noted`], with the whole path of the key.
pub(super) fn noted_at<T>(ctx: &Context, key: &str, place: Place, read: Result<T>) -> Option<T> {
    match read {
        Ok(read) => return Some(read),
        Err(Error::Invalid(faults)) => faults.iter().for_each(|fault| ctx.fault(key, place, fault.to_string())),
        Err(error) => ctx.fault(key, place, error.to_string()),
    }
    None
}
