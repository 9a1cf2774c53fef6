//! Laying a network out for a crew: the neurons' columns beside the synapses of their shards.

use super::calendar::Calendar;
use super::connectivity::Connectivity;
use super::inactive;
use super::machine::{Machine, Shards};
use super::options::{Precision, SimOptions};
use super::partition::Part;
use super::procedural::Procedural;
use super::recorder::{Layout, StateRecording};
use super::routing::Routing;
use super::shard::{
    MAX_RECEPTORS, MAX_VARIABLES, PHASES, Pathway, Probe, ReceptorInput, RowKind, Scratch, Shard, Slice,
};
use super::stimulus::{Route, Stimulus};
use crate::compute::simd::Real;
use crate::compute::{Crew, HugeVec, Isa, Rows};
use crate::error::{Error, Result};
use crate::model::{BrainModel, Population, PopulationId, ReceptorChoice, Selection, StimulusKind};
use crate::neuron::{NeuronModel, ParamColumn, ParamTable, Prepare, Stepper};
use crate::synapse::WeightGrid;

/// Most buckets of all calendars together: 400 MB while they are empty.
const MOST_BUCKETS: u64 = 1 << 24;

/// Lays the neurons of `model` out beside their synapses.
pub(super) fn lay_out(
    model: &BrainModel,
    connectivity: Connectivity,
    options: &SimOptions,
    isa: Isa,
    crew: Crew,
) -> Result<Box<dyn Machine>> {
    match options.precision {
        Precision::F32 => lay_out_for::<f32>(model, connectivity, options, isa, crew),
        Precision::F64 => lay_out_for::<f64>(model, connectivity, options, isa, crew),
    }
}

