//! Blocks of neurons at rest: skipped by the update, and compressed after a while.
//!
//! A block (a tile of the update loop) *rests* when nothing acts on it and a step without input leaves every bit of its
//! state as it was, with no neuron refractory: a fixed point, which it leaves when an event reaches it or a stimulus
//! sets in, and not before. Skipping it therefore changes no spike. Blocks are tested for that every
//! [`CHECK`](watch::CHECK) steps, by comparing their state before and after a step that is taken anyway.
//!
//! After [`Inactive::after`] the state of a resting block is compressed, and so are the synapses of its neurons once all
//! sources around them have rested as long. What was compressed keeps its place in the address space: only its pages
//! go back to the system, so that nothing in the step loop has to look elsewhere.

mod compressor;
mod figures;
mod resting;
mod tiles;
mod watch;

pub use compressor::StateCompressor;
pub use figures::InactiveFigures;
pub(super) use tiles::Tiles;
pub(super) use watch::{Watch, install};

use crate::error::{Error, Result};

/// What is done about neurons at rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inactive {
    /// Time a block rests before it is compressed, ms.
    pub after: f64,
    /// Whether the synapses of resting neurons are compressed too.
    pub synapses: bool,
    /// Whether blocks that decay to rest count as resting before every bit of them does, and how early: when no potential
    /// in them can move any more by this share of the way from rest to threshold. They stay as they are then, so that
    /// spikes may differ, also between numbers of threads. For models with a closed form, where no current is injected.
    pub tolerance: Option<f64>,
}

/// Largest [`Inactive::tolerance`].
const MOST_TOLERANCE: f64 = 1e-2;

impl Default for Inactive {
    fn default() -> Self {
        Self { after: 100.0, synapses: true, tolerance: None }
    }
}

impl Inactive {
    pub(super) fn check(&self) -> Result<()> {
        if !(self.after.is_finite() && self.after >= 0.0) {
            return Err(Error::invalid("inactive.after", format!("{} ms is not zero or above", self.after)));
        }
        if let Some(tolerance) = self.tolerance
            && !(0.0..=MOST_TOLERANCE).contains(&tolerance)
        {
            let message = format!("{tolerance} is out of range; allowed is 0 to {MOST_TOLERANCE}");
            return Err(Error::invalid("inactive.tolerance", message));
        }
        Ok(())
    }
}
