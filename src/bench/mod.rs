//! What benchmarks leave behind: measurements with their samples, a folder with a report, and comparison with a baseline.
//!
//! Whatever is timed becomes [`Measurements`]: a list of items with every sample. [`Reports`] writes them into a folder of
//! their own (JSON, pictures, a page that needs nothing else) and keeps baselines by name; [`Comparison`] tells which
//! items changed by more than the noise. [`ConfigBench`] times whole configurations.

mod compare;
mod configs;
mod measurements;
mod page;
mod reports;

pub use compare::{Change, Comparison, Verdict};
pub use configs::{BUILT_IN, ConfigBench};
pub use measurements::{Item, Kind, Measurements};
pub use reports::Reports;