/// A precision of state, and the method of a model that serves it.
trait StatePrecision: Real {
    fn stepper(model: &dyn NeuronModel, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<Self>>>;
}

impl StatePrecision for f32 {
    fn stepper(model: &dyn NeuronModel, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<f32>>> {
        model.stepper_f32(prepare)
    }
}

impl StatePrecision for f64 {
    fn stepper(model: &dyn NeuronModel, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<f64>>> {
        model.stepper_f64(prepare)
    }
}

fn lay_out_for<T: StatePrecision>(
    model: &BrainModel,
    connectivity: Connectivity,
    options: &SimOptions,
    isa: Isa,
    crew: Crew,
) -> Result<Box<dyn Machine>> {
    let populations = model.populations();
    for p in populations {
        let (variables, receptors) = (p.model().variables().len(), p.receptors().len());
        if variables > MAX_VARIABLES || receptors > MAX_RECEPTORS {
            return Err(Error::invalid(
                format!("population.{}", p.name()),
                format!(
                    "neuron model `{}` has {variables} state variables and {receptors} receptors; \
                     at most {MAX_VARIABLES} and {MAX_RECEPTORS} are supported",
                    p.model().name()
                ),
            ));
        }
    }
    let Connectivity { partition, grids, delays, stores, generator, origin, .. } = connectivity;
    let (wide_slots, longest) = (partition.wide(), delays.last().copied().unwrap_or(1));
    let calendars = stores.iter().map(Vec::len).sum::<usize>() as u64;
    let under_way = generator.as_ref().map_or(0, Procedural::buckets);
    if under_way > MOST_BUCKETS {
        let message = format!(
            "what procedural projections with delays of up to {longest} steps have under way between {} shards takes \
             {under_way} lists; at most {MOST_BUCKETS} are supported: use a larger dt, fewer threads, or \
             storage = \"stored\"",
            partition.shards
        );
        return Err(Error::invalid("projection", &message));
    }
    if Calendar::buckets(longest).saturating_mul(calendars) > MOST_BUCKETS {
        let message = format!(
            "a delay of {longest} steps takes {calendars} calendars of {} steps; together at most {MOST_BUCKETS} are \
             supported: use a larger dt or fewer threads",
            Calendar::buckets(longest)
        );
        return Err(origin.map_or_else(|| Error::invalid("run.dt", &message), |path| Error::format(path, &message)));
    }
    let mut built = Vec::with_capacity(partition.shards);
    for (index, stores) in stores.into_iter().enumerate() {
        let rows = if stores.iter().any(|s| s.arena.is_lent()) { Rows::guarded } else { Rows::new };
        let pathway = |store| Pathway { store, calendar: Calendar::new(longest), delays: delays.clone() };
        let (mut narrow, mut wide) = (false, false);
        for store in &stores {
            *if store.arena.format().narrow() { &mut narrow } else { &mut wide } = true;
        }
        let mut slices: Vec<Slice<T>> = Vec::new();
        for (number, population) in populations.iter().enumerate() {
            for part in partition.parts[number].iter().filter(|part| part.shard == index) {
                slices.push(slice::<T>(model, options, isa, number, population, part, &grids[number], wide_slots)?);
            }
        }
        // A receptor may have a grid although none of its synapses is here: its row is read all the same.
        for receptor in slices.iter().flat_map(|slice| &slice.receptors) {
            match receptor.kind {
                RowKind::Narrow => narrow = true,
                RowKind::Wide => wide = true,
                RowKind::None => {}
            }
        }
        built.push(Shard {
            slices,
            pathways: stores.into_iter().map(pathway).collect(),
            rows: rows(partition.slots[index].max(32), narrow, wide),
            probes: Vec::new(),
            samples: Vec::new(),
            log: Vec::new(),
            events: 0,
            segments: 0,
            times: [0; PHASES.len()],
            fault: None,
            scratch: Scratch::default(),
            watch: None,
        });
    }
    if let Some(inactive) = &options.inactive {
        inactive::install(&mut built, inactive, options.dt, longest, model.neurons());
    }
    Ok(Box::new(Shards::new(isa, crew, built, generator.map(Procedural::new))))
}

#[allow(clippy::too_many_arguments)]
fn slice<T: StatePrecision>(
    model: &BrainModel,
    options: &SimOptions,
    isa: Isa,
    number: usize,
    population: &Population,
    part: &Part,
    grids: &[Option<WeightGrid>],
    wide_slots: bool,
) -> Result<Slice<T>> {
    let padded = part.padded();
    let range = part.first..part.first + part.len;
    let params = part_params(population.params(), part);
    let prepare = Prepare {
        dt: options.dt,
        seed: model.seed(),
        population: population.name(),
        params: &params,
        first: part.first,
        len: padded,
        isa,
    };
    let stepper = T::stepper(&**population.model(), &prepare)?;
    let columns = (0..population.model().variables().len())
        .map(|variable| {
            let values = model.initial_column(PopulationId(number), variable, range.clone());
            let mut column = HugeVec::zeroed(padded);
            for (to, from) in column.iter_mut().zip(&values) {
                *to = T::of(*from);
            }
            // Padding neurons are stepped too: give them a state that is sure to be valid.
            if let Some(last) = values.last() {
                column[values.len()..].fill(T::of(*last));
            }
            column
        })
        .collect();
    let mut receptors: Vec<ReceptorInput<T>> = grids
        .iter()
        .enumerate()
        .map(|(receptor, grid)| ReceptorInput {
            kind: match grid {
                None => RowKind::None,
                Some(grid) if grid.bits == 16 && !wide_slots => RowKind::Narrow,
                Some(_) => RowKind::Wide,
            },
            slot: part.slot + receptor * padded,
            unit: T::of(grid.map_or(0.0, |g| g.unit)),
            stimulated: false,
        })
        .collect();
    let mut stimuli = Vec::new();
    for (index, spec) in model.spec().stimuli.iter().enumerate() {
        for (place, target) in spec.targets.iter().enumerate().filter(|(_, t)| t.population.0 == number) {
            let route = match &spec.kind {
                StimulusKind::Poisson { weight, .. } | StimulusKind::Spikes { weight, .. } => {
                    model.stimulus_receptor(index, place).map(|receptor| {
                        let routing = Routing::new(population.receptors(), ReceptorChoice::Always(receptor));
                        let (receptor, weight) = routing.of(*weight);
                        Route { receptor, weight }
                    })
                }
                _ => None,
            };
            let origin = (index, place);
            let made = Stimulus::new(origin, spec, target, population.name(), part, route, options.dt, model.seed());
            if let Some(stimulus) = made {
                if let Some(receptor) = stimulus.receptor() {
                    receptors[receptor].stimulated = true;
                }
                stimuli.push(stimulus);
            }
        }
    }
    let injected = stimuli.iter().any(|s: &Stimulus<T>| s.receptor().is_none());
    Ok(Slice {
        population: number,
        part: *part,
        first_neuron: population.first() + part.first,
        columns,
        refractory: HugeVec::zeroed(padded),
        stepper,
        receptors,
        stimuli,
        injected,
        tiles: None,
    })
}

/// The parameters of a part, padded with those of its last neuron.
fn part_params(params: &ParamTable, part: &Part) -> ParamTable {
    let padded = part.padded();
    let columns = params
        .columns
        .iter()
        .map(|column| match column {
            ParamColumn::Uniform(value) => ParamColumn::Uniform(*value),
            ParamColumn::PerNeuron(values) => {
                let mut own = values[part.first as usize..(part.first + part.len) as usize].to_vec();
                let last = own.last().copied().unwrap_or_default();
                own.resize(padded, last);
                ParamColumn::PerNeuron(own)
            }
        })
        .collect();
    ParamTable { len: padded, columns }
}

/// How the samples of all shards make up those of the recordings.
#[derive(Debug, Default)]
pub(super) struct ProbePlan {
    /// For each shard, its probes.
    shards: Vec<Vec<PlannedProbe>>,
    /// For each recording, the length of a sample.
    lengths: Vec<usize>,
}

#[derive(Debug)]
struct PlannedProbe {
    recording: usize,
    variables: usize,
    /// Place of each neuron among those of the recording.
    places: Vec<u32>,
    every: u64,
    from_step: u64,
    to_step: u64,
}

impl ProbePlan {
    /// Calls `give(recording, step, values)` for every sample taken in `from..to`, by step and recording.
    pub fn merge(
        &self,
        samples: &[Vec<f32>],
        from: u64,
        to: u64,
        mut give: impl FnMut(usize, u64, &[f32]) -> Result<()>,
    ) -> Result<()> {
        if self.lengths.is_empty() {
            return Ok(());
        }
        let mut cursors = vec![0usize; self.shards.len()];
        let mut frames: Vec<Option<Vec<f32>>> = vec![None; self.lengths.len()];
        for step in from..to {
            for ((probes, samples), cursor) in self.shards.iter().zip(samples).zip(&mut cursors) {
                for probe in probes {
                    let in_window = (probe.from_step..probe.to_step).contains(&(step + 1));
                    if !((step + 1).is_multiple_of(probe.every) && in_window) {
                        continue;
                    }
                    let length = self.lengths[probe.recording];
                    let frame = frames[probe.recording].get_or_insert_with(|| vec![0.0; length]);
                    let neurons = length / probe.variables;
                    for variable in 0..probe.variables {
                        for place in &probe.places {
                            frame[variable * neurons + *place as usize] = samples[*cursor];
                            *cursor += 1;
                        }
                    }
                }
            }
            for (recording, frame) in frames.iter_mut().enumerate() {
                if let Some(frame) = frame.take() {
                    give(recording, step, &frame)?;
                }
            }
        }
        Ok(())
    }
}

impl<T: Real> Shards<T> {
    /// Gives every shard the probes of the recordings it holds neurons of.
    pub(super) fn plan_probes(&mut self, layout: &Layout, variables: &[Vec<String>]) -> ProbePlan {
        let mut plan = ProbePlan {
            shards: Vec::new(),
            lengths: layout
                .states
                .iter()
                .map(|r| {
                    let neurons = match &r.neurons {
                        Selection::All => layout.populations[r.population].size as usize,
                        Selection::Indices(indices) => indices.len(),
                    };
                    neurons * r.variables.len()
                })
                .collect(),
        };
        for worker in &mut self.shards {
            for shard in worker.get_mut().unwrap_or_else(|e| e.into_inner()).iter_mut() {
                shard.probes.clear();
                for (recording, spec) in layout.states.iter().enumerate() {
                    for (slice_number, slice) in shard.slices.iter().enumerate() {
                        if slice.population == spec.population {
                            let probe = probe(
                                recording,
                                spec,
                                slice_number,
                                &slice.part,
                                &variables[spec.population],
                                layout.dt,
                            );
                            shard.probes.push(probe);
                        }
                    }
                }
                for Probe { slice, neurons, .. } in &shard.probes {
                    if let Some(tiles) = &mut shard.slices[*slice].tiles {
                        tiles.keep(neurons.iter().map(|(neuron, _)| *neuron));
                    }
                }
                plan.shards.push(
                    shard
                        .probes
                        .iter()
                        .map(|p| PlannedProbe {
                            recording: p.recording,
                            variables: p.columns.len(),
                            places: p.neurons.iter().map(|(_, place)| *place).collect(),
                            every: p.every,
                            from_step: p.from_step,
                            to_step: p.to_step,
                        })
                        .collect(),
                );
            }
        }
        plan
    }
}

fn probe(recording: usize, spec: &StateRecording, slice: usize, part: &Part, variables: &[String], dt: f64) -> Probe {
    let range = part.first..part.first + part.len;
    let neurons = match &spec.neurons {
        Selection::All => range.map(|i| (i - part.first, i)).collect(),
        Selection::Indices(indices) => indices
            .iter()
            .enumerate()
            .filter(|(_, i)| range.contains(i))
            .map(|(place, i)| (i - part.first, place as u32))
            .collect(),
    };
    let columns = spec
        .variables
        .iter()
        .map(|name| variables.iter().position(|v| v == name).expect("checked when the recording was added"))
        .collect();
    // The first sample at or after a time; times on the grid are not moved by the rounding of their division.
    let step_of = |time: f64| if time.is_finite() { (time / dt - 1e-6).ceil().max(0.0) as u64 } else { u64::MAX };
    Probe {
        recording,
        slice,
        columns,
        neurons,
        every: spec.every,
        from_step: step_of(spec.start),
        to_step: step_of(spec.stop),
    }
}
