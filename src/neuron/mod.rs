//! Neuron models: what a model is, and one file for each that comes with the library.
//!
//! A model has four parts: parameters, state variables (columns), constants derived once for a time step, and the
//! input buffers the engine fills. The engine calls a model once for a block of neurons, never for a single one.

mod adex;
mod conductance;
mod currents;
mod dynamics;
mod integrator;
mod izhikevich;
mod lif_cond_alpha;
mod lif_cond_exp;
mod lif_constants;
mod lif_euler;
mod lif_psc_alpha;
mod lif_psc_delta;
mod lif_psc_exp;
mod notes;
mod parrot;
mod poisson;
mod propagator;
mod registry;
mod spike_train;

pub use adex::AdEx;
pub use currents::Currents;
pub use integrator::Integrator;
pub use izhikevich::Izhikevich;
pub use lif_cond_alpha::LifCondAlpha;
pub use lif_cond_exp::LifCondExp;
pub use lif_constants::{LifConstants, SynapseConstants};
pub use lif_euler::LifEuler;
pub use lif_psc_alpha::LifPscAlpha;
pub use lif_psc_delta::LifPscDelta;
pub use lif_psc_exp::LifPscExp;
pub use notes::notes;
pub use parrot::Parrot;
pub use poisson::Poisson;
pub use registry::{Built, ModelInfo, ModelOption, find, registry};
pub use spike_train::SpikeTrain;

use crate::compute::Isa;
use crate::compute::simd::Real;
use crate::error::{Error, Result};

/// A parameter of a model, as configuration and documentation show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// Name as the field uses it, for example `tau_m`.
    pub name: &'static str,
    /// Unit of the value, for example `ms`; empty for pure numbers.
    pub unit: &'static str,
    /// Value where the user gives none.
    pub default: f64,
    /// What values are allowed.
    pub allowed: Allowed,
    /// One line of documentation.
    pub doc: &'static str,
}

/// The range a parameter may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowed {
    /// Any finite number.
    Any,
    /// Above zero.
    Positive,
    /// Zero or above.
    NonNegative,
}

impl Allowed {
    /// Whether `value` is allowed.
    pub fn contains(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Any => true,
                Self::Positive => value > 0.0,
                Self::NonNegative => value >= 0.0,
            }
    }

    /// How messages state the range.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Any => "any finite number",
            Self::Positive => "above 0",
            Self::NonNegative => "0 or above",
        }
    }
}

/// A state variable: one column of the state, which can be initialised and recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variable {
    /// Name as the field uses it, for example `v_m`.
    pub name: &'static str,
    /// Unit, for example `mV`.
    pub unit: &'static str,
    /// Initial value where neither the user nor [`NeuronModel::initial`] gives one.
    pub initial: f64,
}

impl Variable {
    /// A variable with its unit and initial value.
    pub const fn new(name: &'static str, unit: &'static str, initial: f64) -> Self {
        Self { name, unit, initial }
    }
}

/// Which weights go to a receptor when a projection does not name one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// Weights of either sign; the receptor sums them as they are.
    Signed,
    /// Weights of zero and above.
    Excitatory,
    /// Weights below zero, summed with their sign (currents).
    Inhibitory,
    /// Weights below zero, summed by magnitude (conductances: the reversal potential gives the sign).
    InhibitoryMagnitude,
}

/// A synaptic input of a model. The engine delivers, each step, the sum of the weights that arrived there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receptor {
    /// Name a projection can ask for, for example `excitatory`.
    pub name: &'static str,
    /// Unit of weights, for example `pA`.
    pub unit: &'static str,
    /// Which weights come here by default.
    pub polarity: Polarity,
}

