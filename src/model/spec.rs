//! [`NetworkSpec`]: a network as plain data. Nothing here draws a number or allocates a synapse.

use super::Distribution;
use crate::lattice::{Box4, Lattice4, Position};
use crate::neuron::NeuronModel;
use std::sync::Arc;

/// A network: populations on a lattice or beside it, projections between them, stimuli upon them.
///
/// Times in ms, potentials in mV, currents in pA, capacitances in pF, conductances in nS, rates in Hz, lengths in um.
#[derive(Debug, Clone, Default)]
pub struct NetworkSpec {
    /// The lattice, where the network has one.
    pub lattice: Option<Lattice4>,
    /// Named boxes of the lattice.
    pub areas: Vec<AreaSpec>,
    /// Populations; their order numbers the neurons.
    pub populations: Vec<PopulationSpec>,
    /// Projections.
    pub projections: Vec<ProjectionSpec>,
    /// Stimuli.
    pub stimuli: Vec<StimulusSpec>,
}

/// Index of a population within [`NetworkSpec::populations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PopulationId(pub usize);

/// A named box of the lattice.
#[derive(Debug, Clone, PartialEq)]
pub struct AreaSpec {
    /// Name.
    pub name: String,
    /// Its cells.
    pub region: Box4,
}

/// A population: neurons of one model.
#[derive(Debug, Clone)]
pub struct PopulationSpec {
    /// Name, unique in the network.
    pub name: String,
    /// The model, holding the parameter values shared by all neurons.
    pub model: Arc<dyn NeuronModel>,
    /// How many neurons there are, and where.
    pub placement: Placement,
    /// Parameters that differ between neurons: name and distribution.
    pub params: Vec<(String, Distribution)>,
    /// Initial values of state variables: name and distribution.
    pub initial: Vec<(String, Distribution)>,
}

/// How many neurons a population has, and where they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Placement {
    /// So many neurons without positions.
    Count(u32),
    /// `density` neurons on every cell of a box of the lattice, numbered along the Z-order curve. A fractional part
    /// places an extra neuron on that share of the cells, drawn cell by cell.
    Region {
        /// The cells.
        region: Box4,
        /// Neurons a cell, above 0.
        density: f64,
    },
    /// One neuron at each position (um), kept in the given order.
    Positions(Arc<[Position]>),
}

/// Synapses from one population to another.
#[derive(Debug, Clone)]
pub struct ProjectionSpec {
    /// Name, unique in the network. Seeds the projection's random draws.
    pub name: String,
    /// Population that sends.
    pub source: PopulationId,
    /// Population that receives.
    pub target: PopulationId,
    /// Which neurons are connected.
    pub rule: ConnectionRule,
    /// Weights, in the unit of the target's receptor (pA, nS or mV). Ignored for edges that bring their own.
    pub weight: Distribution,
    /// Delays.
    pub delay: DelaySpec,
    /// Receptor of the target; by the sign of the weight if absent.
    pub receptor: Option<String>,
    /// Whether a neuron may connect to itself (within one population).
    pub autapses: bool,
    /// Whether a pair of neurons may be connected more than once.
    pub multapses: bool,
    /// Whether its synapses are kept or drawn again at every spike. Changes no spike.
    pub storage: SynapseStorage,
}

/// Where the synapses of a projection are between spikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SynapseStorage {
    /// In memory, as final records: the fastest.
    #[default]
    Stored,
    /// Nowhere: those of a source are drawn again, the same, whenever it spikes. Not for
    /// `FixedIndegree` and `Edges`.
    Procedural,
}

impl SynapseStorage {
    /// The names configuration files use.
    pub const NAMES: [&'static str; 2] = ["stored", "procedural"];

    /// Its name among [`NAMES`](Self::NAMES).
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// Delays of a projection, ms; rounded to the grid of steps, at least one step.
#[derive(Debug, Clone, PartialEq)]
pub enum DelaySpec {
    /// Drawn for each synapse. Values that would round to less than one step are redrawn for distributions with a
    /// lower bound and raised to one step otherwise.
    Drawn(Distribution),
    /// `offset + distance / velocity`, with the distance between the two neurons.
    Distance {
        /// Conduction velocity, um/ms (= mm/s).
        velocity: f64,
        /// Delay at distance zero, ms.
        offset: f64,
    },
}

/// Which neurons a projection connects.
#[derive(Debug, Clone, PartialEq)]
pub enum ConnectionRule {
    /// Every source to every target.
    AllToAll,
    /// Source `i` to target `i`; both populations have the same size.
    OneToOne,
    /// Each pair independently with probability `p`.
    Bernoulli {
        /// Probability, 0 to 1.
        p: f64,
    },
    /// Every target gets `n` sources, drawn uniformly.
    FixedIndegree {
        /// Synapses a target.
        n: u32,
    },
    /// Every source gets `n` targets, drawn uniformly.
    FixedOutdegree {
        /// Synapses a source.
        n: u32,
    },
    /// `n` synapses in all, both ends drawn uniformly.
    FixedTotal {
        /// Synapses in all.
        n: u64,
    },
    /// Each pair independently with a probability that depends on their distance on the lattice.
    Distance(DistanceRule),
    /// An explicit list.
    Edges(Arc<[Edge]>),
}

impl ConnectionRule {
    /// Its name in configuration files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AllToAll => "all_to_all",
            Self::OneToOne => "one_to_one",
            Self::Bernoulli { .. } => "bernoulli",
            Self::FixedIndegree { .. } => "fixed_indegree",
            Self::FixedOutdegree { .. } => "fixed_outdegree",
            Self::FixedTotal { .. } => "fixed_total",
            Self::Distance(_) => "distance",
            Self::Edges(_) => "edges",
        }
    }
}

