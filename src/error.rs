//! The one error type of the library, and the "did you mean" search every layer shares.

use std::path::{Path, PathBuf};

/// Result of every fallible operation of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One fault in what the user wrote: a whole sentence with the offending value and what is allowed.
///
/// Configuration faults carry file, line and key; faults of networks built in Rust carry the key only
/// (for example `population.exc.n`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// File the fault stands in, where there is one.
    pub file: Option<PathBuf>,
    /// 1-based line in that file.
    pub line: Option<usize>,
    /// Dotted key, for example `projection.exc_to_inh.delay`.
    pub key: String,
    /// One sentence: what is wrong, the value found, what is allowed, the remedy.
    pub message: String,
}

impl Fault {
    /// A fault at a dotted key, without a place in a file.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: None, line: None, key: key.into(), message: message.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (Some(file), None) => write!(f, "{}: ", file.display())?,
            _ => {}
        }
        if self.key.is_empty() { write!(f, "{}", self.message) } else { write!(f, "{}: {}", self.key, self.message) }
    }
}

/// Everything that can go wrong, each variant one full sentence when displayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The description of a network or a run has faults; all of them are listed.
    #[error("{}", list_faults(.0))]
    Invalid(Vec<Fault>),
    /// A file could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, for example `read` or `create`.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file was read but is not what it should be.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and where.
        message: String,
    },
    /// Results exist already and overwriting was not asked for.
    #[error("{} holds earlier results ({found}); choose another place or allow it with --overwrite", path.display())]
    WouldOverwrite {
        /// The folder of the output.
        path: PathBuf,
        /// The first result file found there.
        found: String,
    },
    /// The estimate exceeds the memory there is.
    #[error("{0}")]
    NotEnoughMemory(String),
    /// A state variable became infinite or NaN.
    #[error(
        "population `{population}`, neuron {neuron}: `{variable}` became {value} in step {step} (t = {time_ms} ms); \
         the run stopped and what was recorded until then is kept. A smaller dt or smaller weights usually help"
    )]
    NonFinite {
        /// Population of the first offending neuron.
        population: String,
        /// Its index within the population.
        neuron: u32,
        /// The state variable.
        variable: String,
        /// The value found.
        value: f64,
        /// Step in which it happened.
        step: u64,
        /// Biological time at the end of that step, ms.
        time_ms: f64,
    },
    /// Tensors that do not fit an operation: shapes, element types or devices; the message names them.
    #[error("{op}: {message}")]
    Op {
        /// The operation, for example `matmul`.
        op: &'static str,
        /// What does not fit, with both shapes.
        message: String,
    },
    /// A device, instruction set or feature that this machine or build does not have.
    #[error("{0}")]
    Unavailable(String),
    /// A call that does not fit the state of the object, for example an unknown recorder.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// Wraps an I/O error with the path and what was tried.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), action, source }
    }

    /// Tensors that do not fit operation `op`.
    pub fn op(op: &'static str, message: impl Into<String>) -> Self {
        Self::Op { op, message: message.into() }
    }

    /// A single fault without a place in a file.
    pub fn invalid(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Fault::new(key, message)])
    }

    /// A file whose content is wrong.
    pub fn format(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_owned(), message: message.into() }
    }
}

fn list_faults(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

/// The candidate nearest to `name` in spelling, if any is near enough to be meant.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|c| (strsim::jaro_winkler(&name.to_lowercase(), &c.to_lowercase()), c))
        .filter(|(score, _)| *score > 0.78)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near_or_absent() {
        assert_eq!(did_you_mean("tau_mm", ["tau_m", "c_m", "v_th"]), Some("tau_m"));
        assert_eq!(did_you_mean("zzz", ["tau_m", "c_m"]), None);
    }

    #[test]
    fn faults_name_file_line_and_key() {
        let mut fault = Fault::new("run.dt", "0 ms is not positive");
        assert_eq!(fault.to_string(), "run.dt: 0 ms is not positive");
        fault.file = Some("a.toml".into());
        fault.line = Some(3);
        assert_eq!(fault.to_string(), "a.toml:3: run.dt: 0 ms is not positive");
    }
}