/// Index of the receptor that a projection names.
///
/// Where a model takes weights of either sign through a single receptor, both `excitatory` and `inhibitory` mean that
/// one, so that a network keeps its description when the two coincide.
///
/// ```
/// use tessera::neuron::{Polarity, Receptor, resolve_receptor};
/// let merged = [Receptor { name: "synaptic", unit: "pA", polarity: Polarity::Signed }];
/// assert_eq!(resolve_receptor(&merged, "inhibitory"), Some(0));
/// assert_eq!(resolve_receptor(&merged, "nmda"), None);
/// ```
pub fn resolve_receptor(receptors: &[Receptor], name: &str) -> Option<usize> {
    let merged = || {
        let single = receptors.len() == 1 && receptors[0].polarity == Polarity::Signed;
        (single && matches!(name, "excitatory" | "inhibitory")).then_some(0)
    };
    receptors.iter().position(|r| r.name == name).or_else(merged)
}

/// Parameter values of the neurons of one population or of a part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamTable {
    /// Number of neurons.
    pub len: usize,
    /// One entry a parameter, in the model's order.
    pub columns: Vec<ParamColumn>,
}

/// Values of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamColumn {
    /// The same for every neuron.
    Uniform(f64),
    /// One value a neuron.
    PerNeuron(Vec<f64>),
}

impl ParamTable {
    /// Value of parameter `parameter` for neuron `neuron`.
    pub fn get(&self, parameter: usize, neuron: usize) -> f64 {
        match &self.columns[parameter] {
            ParamColumn::Uniform(value) => *value,
            ParamColumn::PerNeuron(values) => values[neuron],
        }
    }

    /// The value all neurons share, if they do.
    pub fn uniform(&self, parameter: usize) -> Option<f64> {
        match &self.columns[parameter] {
            ParamColumn::Uniform(value) => Some(*value),
            ParamColumn::PerNeuron(_) => None,
        }
    }

    /// All values of one neuron, in the model's order.
    pub fn row(&self, neuron: usize) -> Vec<f64> {
        (0..self.columns.len()).map(|p| self.get(p, neuron)).collect()
    }

    /// Bytes of the values that differ between neurons.
    pub fn bytes(&self) -> usize {
        let of = |column: &ParamColumn| if let ParamColumn::PerNeuron(values) = column { values.len() * 8 } else { 0 };
        self.columns.iter().map(of).sum()
    }

    /// Whether every parameter is the same for all neurons.
    pub fn is_uniform(&self) -> bool {
        self.columns.iter().all(|c| matches!(c, ParamColumn::Uniform(_)))
    }
}

/// What a model is told when it derives its constants for a run.
#[derive(Debug, Clone, Copy)]
pub struct Prepare<'a> {
    /// Time step, ms.
    pub dt: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Name of the population.
    pub population: &'a str,
    /// Parameter values of the neurons of this part, padded to `len`.
    pub params: &'a ParamTable,
    /// Index within the population of the first neuron of this part; a multiple of 32.
    pub first: u32,
    /// Neurons of this part, padded to a multiple of 32. Padding neurons are stepped like others, get no input and
    /// their spikes are dropped.
    pub len: usize,
    /// Instruction set to run on.
    pub isa: Isa,
}

/// A run of consecutive neurons for one step. All slices have `len` elements, `spikes` one bit a neuron.
#[derive(Debug)]
pub struct Block<'a, T> {
    /// The step being taken: it ends at time `(step + 1) * dt`.
    pub step: u64,
    /// Place of the block's first neuron within the part given to [`Prepare`]; a multiple of 32.
    pub offset: usize,
    /// Neurons in the block; a multiple of 32.
    pub len: usize,
    /// For each receptor, each neuron's summed weights arriving at the end of this step.
    pub inputs: &'a [&'a [T]],
    /// Current injected by stimuli during this step (pA; the model's own unit for dimensionless models), if any.
    pub current: Option<&'a [T]>,
    /// State columns, in the order of [`NeuronModel::variables`].
    pub columns: &'a mut [&'a mut [T]],
    /// Remaining refractory steps; free for the model's use.
    pub refractory: &'a mut [u16],
    /// Output: set bit `i % 32` of word `i / 32` when neuron `i` spikes. All zero on entry.
    pub spikes: &'a mut [u32],
}

