//! Connection rules: from a projection's description to the synapses of each source.
//!
//! [`prepare`] turns one projection into a [`Wiring`], which appends the synapses of any source to a buffer, in any
//! order and from any thread. What it appends is a pure function of seed, projection and source: every draw has its
//! own counter. Nothing holds a list of all synapses except where the rule itself needs one (explicit edges, and
//! fixed in-degrees, which are drawn by target and served by source).

mod by_source;
mod count;
mod delay;
mod distance;
mod draw;
mod edges;
mod estimate;
mod indegree;
mod kernel;
mod outlook;
mod regular;
mod subset;
mod weight;

pub use estimate::{expected_synapses, total_from_probability};
pub use outlook::{delay_shares, weight_summary};
pub use weight::WeightSummary;

use self::by_source::{BySource, Degrees, Pool};
use self::delay::Delays;
use self::distance::DistanceWiring;
use self::draw::SynapseDraw;
use self::edges::EdgeWiring;
use self::indegree::FixedIndegree;
use self::regular::Regular;
use self::weight::Weights;
use super::{BrainModel, ConnectionRule, DelaySampler, Sampler, StepTable, SynapseStorage};
use crate::compute::Crew;
use crate::compute::Isa;
use crate::error::{Error, Result};
use crate::rng::{Key, Purpose};

/// Synapses as parallel arrays. The caller clears it between uses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SynapseBuffer {
    /// Index of each target within its population.
    pub target: Vec<u32>,
    /// Weights, in the unit of the target's receptor.
    pub weight: Vec<f64>,
    /// Delays in steps, at least 1.
    pub delay: Vec<u32>,
}

impl SynapseBuffer {
    /// A buffer with room for `n` synapses.
    pub fn with_capacity(n: usize) -> Self {
        Self { target: Vec::with_capacity(n), weight: Vec::with_capacity(n), delay: Vec::with_capacity(n) }
    }

    /// Forgets its synapses and keeps its room.
    pub fn clear(&mut self) {
        self.target.clear();
        self.weight.clear();
        self.delay.clear();
    }

    /// Number of synapses.
    pub fn len(&self) -> usize {
        self.target.len()
    }

    /// Whether there is no synapse.
    pub fn is_empty(&self) -> bool {
        self.target.is_empty()
    }
}

/// Synapses as records take them, where weights and delays are drawn from tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoredBuffer {
    /// Index of each target within its population.
    pub target: Vec<u32>,
    /// Stored weights; empty where all are the same.
    pub weight: Vec<i32>,
    /// Delays in steps; empty where all are the same.
    pub delay: Vec<u32>,
}

impl StoredBuffer {
    /// Forgets its synapses and keeps its room.
    pub fn clear(&mut self) {
        self.target.clear();
        self.weight.clear();
        self.delay.clear();
    }
}

/// Tables of the stored weights and of the delays of a projection; `None` where all synapses have the same.
#[derive(Debug, Clone, Copy)]
pub struct Levels<'a> {
    /// From the word of a weight to the stored weight.
    pub weight: Option<&'a StepTable>,
    /// From the word of a delay to steps.
    pub delay: Option<&'a StepTable>,
}

/// Where the weights and delays of a rule that takes tables come from.
#[derive(Debug, Clone, Copy)]
pub struct Redraws<'a> {
    /// The sampler of weights, where they are drawn.
    pub weights: Option<&'a Sampler>,
    /// The sampler of delays, where they are drawn.
    pub delays: Option<&'a DelaySampler>,
}

/// Takes synapses as records do.
struct Redrawn<'a> {
    levels: Levels<'a>,
    out: &'a mut StoredBuffer,
}

/// One projection, prepared for making its synapses source by source.
pub trait Wiring: Send + Sync + std::fmt::Debug {
    /// Number of synapses to expect; exact where [`exact`](Self::exact) is known.
    fn expected(&self) -> f64;

    /// Number of synapses, where the rule fixes it.
    fn exact(&self) -> Option<u64>;

    /// Room that the synapses of one source hardly ever exceed.
    fn max_outdegree_hint(&self) -> usize;

    /// Appends all synapses of `source` (index within its population): the same at every call, whatever the order
    /// of calls and the calling thread.
    fn append(&self, source: u32, out: &mut SynapseBuffer);

    /// Bounds that no weight exceeds, and moments.
    fn weights(&self) -> WeightSummary;

    /// Bounds that no delay exceeds, in steps.
    fn delays(&self) -> (u32, u32);