/// Why the synapses of a rule cannot be drawn again at every spike, and what to take instead; `None` if they can.
pub(crate) fn procedural_fault(rule: &str) -> Option<String> {
    let why = match rule {
        "fixed_indegree" => "targets choose their sources, so that the synapses of a source cannot be drawn alone",
        "edges" => "its synapses are a list",
        _ => return None,
    };
    Some(format!(
        "rule `{rule}` cannot be procedural: {why}; take `stored`, or one of the rules all_to_all, one_to_one, bernoulli, \
         fixed_outdegree, fixed_total and distance"
    ))
}

/// Connection probability by distance: `p_max * kernel(r)`, none beyond the cut-off.
///
/// `r` is the length of the displacement after each axis is divided by its `scale`; the kernel's `extent` is in the
/// same scaled um. Periodic lattice axes are measured the short way round.
#[derive(Debug, Clone, PartialEq)]
pub struct DistanceRule {
    /// Shape and extent.
    pub kernel: DistanceKernel,
    /// Probability at distance zero, 0 to 1.
    pub p_max: f64,
    /// Largest scaled distance that is connected, um.
    pub cutoff: f64,
    /// Divisor of each axis (1 leaves it as it is).
    pub scale: [f64; 4],
    /// Factor on the probability for each cell of difference along w (a per-hop cost; 1 leaves it as it is).
    pub hop_w: f64,
}

/// A distance kernel with value 1 at distance zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceKernel {
    /// Its shape.
    pub shape: KernelShape,
    /// Its extent, um: sigma of the gaussian, decay length of the exponential, distance at which the linear one
    /// reaches zero, radius of the box.
    pub extent: f64,
}

/// Shapes of distance kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelShape {
    /// `exp(-r^2 / (2 extent^2))`
    Gaussian,
    /// `exp(-r / extent)`
    Exponential,
    /// `max(0, 1 - r / extent)`
    Linear,
    /// 1 up to `extent`, 0 beyond.
    Box,
}

/// One synapse of an explicit list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// Index of the source within its population.
    pub source: u32,
    /// Index of the target within its population.
    pub target: u32,
    /// Weight; NaN where the projection's distribution is to be used.
    pub weight: f32,
    /// Delay, ms; NaN where the projection's is to be used.
    pub delay: f32,
}

/// Something done to neurons from outside.
#[derive(Debug, Clone)]
pub struct StimulusSpec {
    /// Name, unique in the network. Seeds the stimulus's random draws.
    pub name: String,
    /// Who is stimulated.
    pub targets: Vec<StimulusTarget>,
    /// What is done.
    pub kind: StimulusKind,
    /// First time at which it acts, ms.
    pub start: f64,
    /// Time at which it no longer acts, ms (infinite: never).
    pub stop: f64,
}

/// A population under a stimulus, with what differs between the populations of one stimulus.
#[derive(Debug, Clone)]
pub struct StimulusTarget {
    /// The population.
    pub population: PopulationId,
    /// Which of its neurons.
    pub neurons: Selection,
    /// Rate (Hz) of a Poisson stimulus, or amplitude/mean (pA) of a current, for this population.
    pub level: f64,
}

/// A choice of neurons of a population.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// All of them.
    All,
    /// These indices, ascending.
    Indices(Arc<[u32]>),
}

/// What a stimulus does. `level` is that of each [`StimulusTarget`].
#[derive(Debug, Clone)]
pub enum StimulusKind {
    /// To every neuron its own Poisson train with rate `level`.
    Poisson {
        /// Weight of each event, in the receptor's unit.
        weight: f64,
        /// Receptor; by the sign of the weight if absent.
        receptor: Option<String>,
    },
    /// A constant current of `level` pA.
    Dc,
    /// `offset + level * sin(2 pi frequency t + phase)` pA.
    Ac {
        /// Frequency, Hz.
        frequency: f64,
        /// Phase at t = 0, degrees.
        phase: f64,
        /// Constant part, pA.
        offset: f64,
    },
    /// A current that changes at given times: before the first it is zero.
    Steps {
        /// Times, ms, ascending.
        times: Vec<f64>,
        /// Currents from those times on, pA, multiplied by `level`.
        amplitudes: Vec<f64>,
    },
    /// Gaussian white noise of mean `level` pA: to every neuron a new value every `interval`.
    Noise {
        /// Standard deviation, pA.
        sd: f64,
        /// Time between new values, ms.
        interval: f64,
    },
    /// Ornstein-Uhlenbeck current of mean `level` pA, for each neuron its own, exact in every step.
    OrnsteinUhlenbeck {
        /// Stationary standard deviation, pA.
        sd: f64,
        /// Correlation time, ms.
        tau: f64,
    },
    /// Given spikes, delivered with a weight.
    Spikes {
        /// (time in ms, index within the selection), ascending in time.
        events: Arc<[(f64, u32)]>,
        /// Weight of each event, in the receptor's unit.
        weight: f64,
        /// Receptor; by the sign of the weight if absent.
        receptor: Option<String>,
    },
    /// A current for every step and neuron, multiplied by `level`: row-major steps x neurons of the selection.
    Matrix {
        /// The values, pA.
        values: Arc<[f32]>,
        /// Neurons a row.
        columns: usize,
        /// Time a row stands for, ms.
        interval: f64,
    },
}
