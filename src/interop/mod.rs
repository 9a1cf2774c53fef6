//! Formats of other tools: NPY arrays, tables, lists of synapses, positions and spikes, SONATA networks,
//! tensors.

pub mod edge_list;
pub mod npy;
pub mod npz;
pub mod position_list;
mod records;
pub mod safetensors;
pub mod sonata;
pub mod spike_list;
pub mod table;
mod write_edge_list;

pub use write_edge_list::EdgeListWriter;

/// Faults of one file that are told one by one; more than these help nobody.
const FAULTS_TOLD: usize = 20;

/// Collects what is wrong with the lines of a file, and where.
struct Faults {
    path: std::path::PathBuf,
    found: Vec<crate::error::Fault>,
    more: usize,
}

impl Faults {
    fn new(path: &std::path::Path) -> Self {
        Self { path: path.to_owned(), found: Vec::new(), more: 0 }
    }

    /// Notes a fault in a line (1-based).
    fn add(&mut self, line: usize, message: impl Into<String>) {
        if self.found.len() == FAULTS_TOLD {
            self.more += 1;
            return;
        }
        let (file, message) = (Some(self.path.clone()), message.into());
        self.found.push(crate::error::Fault { file, line: Some(line), key: String::new(), message });
    }

    /// An error if there was a fault.
    fn check(mut self) -> crate::error::Result<()> {
        if self.more > 0 {
            let message = format!("and {} more faults of this kind", self.more);
            self.found.push(crate::error::Fault { file: Some(self.path), line: None, key: String::new(), message });
        }
        if self.found.is_empty() { Ok(()) } else { Err(crate::error::Error::Invalid(self.found)) }
    }
}

/// A whole number without sign, also in the notation of floating-point numbers that some tools write (`190.0`).
fn parse_index(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| whole(text.parse().ok()?))
}

/// The whole number that a floating-point number is, if it is one that can be told from its neighbours.
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number)).then_some(number as u64)
}

/// A finite number.
fn parse_number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

/// Whether a line that begins with this cell is one of numbers (also such as are no use) and not of names.
fn begins_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}
