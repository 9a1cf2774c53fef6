//! What the header of a model file says: everything about a network but its arrays.

use super::{of_population, of_stimulus};
use crate::engine::{ConnectivityShape, Precision};
use crate::error::{Error, Result};
use crate::lattice::{Box4, Lattice4, Position};
use crate::model::{
    AreaSpec, BrainModel, Distribution, NetworkSpec, Placement, Population, PopulationId, PopulationSpec, Selection,
    StimulusKind, StimulusSpec, StimulusTarget,
};
use crate::neuron::{NeuronModel, ParamColumn, Polarity, Receptor, SpikeTrain, find};
use crate::storage::container::{Container, ContainerWriter};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Description {
    /// Version of the program that wrote the file.
    pub tessera: String,
    pub seed: u64,
    /// Time step the delays are counted in, ms.
    pub dt_ms: f64,
    /// `f32` or `f64`.
    pub precision: String,
    /// `auto`, `16` or `32`.
    pub weight_bits: String,
    pub neurons: u64,
    pub synapses: u64,
    pub lattice: Option<StoredLattice>,
    pub areas: Vec<(String, [[u32; 4]; 2])>,
    pub populations: Vec<StoredPopulation>,
    pub projections: Vec<StoredProjection>,
    pub stimuli: Vec<StoredStimulus>,
    pub connectivity: ConnectivityShape,
    /// The whole configuration, where the network was made from one.
    pub config: serde_json::Value,
    /// The file of that configuration.
    pub config_file: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredLattice {
    pub shape: [u32; 4],
    pub spacing_um: [f64; 4],
    pub periodic: [bool; 4],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredPopulation {
    pub name: String,
    pub size: u32,
    pub model: String,
    /// Values all neurons share; those of `per_neuron` are arrays.
    pub parameters: Vec<(String, f64)>,
    pub per_neuron: Vec<String>,
    pub options: Vec<(String, String)>,
    pub state: Vec<String>,
    pub receptors: Vec<StoredReceptor>,
    pub positions: bool,
    pub ids: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredReceptor {
    pub name: String,
    pub unit: String,
    /// Weights below zero are kept by their magnitude.
    pub magnitude: bool,
}

impl StoredReceptor {
    pub fn of(receptor: &Receptor) -> Self {
        let magnitude = receptor.polarity == Polarity::InhibitoryMagnitude;
        Self { name: receptor.name.to_owned(), unit: receptor.unit.to_owned(), magnitude }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredProjection {
    pub name: String,
    pub source: String,
    pub target: String,
}

/// A stimulus; its arrays are in the group of its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredStimulus {
    pub name: String,
    /// `null` for never.
    pub start_ms: Option<f64>,
    pub stop_ms: Option<f64>,
    /// Population, whether only the neurons of the array `neurons_<population>` are meant, level.
    pub targets: Vec<(String, bool, f64)>,
    pub kind: StoredKind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredKind {
    Poisson { weight: f64, receptor: Option<String> },
    Dc,
    Ac { frequency: f64, phase: f64, offset: f64 },
    Steps { times: Vec<f64>, amplitudes: Vec<f64> },
    Noise { sd: f64, interval: f64 },
    OrnsteinUhlenbeck { sd: f64, tau: f64 },
    Spikes { weight: f64, receptor: Option<String> },
    Matrix { columns: usize, interval: f64 },
}

/// Parameters of a model by name.
type Values = Vec<(String, f64)>;
/// Its options that are not numbers.
type Options = Vec<(String, String)>;

/// A model as named values, which give the same model when it is built from them.
pub(super) fn model_values(model: &dyn NeuronModel) -> Option<(Values, Options)> {
    let values: Vec<(String, f64)> = model.parameters().iter().map(|p| p.name.to_owned()).zip(model.values()).collect();
    let options: Vec<(String, String)> =
        model.options().into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let again = rebuild(model.name(), &values, &options, model.given_spikes()).ok()?;
    // A model of a user's own may have the name of one of the library's.
    (format!("{again:?}") == format!("{model:?}")).then_some((values, options))
}

/// The library's model of that name with those values.
fn rebuild(
    name: &str,
    values: &[(String, f64)],
    options: &[(String, String)],
    spikes: Option<&[(f64, u32)]>,
) -> Result<Arc<dyn NeuronModel>, String> {
    if let Some(spikes) = spikes {
        return match SpikeTrain::new(spikes) {
            Ok(train) => Ok(Arc::new(train)),
            Err(error) => Err(error.to_string()),
        };
    }
    let info = find(name).ok_or_else(|| format!("this program has no neuron model `{name}`"))?;
    let values: Vec<(&str, f64)> = values.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    info.build(&values, &options).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(|(name, message)| format!("{name}: {message}")).collect();
        faults.join("; ")
    })
}

impl StoredPopulation {
    /// Writes the arrays of a population and describes it.
    pub fn write(
        writer: &mut ContainerWriter,
        model: &BrainModel,
        index: usize,
        precision: Precision,
        ids: Option<&[u64]>,
    ) -> Result<Self> {
        let population: &Population = &model.populations()[index];
        let (name, n) = (population.name().to_owned(), u64::from(population.size()));
        writer.group(&format!("populations/{name}"))?;
        let (parameters, options) = model_values(&**population.model()).expect("checked before anything was written");
        let mut per_neuron = Vec::new();
        for (parameter, column) in population.model().parameters().iter().zip(&population.params().columns) {
            if let ParamColumn::PerNeuron(values) = column {
                if per_neuron.is_empty() {
                    writer.group(&of_population(&name, "parameters"))?;
                }
                writer.array(&of_population(&name, &format!("parameters/{}", parameter.name)), &[n], values)?;
                per_neuron.push(parameter.name.to_owned());
            }
        }
        let variables = population.model().variables();
        if !variables.is_empty() {
            writer.group(&of_population(&name, "state"))?;
        }
        for (variable, column) in variables.iter().enumerate() {
            let values = model.initial_column(PopulationId(index), variable, 0..population.size());
            let path = of_population(&name, &format!("state/{}", column.name));
            match precision {
                Precision::F32 => writer.array(&path, &[n], &values.iter().map(|v| *v as f32).collect::<Vec<_>>())?,
                Precision::F64 => writer.array(&path, &[n], &values)?,
            }
        }
        let positions: Option<Vec<Position>> = (0..population.size()).map(|i| population.position(i)).collect();
        let positions = positions.filter(|p| !p.is_empty());
        if let Some(positions) = &positions {
            writer.array(&of_population(&name, "position"), &[n, 4], positions.as_flattened())?;
        }
        if let Some(ids) = ids {
            writer.array(&of_population(&name, "id"), &[n], ids)?;
        }
        if let Some(spikes) = population.model().given_spikes() {
            write_events(writer, &format!("populations/{name}/spikes"), spikes)?;
        }
        Ok(Self {
            name,
            size: population.size(),
            model: population.model().name().to_owned(),
            parameters,
            per_neuron,
            options,
            state: variables.iter().map(|v| v.name.to_owned()).collect(),
            receptors: population.receptors().iter().map(StoredReceptor::of).collect(),
            positions: positions.is_some(),
            ids: ids.is_some(),
        })
    }

    /// The population as plain data.
    fn spec(&self, file: &Container) -> Result<PopulationSpec> {
        let wrong = |what: String| Error::format(file.path(), format!("/populations/{}: {what}", self.name));
        let spikes = match self.model.as_str() {
            "spike_train" => Some(read_events(file, &format!("populations/{}/spikes", self.name))?),
            _ => None,
        };
        let model = rebuild(&self.model, &self.parameters, &self.options, spikes.as_deref()).map_err(wrong)?;
        let column = |array: String| -> Result<Vec<f64>> {
            let path = of_population(&self.name, &array);
            let values = file.numbers(&path)?;
            if values.len() != self.size as usize {
                return Err(wrong(format!("/{path} has {} values for {} neurons", values.len(), self.size)));
            }
            Ok(values)
        };
        let distribution = |name: &String, folder: &str| -> Result<(String, Distribution)> {
            Ok((name.clone(), Distribution::Values(column(format!("{folder}/{name}"))?.into())))
        };
        let params: Result<Vec<_>> = self.per_neuron.iter().map(|name| distribution(name, "parameters")).collect();
        let initial: Result<Vec<_>> = self.state.iter().map(|name| distribution(name, "state")).collect();
        let placement = if self.positions {
            let path = of_population(&self.name, "position");
            let values = file.read::<f32>(&path)?;
            let (points, rest) = values.as_chunks::<4>();
            if points.len() != self.size as usize || !rest.is_empty() {
                return Err(wrong(format!("/{path} does not have 4 coordinates for each of {} neurons", self.size)));
            }
            Placement::Positions(points.into())
        } else {
            Placement::Count(self.size)
        };
        Ok(PopulationSpec { name: self.name.clone(), model, placement, params: params?, initial: initial? })
    }
}

/// Spikes as two arrays in a group of their own.
fn write_events(writer: &mut ContainerWriter, group: &str, events: &[(f64, u32)]) -> Result<()> {
    writer.group(group)?;
    let (times, neurons): (Vec<f64>, Vec<u32>) = events.iter().copied().unzip();
    writer.array(&format!("{group}/time"), &[times.len() as u64], &times)?;
    writer.array(&format!("{group}/neuron"), &[neurons.len() as u64], &neurons)
}

fn read_events(file: &Container, group: &str) -> Result<Arc<[(f64, u32)]>> {
    let times = file.read::<f64>(&format!("{group}/time"))?;
    let neurons = file.read::<u32>(&format!("{group}/neuron"))?;
    if times.len() != neurons.len() {
        let message = format!("/{group}: {} times for {} neurons", times.len(), neurons.len());
        return Err(Error::format(file.path(), message));
    }
    Ok(times.into_iter().zip(neurons).collect())
}

impl StoredStimulus {
    /// Writes the arrays of a stimulus and describes it.
    pub fn write(writer: &mut ContainerWriter, model: &BrainModel, stimulus: &StimulusSpec) -> Result<Self> {
        let name = stimulus.name.clone();
        writer.group(&format!("stimuli/{name}"))?;
        let mut targets = Vec::new();
        for target in &stimulus.targets {
            let population = model.populations()[target.population.0].name().to_owned();
            if let Selection::Indices(indices) = &target.neurons {
                let path = of_stimulus(&name, &format!("neurons_{population}"));
                writer.array(&path, &[indices.len() as u64], indices)?;
            }
            targets.push((population, matches!(target.neurons, Selection::Indices(_)), target.level));
        }
        let kind = match &stimulus.kind {
            StimulusKind::Poisson { weight, receptor } => {
                StoredKind::Poisson { weight: *weight, receptor: receptor.clone() }
            }
            StimulusKind::Dc => StoredKind::Dc,
            StimulusKind::Ac { frequency, phase, offset } => {
                StoredKind::Ac { frequency: *frequency, phase: *phase, offset: *offset }
            }
            StimulusKind::Steps { times, amplitudes } => {
                StoredKind::Steps { times: times.clone(), amplitudes: amplitudes.clone() }
            }
            StimulusKind::Noise { sd, interval } => StoredKind::Noise { sd: *sd, interval: *interval },
            StimulusKind::OrnsteinUhlenbeck { sd, tau } => StoredKind::OrnsteinUhlenbeck { sd: *sd, tau: *tau },
            StimulusKind::Spikes { events, weight, receptor } => {
                write_events(writer, &of_stimulus(&name, "events"), events)?;
                StoredKind::Spikes { weight: *weight, receptor: receptor.clone() }
            }
            StimulusKind::Matrix { values, columns, interval } => {
                let rows = values.len() / (*columns).max(1);
                writer.array(&of_stimulus(&name, "values"), &[rows as u64, *columns as u64], values)?;
                StoredKind::Matrix { columns: *columns, interval: *interval }
            }
        };
        let finite = |t: f64| t.is_finite().then_some(t);
        let (start_ms, stop_ms) = (finite(stimulus.start), finite(stimulus.stop));
        Ok(Self { name, start_ms, stop_ms, targets, kind })
    }

    fn spec(&self, file: &Container, populations: &[StoredPopulation]) -> Result<StimulusSpec> {
        let mut targets = Vec::new();
        for (population, some, level) in &self.targets {
            let Some(id) = populations.iter().position(|p| p.name == *population) else {
                let message = format!("/stimuli/{}: there is no population `{population}`", self.name);
                return Err(Error::format(file.path(), message));
            };
            let neurons = if *some {
                Selection::Indices(file.read::<u32>(&of_stimulus(&self.name, &format!("neurons_{population}")))?.into())
            } else {
                Selection::All
            };
            targets.push(StimulusTarget { population: PopulationId(id), neurons, level: *level });
        }
        let kind = match self.kind.clone() {
            StoredKind::Poisson { weight, receptor } => StimulusKind::Poisson { weight, receptor },
            StoredKind::Dc => StimulusKind::Dc,
            StoredKind::Ac { frequency, phase, offset } => StimulusKind::Ac { frequency, phase, offset },
            StoredKind::Steps { times, amplitudes } => StimulusKind::Steps { times, amplitudes },
            StoredKind::Noise { sd, interval } => StimulusKind::Noise { sd, interval },
            StoredKind::OrnsteinUhlenbeck { sd, tau } => StimulusKind::OrnsteinUhlenbeck { sd, tau },
            StoredKind::Spikes { weight, receptor } => {
                let events = read_events(file, &of_stimulus(&self.name, "events"))?;
                StimulusKind::Spikes { events, weight, receptor }
            }
            StoredKind::Matrix { columns, interval } => {
                let values = file.read::<f32>(&of_stimulus(&self.name, "values"))?.into();
                StimulusKind::Matrix { values, columns, interval }
            }
        };
        let start = self.start_ms.unwrap_or(f64::INFINITY);
        let stop = self.stop_ms.unwrap_or(f64::INFINITY);
        Ok(StimulusSpec { name: self.name.clone(), targets, kind, start, stop })
    }
}

impl Description {
    /// What the description says, as text on one line would be read: a fault of the header.
    pub fn parse(file: &Container) -> Result<Self> {
        serde_json::from_value(file.description().clone())
            .map_err(|e| Error::format(file.path(), format!("/header: the file is damaged ({e})")))
    }

    /// The lattice, if there is one.
    pub fn lattice(&self) -> Option<Lattice4> {
        self.lattice.as_ref().map(|l| Lattice4 { shape: l.shape, spacing: l.spacing_um, periodic: l.periodic })
    }

    /// The network without its synapses, as plain data.
    pub fn network(&self, file: &Container) -> Result<NetworkSpec> {
        let areas = self
            .areas
            .iter()
            .map(|(name, [lo, hi])| AreaSpec { name: name.clone(), region: Box4 { lo: *lo, hi: *hi } })
            .collect();
        let populations: Result<Vec<_>> = self.populations.iter().map(|p| p.spec(file)).collect();
        let stimuli: Result<Vec<_>> = self.stimuli.iter().map(|s| s.spec(file, &self.populations)).collect();
        Ok(NetworkSpec {
            lattice: self.lattice(),
            areas,
            populations: populations?,
            projections: Vec::new(),
            stimuli: stimuli?,
        })
    }
}

/// Names that cannot be groups of a file, and models that cannot be rebuilt from one: all of them at once.
pub(super) fn refuse_unfit(path: &Path, model: &BrainModel) -> Result<()> {
    let mut faults = Vec::new();
    let mut check = |key: String, name: &str| {
        if name.contains(['/', '\0']) || matches!(name, "." | "..") {
            let message = format!("`{name}` cannot be the name of a group in {}", path.display());
            faults.push(crate::error::Fault::new(key, message));
        }
    };
    for p in model.populations() {
        check(format!("population.{}", p.name()), p.name());
    }
    for s in &model.spec().stimuli {
        check(format!("stimulus.{}", s.name), &s.name);
    }
    for p in model.populations() {
        if model_values(&**p.model()).is_none() {
            let message = format!(
                "neuron model `{}` is not one of the library's; a model file can only hold those, since it is read \
                 back by name",
                p.model().name()
            );
            faults.push(crate::error::Fault::new(format!("population.{}", p.name()), message));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}
