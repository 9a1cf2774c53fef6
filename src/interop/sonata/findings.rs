//! What is wrong with the files of a network, all of it, before anything is run.

use crate::error::{Error, Fault};
use std::path::Path;

/// Faults and warnings, each with its file and the place in it.
#[derive(Debug, Default)]
pub struct Findings {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Findings {
    /// Notes a fault at a key of a configuration, or a path inside an HDF5 file.
    pub fn fault(&mut self, file: &Path, key: &str, message: impl Into<String>) {
        push(&mut self.faults, file, None, key, message.into());
    }

    /// Notes a fault in a line of a text file.
    pub fn fault_at(&mut self, file: &Path, line: usize, key: &str, message: impl Into<String>) {
        push(&mut self.faults, file, Some(line), key, message.into());
    }

    /// Notes something that is allowed but has no effect or is probably not meant.
    pub fn warn(&mut self, file: &Path, key: &str, message: impl Into<String>) {
        push(&mut self.warnings, file, None, key, message.into());
    }

    /// Notes what an error says.
    pub fn error(&mut self, error: Error) {
        match error {
            Error::Invalid(faults) => self.faults.extend(faults),
            Error::Io { path, action, source } => {
                push(&mut self.faults, &path, None, "", format!("cannot {action} the file: {source}"));
            }
            Error::Format { path, message } => push(&mut self.faults, &path, None, "", message),
            other => self.faults.push(Fault::new("", other.to_string())),
        }
    }

    /// What was read, or nothing after noting why not.
    pub fn noted<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.error(error)).ok()
    }

    /// Whether there is a fault.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Number of faults so far.
    pub fn count(&self) -> usize {
        self.faults.len()
    }

    /// All faults and all warnings, in the order they were found.
    pub fn into_parts(self) -> (Vec<Fault>, Vec<Fault>) {
        (self.faults, self.warnings)
    }
}

fn push(list: &mut Vec<Fault>, file: &Path, line: Option<usize>, key: &str, message: String) {
    let fault = Fault { file: Some(file.to_owned()), line, key: key.to_owned(), message };
    // One wrong value that many nodes share is one fault.
    if !list.contains(&fault) {
        list.push(fault);
    }
}
