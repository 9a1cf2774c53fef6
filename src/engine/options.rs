//! How a network is run: time step, threads, precision.

use super::cut::CutOptions;
use super::inactive::Inactive;
use crate::compute::Isa;
use crate::error::{Error, Result};
use crate::model::BrainModel;
use crate::synapse::WeightBits;

/// Precision of neuron state and arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single.
    #[default]
    F32,
    /// Double.
    F64,
}

impl Precision {
    /// The name configuration files use: `f32` or `f64`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::F32, Self::F64].into_iter().find(|precision| precision.name() == name)
    }
}

/// How a network is run. None of these but `dt` and `precision` changes a spike.
#[derive(Debug, Clone, PartialEq)]
pub struct SimOptions {
    /// Time step, ms.
    pub dt: f64,
    /// Worker threads; 0 for as many as the machine has processors.
    pub threads: usize,
    /// Precision of state.
    pub precision: Precision,
    /// Instruction set; the fastest of the machine if `None`.
    pub isa: Option<Isa>,
    /// How finely weights are stored. Changes spikes, as a change of the weights would.
    pub weight_bits: WeightBits,
    /// Whether neurons at rest are skipped and compressed, and when.
    pub inactive: Option<Inactive>,
    /// How the network is cut into shards, and when it is cut anew.
    pub cut: CutOptions,
}

impl SimOptions {
    pub(super) fn check(&self) -> Result<()> {
        if !(self.dt.is_finite() && self.dt > 0.0) {
            return Err(Error::invalid("run.dt", format!("{} ms is not above zero", self.dt)));
        }
        self.cut.check()?;
        self.inactive.as_ref().map_or(Ok(()), Inactive::check)
    }

    /// Checks the options and what depends on them in the model; gives the instruction set to run on.
    pub(super) fn check_for(&self, model: &BrainModel) -> Result<Isa> {
        self.check()?;
        let faults = model.check_step(self.dt);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let isa = self.isa.unwrap_or_else(Isa::detect);
        if !isa.available() {
            return Err(Error::Unavailable(format!("this machine cannot run instruction set `{isa}`")));
        }
        Ok(isa)
    }

    /// Number of worker threads.
    pub(super) fn workers(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            dt: 0.1,
            threads: 0,
            precision: Precision::F32,
            isa: None,
            weight_bits: WeightBits::Auto,
            inactive: None,
            cut: CutOptions::default(),
        }
    }
}