impl<T> Block<'_, T> {
    /// Marks neuron `i` of the block as having spiked in this step.
    #[inline(always)]
    pub fn spike(&mut self, i: usize) {
        self.spikes[i / 32] |= 1 << (i % 32);
    }
}

/// The constants of a model for one part of a population, and its step.
///
/// What changes from step to step belongs in the block's columns and refractory counters: checkpoints keep those, and
/// do not see what the stepper itself holds.
pub trait Stepper<T: Real>: Send {
    /// Advances the block by one step: reads `inputs` and `current`, updates `columns`, marks `spikes`.
    fn step(&mut self, block: &mut Block<'_, T>);

    /// Bytes that the constants hold on the heap, for the memory profile.
    fn bytes(&self) -> usize {
        0
    }

    /// Whether a step depends on nothing but the columns, the refractory counters, the inputs and the current: neurons
    /// that a step without input left as they were then stay so until there is input, and need not be stepped.
    fn rests(&self) -> bool {
        false
    }

    /// How far the neurons `offset..offset + columns[0].len()` of the part are from where they come to rest without input
    /// and without injected current: for the farthest of them, by how much its potential can still move until then,
    /// over the distance from there to the threshold. `None` for models without a closed form, and for neurons that
    /// would not come to rest below the threshold.
    fn unrest(&self, offset: usize, columns: &[&[T]]) -> Option<f64> {
        let _ = (offset, columns);
        None
    }
}

impl<T: Real, F: FnMut(&mut Block<'_, T>) + Send> Stepper<T> for F {
    fn step(&mut self, block: &mut Block<'_, T>) {
        self(block);
    }
}

/// A neuron model. Implement it for your own type to run it in the engine beside those of the library.
///
/// The value itself holds the model's parameter values that all neurons share. What it holds beside the parameters it
/// names should show in its `Debug` text, by which a resumed run recognises the network it was.
pub trait NeuronModel: Send + Sync + std::fmt::Debug {
    /// Name as configuration files use it.
    fn name(&self) -> &str;

    /// The parameters that may differ between neurons. A model with none keeps its values to itself.
    fn parameters(&self) -> &[Parameter] {
        &[]
    }

    /// This value's parameters, in the order of [`parameters`](Self::parameters).
    fn values(&self) -> Vec<f64> {
        self.parameters().iter().map(|p| p.default).collect()
    }

    /// The options that are not numbers, and the text of each.
    fn options(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// The spikes (time in ms, index within the population) of a model that is made of given spikes.
    fn given_spikes(&self) -> Option<&[(f64, u32)]> {
        None
    }

    /// Faults of a combination of parameter values (in order), for example a reset above the threshold: each a
    /// parameter's name and a sentence. `dt` in ms.
    fn check(&self, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
        let _ = (values, dt);
        Vec::new()
    }

    /// State variables.
    fn variables(&self) -> &[Variable];

    /// Initial value of a state variable for a neuron with the given parameter values.
    fn initial(&self, variable: usize, values: &[f64]) -> f64 {
        let _ = values;
        self.variables()[variable].initial
    }

    /// Synaptic inputs. Models whose receptors coincide for these parameters may merge them into one.
    fn receptors(&self, params: &ParamTable) -> Vec<Receptor> {
        let _ = params;
        vec![Receptor { name: "input", unit: "", polarity: Polarity::Signed }]
    }

    /// Whether neurons of this model only send spikes (sources take no synapses and no current).
    fn is_source(&self) -> bool {
        false
    }

    /// Cost of a step relative to a current-based LIF neuron, for estimates and load balance.
    fn cost(&self) -> f64 {
        1.0
    }

    /// Derives the constants for a part of a population, single precision.
    ///
    /// # Errors
    /// If the values cannot be simulated with this time step.
    fn stepper_f32(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<f32>>>;

    /// The same in double precision.
    ///
    /// # Errors
    /// As for single precision, or if the model has no double-precision form (the default).
    fn stepper_f64(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<f64>>> {
        Err(Error::Unavailable(format!(
            "neuron model `{}` (population `{}`) has no double-precision form; use precision f32",
            self.name(),
            prepare.population
        )))
    }
}
