//! What of a network goes into a SONATA folder, and what SONATA cannot say: found out before anything is written.

use super::write_currents::{Clamp, Current, add_to};
use super::write_spikes::end_of;
use super::write_templates::{self as templates, CURRENT, Template};
use crate::error::{Error, Fault, Result};
use crate::model::{BrainModel, Population, PopulationId, Selection, StimulusKind, StimulusSpec};
use crate::neuron::ParamColumn;

/// Neurons whose initial values are looked at together.
const BLOCK: u32 = 1 << 16;

/// A node population to be written.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) name: String,
    pub(super) size: u32,
    /// Index of the population of the network; none for the sources of a stimulus.
    pub(super) population: Option<usize>,
    pub(super) cells: Cells,
}

/// What the nodes of a population are.
#[derive(Debug)]
pub(super) enum Cells {
    /// Neurons.
    Point {
        template: &'static Template,
        /// Name in NEST and values, of parameters and initial values.
        params: Vec<(&'static str, ParamColumn)>,
    },
    /// Sources of given spikes: (step at whose end the spike is sent, counted from 1; node), ascending.
    Virtual(Vec<(u64, u32)>),
}

/// A synapse from each node of a stimulus.
#[derive(Debug)]
pub(super) struct Driven {
    /// Index of the nodes that send.
    pub(super) nodes: usize,
    /// For each of them the target's number in the whole network.
    pub(super) targets: Vec<u32>,
    pub(super) weight: f64,
}

/// A current clamp.
#[derive(Debug)]
pub(super) struct ClampInput {
    pub(super) name: String,
    /// Population of the network.
    pub(super) population: usize,
    pub(super) neurons: Selection,
    pub(super) clamp: Clamp,
}

/// Everything to be written but the synapses.
#[derive(Debug)]
pub(super) struct Plan {
    /// The populations of the network in their order, then the sources of stimuli.
    pub(super) nodes: Vec<Nodes>,
    pub(super) driven: Vec<Driven>,
    pub(super) clamps: Vec<ClampInput>,
    /// Stimuli that are left out, with the reason.
    pub(super) left_out: Vec<String>,
    /// What other programs will do differently.
    pub(super) notes: Vec<String>,
}

impl Plan {
    /// Plans the export of a network for a run of `steps` steps of `dt` ms.
    ///
    /// # Errors
    /// Every name, model, initial value and stimulus that SONATA cannot say, at once; with `drop_stimuli`, such stimuli
    /// are left out instead.
    pub(super) fn new(model: &BrainModel, dt: f64, steps: u64, drop_stimuli: bool) -> Result<Self> {
        let mut plan =
            Self { nodes: Vec::new(), driven: Vec::new(), clamps: Vec::new(), left_out: Vec::new(), notes: Vec::new() };
        let mut faults = Vec::new();
        for (index, population) in model.populations().iter().enumerate() {
            if let Some(message) = unfit_name(population.name()) {
                faults.push(Fault::new(format!("population.{}", population.name()), message));
            }
            match cells(model, index, population, dt) {
                Ok(cells) => plan.nodes.push(Nodes {
                    name: population.name().to_owned(),
                    size: population.size(),
                    population: Some(index),
                    cells,
                }),
                Err(found) => faults.extend(found),
            }
        }
        // Stimuli are laid on the populations, so all of these have to be there.
        if faults.is_empty() {
            for stimulus in &model.spec().stimuli {
                if let Some(message) = unfit_name(&stimulus.name) {
                    faults.push(Fault::new(format!("stimulus.{}", stimulus.name), message));
                } else if let Err(reason) = plan.stimulus(model, stimulus, dt, steps) {
                    plan.left_out.push(format!("stimulus `{}`: {reason}", stimulus.name));
                    if !drop_stimuli {
                        let message = format!("{reason}; leave such stimuli out with --drop-stimuli");
                        faults.push(Fault::new(format!("stimulus.{}", stimulus.name), message));
                    }
                }
            }
        } else {
            for stimulus in model.spec().stimuli.iter().filter(|_| !drop_stimuli) {
                if let Some(reason) = unsayable(&stimulus.kind) {
                    let message = format!("{reason}; leave such stimuli out with --drop-stimuli");
                    faults.push(Fault::new(format!("stimulus.{}", stimulus.name), message));
                }
            }
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        plan.notes.extend(plan.nodes.iter().filter_map(per_neuron_note));
        Ok(plan)
    }

    /// Adds a stimulus; a reason if it cannot be said.
    fn stimulus(&mut self, model: &BrainModel, stimulus: &StimulusSpec, dt: f64, steps: u64) -> Result<(), String> {
        if let Some(reason) = unsayable(&stimulus.kind) {
            return Err(reason);
        }
        for (index, target) in stimulus.targets.iter().enumerate() {
            let PopulationId(at) = target.population;
            let population = &model.populations()[at];
            if let Some(current) = Current::of(stimulus, target.level, dt, steps) {
                if let Cells::Point { params, .. } = &mut self.nodes[at].cells {
                    let column = params.iter_mut().find(|(name, _)| *name == CURRENT);
                    let (_, column) = column.expect("all templates have it");
                    add_to(column, population.size() as usize, &target.neurons, current.constant);
                }
                if current.clamps.iter().any(|clamp| clamp.delay <= dt) {
                    self.notes.push(format!(
                        "stimulus `{}` changes within the first two steps of the run, which BMTK 1.2 passes over",
                        stimulus.name
                    ));
                }
                for (i, clamp) in current.clamps.into_iter().enumerate() {
                    let name = format!("{}_{}_{i}", stimulus.name, population.name());
                    self.clamps.push(ClampInput { name, population: at, neurons: target.neurons.clone(), clamp });
                }
                continue;
            }
            let StimulusKind::Spikes { events, weight, .. } = &stimulus.kind else { unreachable!("all others left") };
            let (sources, sent) =
                relay(stimulus, events, model.stimulated(stimulus_index(model, stimulus), index), dt)?;
            let mut name = match stimulus.targets.len() {
                1 => stimulus.name.clone(),
                _ => format!("{}_{}", stimulus.name, population.name()),
            };
            while self.nodes.iter().any(|nodes| nodes.name == name) {
                name.push_str("_stimulus");
            }
            let selected = model.stimulated(stimulus_index(model, stimulus), index);
            let targets = (0..sources).map(|node| {
                population.first()
                    + match &target.neurons {
                        Selection::All => node % selected,
                        Selection::Indices(indices) => indices[(node % selected) as usize],
                    }
            });
            self.driven.push(Driven { nodes: self.nodes.len(), targets: targets.collect(), weight: *weight });
            self.nodes.push(Nodes { name, size: sources, population: None, cells: Cells::Virtual(sent) });
        }
        Ok(())
    }
}

fn stimulus_index(model: &BrainModel, stimulus: &StimulusSpec) -> usize {
    model.spec().stimuli.iter().position(|s| s.name == stimulus.name).expect("it is one of the model's")
}

/// The spikes of virtual nodes that make the events of a stimulus: the number of nodes, and (step, node) ascending.
///
/// A synapse takes at least a step, so a node sends its spike a step before the event. Events that coincide at one neuron
/// need as many nodes: node `k * selected + i` stands for neuron `i` of the selection.
fn relay(
    stimulus: &StimulusSpec,
    events: &[(f64, u32)],
    selected: u32,
    dt: f64,
) -> Result<(u32, Vec<(u64, u32)>), String> {
    let step_of = |time: f64| if time.is_finite() { (time / dt).round().max(0.0) as u64 } else { u64::MAX };
    let active = step_of(stimulus.start)..step_of(stimulus.stop);
    let mut ends: Vec<(u64, u32)> = events.iter().map(|(time, i)| (step_of(*time).max(1), *i)).collect();
    ends.retain(|(end, _)| active.contains(&(end - 1)));
    ends.sort_unstable();
    if ends.first().is_some_and(|(end, _)| *end < 2) {
        return Err(format!(
            "it has events in the first step ({dt} ms), which no source can send: a synapse takes a step at least"
        ));
    }
    let (mut layers, mut layer) = (1, 0);
    let mut sent: Vec<(u64, u32)> = Vec::with_capacity(ends.len());
    for (k, (end, neuron)) in ends.iter().enumerate() {
        layer = if k > 0 && ends[k - 1] == (*end, *neuron) { layer + 1 } else { 0 };
        layers = layers.max(layer + 1);
        let node = u32::checked_mul(layer, selected).and_then(|n| n.checked_add(*neuron));
        sent.push((end - 1, node.ok_or("it has too many events that coincide")?));
    }
    sent.sort_unstable();
    let sources = selected.checked_mul(layers).ok_or("it has too many events that coincide")?;
    Ok((sources, sent))
}

/// Why a kind of stimulus cannot be said in SONATA, if it cannot.
fn unsayable(kind: &StimulusKind) -> Option<String> {
    let what = match kind {
        StimulusKind::Dc | StimulusKind::Steps { .. } | StimulusKind::Spikes { .. } => return None,
        StimulusKind::Poisson { .. } => "random spikes (`poisson`)",
        StimulusKind::Ac { .. } => "an alternating current (`ac`)",
        StimulusKind::Noise { .. } => "a random current (`noise`)",
        StimulusKind::OrnsteinUhlenbeck { .. } => "a random current (`ornstein_uhlenbeck`)",
        StimulusKind::Matrix { .. } => "a current for every neuron and step (`matrix`)",
    };
    Some(format!("SONATA has no input for {what}; given spikes and constant currents are written"))
}

/// Why a name cannot be one of a group in HDF5 and of a file, if it cannot.
fn unfit_name(name: &str) -> Option<String> {
    let odd = name.chars().find(|c| matches!(c, '/' | '\\' | '"' | '\'' | ':' | '$') || c.is_control());
    match odd {
        Some(c) => Some(format!("`{name}` has the character {c:?}, which names in SONATA files cannot have")),
        None if name.starts_with('.') => {
            Some(format!("`{name}` begins with a dot, which names in SONATA files cannot"))
        }
        None => None,
    }
}

fn cells(model: &BrainModel, index: usize, population: &Population, dt: f64) -> Result<Cells, Vec<Fault>> {
    let key = format!("population.{}", population.name());
    let fault = |message: String| vec![Fault::new(key.clone(), message)];
    let neurons = population.model();
    if let Some(spikes) = neurons.given_spikes() {
        let mut sent: Vec<(u64, u32)> = Vec::with_capacity(spikes.len());
        for (time, node) in spikes {
            sent.push(((time / dt).round() as u64, *node));
        }
        sent.sort_unstable();
        if sent.first().is_some_and(|(step, _)| *step < 1) {
            return Err(fault(format!("it has spikes before the end of the first step, {dt} ms")));
        }
        return Ok(Cells::Virtual(sent));
    }
    let Some(template) = templates::of(&**neurons) else {
        return Err(fault(format!(
            "model `{}` has no counterpart in NEST that SONATA could name; those that have one are {}. A model file keeps \
             every network",
            neurons.name(),
            templates::known()
        )));
    };
    let table = population.params();
    let mut params: Vec<(&'static str, ParamColumn)> =
        template.parameters.iter().copied().zip(table.columns.iter().cloned()).collect();
    // Refractory times are rounded to the nearest step here and up in NEST: whole steps are the same for both.
    let whole = |time: f64| end_of((time / dt).round() as u64, dt);
    for (_, column) in params.iter_mut().filter(|(name, _)| *name == "t_ref") {
        match column {
            ParamColumn::Uniform(time) => *time = whole(*time),
            ParamColumn::PerNeuron(times) => times.iter_mut().for_each(|time| *time = whole(*time)),
        }
    }
    let mut faults = Vec::new();
    for (place, variable) in neurons.variables().iter().enumerate() {
        let column = initial(model, PopulationId(index), place, population.size());
        match template.initial.iter().find(|(name, _)| *name == variable.name) {
            Some((_, nest)) => params.push((nest, column)),
            None if column == ParamColumn::Uniform(0.0) => {}
            None => faults.push(Fault::new(
                format!("{key}.initial.{}", variable.name),
                format!(
                    "`{}` of {} starts at 0 and cannot be set; leave the initial value away",
                    variable.name, template.template
                ),
            )),
        }
    }
    if faults.is_empty() { Ok(Cells::Point { template, params }) } else { Err(faults) }
}

/// Initial values of a state variable.
fn initial(model: &BrainModel, population: PopulationId, variable: usize, size: u32) -> ParamColumn {
    let blocks = || {
        (0..size)
            .step_by(BLOCK as usize)
            .map(|from| model.initial_column(population, variable, from..size.min(from.saturating_add(BLOCK))))
    };
    let first = blocks().next().and_then(|block| block.first().copied()).unwrap_or(0.0);
    if blocks().all(|block| block.iter().all(|value| *value == first)) {
        ParamColumn::Uniform(first)
    } else {
        ParamColumn::PerNeuron(blocks().flatten().collect())
    }
}

fn per_neuron_note(nodes: &Nodes) -> Option<String> {
    let Cells::Point { params, .. } = &nodes.cells else { return None };
    let own: Vec<&str> =
        params.iter().filter(|(_, c)| matches!(c, ParamColumn::PerNeuron(_))).map(|(name, _)| *name).collect();
    (!own.is_empty()).then(|| {
        format!(
            "population `{}`: {} differ between neurons and are written to dynamics_params of the node file, which BMTK 1.2 \
             does not read (it takes NEST's defaults)",
            nodes.name,
            own.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectionRule, Distribution, NetworkSpec, StaticSynapse};
    use crate::neuron::{LifEuler, LifPscExp, Parrot, SpikeTrain};

    fn plan(net: &NetworkSpec, drop_stimuli: bool) -> Result<Plan> {
        Plan::new(&BrainModel::build(net, 1).unwrap(), 0.1, 1000, drop_stimuli)
    }

    #[test]
    fn everything_that_cannot_be_said_is_told_at_once() {
        let mut net = NetworkSpec::default();
        let a = net.population("a", 3, LifEuler::default()).unwrap();
        net.population("b/c", 3, LifPscExp::default()).unwrap();
        net.population("d", 3, Parrot::default()).unwrap();
        let noise = StimulusKind::Poisson { weight: 1.0, receptor: None };
        net.stimulate("noise", a, 100.0, noise).unwrap();
        let Error::Invalid(faults) = plan(&net, false).unwrap_err() else { panic!() };
        let keys: Vec<&str> = faults.iter().map(|f| f.key.as_str()).collect();
        assert_eq!(keys, ["population.a", "population.b/c", "population.d", "stimulus.noise"]);
        assert!(faults[0].message.contains("lif_psc_exp, "), "{}", faults[0].message);
        assert!(faults[3].message.contains("--drop-stimuli"), "{}", faults[3].message);
    }

    #[test]
    fn stimuli_are_dropped_only_when_asked() {
        let mut net = NetworkSpec::default();
        let a = net.population("a", 3, LifPscExp::default()).unwrap();
        net.stimulate("noise", a, 100.0, StimulusKind::Poisson { weight: 1.0, receptor: None }).unwrap();
        net.stimulate("push", a, 50.0, StimulusKind::Dc).unwrap();
        assert!(plan(&net, false).is_err());
        let plan = plan(&net, true).unwrap();
        assert_eq!(plan.left_out.len(), 1);
        let Cells::Point { params, .. } = &plan.nodes[0].cells else { panic!() };
        assert!(params.contains(&("I_e", ParamColumn::Uniform(50.0))));
    }

    #[test]
    fn values_of_their_own_and_given_spikes() {
        let mut net = NetworkSpec::default();
        let a = net.population("a", 3, LifPscExp { t_ref: 2.04, ..Default::default() }).unwrap();
        net.populations[a.0].params.push(("tau_m".into(), Distribution::Values([9.0, 10.0, 11.0].into())));
        net.populations[a.0].initial.push(("v_m".into(), Distribution::Constant(-60.0)));
        let s = net.population("s", 2, SpikeTrain::new(vec![(5.02, 1), (1.0, 0)]).unwrap()).unwrap();
        net.project(s, a, ConnectionRule::AllToAll, StaticSynapse { weight: 1.0, delay: 1.0 }).unwrap();
        // Neuron 2 twice in a step; one event outside of the time in which the stimulus acts.
        let events = [(2.0, 0), (2.0, 1), (2.0, 1), (50.0, 1)];
        let kind = StimulusKind::Spikes { events: events.into(), weight: 3.0, receptor: None };
        net.stimulate("kick", a, 1.0, kind).unwrap();
        net.stimuli[0].stop = 40.0;
        net.stimuli[0].targets[0].neurons = Selection::Indices([0, 2].into());
        let plan = plan(&net, false).unwrap();
        let Cells::Point { params, .. } = &plan.nodes[0].cells else { panic!() };
        assert!(params.contains(&("tau_m", ParamColumn::PerNeuron(vec![9.0, 10.0, 11.0]))));
        assert!(params.contains(&("V_m", ParamColumn::Uniform(-60.0))));
        assert!(params.contains(&("t_ref", ParamColumn::Uniform(2.0))));
        assert!(plan.notes[0].contains("tau_m"));
        assert!(matches!(&plan.nodes[1].cells, Cells::Virtual(sent) if *sent == [(10, 0), (50, 1)]));
        assert_eq!((plan.nodes[2].name.as_str(), plan.nodes[2].size), ("kick", 4));
        assert!(matches!(&plan.nodes[2].cells, Cells::Virtual(sent) if *sent == [(19, 0), (19, 1), (19, 3)]));
        assert_eq!(plan.driven[0].targets, [0, 2, 0, 2]);
    }
}