    /// What a table of its delays is made of, and whether [`redraw`](Self::redraw) can take tables.
    fn redraws(&self) -> Option<Redraws<'_>> {
        None
    }

    /// Appends the synapses of `source` as [`append`](Self::append) does, with stored weights and with delays from
    /// tables.
    ///
    /// # Panics
    /// If [`redraws`](Self::redraws) gives nothing.
    fn redraw(&self, source: u32, levels: Levels<'_>, out: &mut StoredBuffer) {
        let _ = (source, levels, out);
        panic!("this rule takes no tables");
    }

    /// Bytes of what it keeps for each source, target or synapse.
    fn bytes(&self) -> usize {
        0
    }
}

/// Prepares projection number `projection` of a model for time step `dt` (ms).
///
/// Costs little but for two rules: `fixed_indegree` draws all sources, twice, and keeps 4 bytes a synapse until the
/// wiring is dropped; `edges` sorts its list (4 bytes an edge). `fixed_total` keeps 4 bytes a source, as does
/// `bernoulli` where it is procedural, `distance` about 8 a target.
///
/// # Errors
/// If the delays do not fit the time step.
///
/// # Panics
/// If there is no such projection.
pub fn prepare(model: &BrainModel, projection: usize, dt: f64, crew: &Crew) -> Result<Box<dyn Wiring>> {
    let spec = &model.spec().projections[projection];
    let in_projection = |error| match error {
        Error::Invalid(faults) => Error::Invalid(
            faults
                .into_iter()
                .map(|mut fault| {
                    fault.key = format!("projection.{}.{}", spec.name, fault.key);
                    fault
                })
                .collect(),
        ),
        other => other,
    };
    if !(dt.is_finite() && dt > 0.0) {
        return Err(Error::invalid("run.dt", format!("a time step of {dt} ms is not above 0")));
    }
    let sources = model.populations()[spec.source.0].size();
    let targets = model.populations()[spec.target.0].size();
    let without_self = spec.source == spec.target && !spec.autapses;
    // Rules whose targets are drawn share their blocks with weights and delays; others have blocks of their own.
    let draw = |purpose| -> Result<SynapseDraw> {
        Ok(SynapseDraw {
            key: Key::named(model.seed(), purpose, &spec.name),
            weights: Weights::new(&spec.weight).map_err(in_projection)?,
            delays: Delays::new(model, projection, dt).map_err(in_projection)?,
            isa: Isa::detect(),
        })
    };
    let pool = |distinct| Pool { targets, without_self, distinct };
    let degree_key = Key::named(model.seed(), Purpose::Degree, &spec.name);
    Ok(match &spec.rule {
        ConnectionRule::AllToAll => {
            Box::new(Regular::all_to_all(sources, targets, without_self, draw(Purpose::Synapse)?))
        }
        ConnectionRule::OneToOne => Box::new(Regular::one_to_one(sources, draw(Purpose::Synapse)?)),
        ConnectionRule::Bernoulli { p } => {
            let degrees = Degrees::Binomial { p: *p, key: degree_key };
            let mut wiring = BySource { sources, degrees, pool: pool(true), draw: draw(Purpose::Connect)? };
            if spec.storage == SynapseStorage::Procedural {
                wiring.fix_degrees(crew);
            }
            Box::new(wiring)
        }
        ConnectionRule::FixedOutdegree { n } => Box::new(BySource {
            sources,
            degrees: Degrees::Same(*n),
            pool: pool(!spec.multapses),
            draw: draw(Purpose::Connect)?,
        }),
        ConnectionRule::FixedTotal { n } => {
            let capacity = (!spec.multapses).then(|| u64::from(targets) - u64::from(without_self));
            Box::new(BySource {
                sources,
                degrees: Degrees::Each(count::split_total(*n, sources, capacity, degree_key, crew)),
                pool: pool(!spec.multapses),
                draw: draw(Purpose::Connect)?,
            })
        }
        ConnectionRule::FixedIndegree { n } => {
            let key = Key::named(model.seed(), Purpose::Connect, &spec.name);
            let rule = indegree::Drawing { n: *n, sources, targets, without_self, distinct: !spec.multapses, key };
            Box::new(FixedIndegree::new(&rule, draw(Purpose::Synapse)?, crew))
        }
        ConnectionRule::Distance(rule) => {
            Box::new(DistanceWiring::new(model, projection, rule, draw(Purpose::Connect)?))
        }
        ConnectionRule::Edges(edges) => {
            Box::new(EdgeWiring::new(edges.clone(), sources, &spec.weight, dt, draw(Purpose::Synapse)?))
        }
    })
}
