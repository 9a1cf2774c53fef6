//! Parts of a model file: chosen neurons with their state and synapses, read and replaced without the rest.

use super::description::Description;
use super::{MappedModel, VERSION, of_population, of_store};
use crate::compute::records::{Arena, Format, SourceRow};
use crate::engine::{Precision, Synapse};
use crate::error::{Error, Result, did_you_mean};
use crate::lattice::{Box4, Position};
use crate::storage::container::{Compression, ContainerWriter};

/// A neuron as a model file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct NeuronData {
    /// Its population.
    pub population: String,
    /// Its index within the population.
    pub index: u32,
    /// Its number in the whole network.
    pub neuron: u32,
    /// The id a table gave it, if one did.
    pub id: Option<u64>,
    /// Its position, um, if it has one.
    pub position: Option<Position>,
    /// Its parameters, in the model's order and units.
    pub parameters: Vec<(String, f64)>,
    /// Its state, in the model's order and units.
    pub state: Vec<(String, f64)>,
    /// The synapses it sends through.
    pub synapses: Vec<Synapse>,
}

/// Which neurons are meant.
#[derive(Debug, Clone, PartialEq)]
pub enum NeuronQuery {
    /// A whole population.
    Population(String),
    /// Neurons of a population by their index within it.
    Indices(String, Vec<u32>),
    /// Neurons of a population by the ids a table gave them.
    Ids(String, Vec<u64>),
    /// All neurons with a position in a box of cells of the lattice.
    Region(Box4),
}

impl MappedModel {
    /// Numbers in the whole network of the neurons that are meant, ascending.
    ///
    /// # Errors
    /// If there is no such population or neuron, or no lattice.
    pub fn select(&self, query: &NeuronQuery) -> Result<Vec<u32>> {
        let named = |name: &str| -> Result<(u32, u32)> {
            let mut first = 0;
            for p in &self.description.populations {
                if p.name == name {
                    return Ok((first, p.size));
                }
                first += p.size;
            }
            let names = || self.description.populations.iter().map(|p| p.name.as_str());
            let hint = did_you_mean(name, names()).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            let known = names().collect::<Vec<_>>().join(", ");
            Err(Error::Usage(format!("there is no population `{name}`; there are {known}{hint}")))
        };
        match query {
            NeuronQuery::Population(name) => named(name).map(|(first, size)| (first..first + size).collect()),
            NeuronQuery::Indices(name, indices) => {
                let (first, size) = named(name)?;
                let mut chosen = indices.clone();
                chosen.sort_unstable();
                chosen.dedup();
                if let Some(bad) = chosen.last().filter(|i| **i >= size) {
                    let last = size.saturating_sub(1);
                    return Err(Error::Usage(format!("population `{name}` has no neuron {bad}; it has 0 to {last}")));
                }
                Ok(chosen.into_iter().map(|i| first + i).collect())
            }
            NeuronQuery::Ids(name, ids) => {
                let (first, _) = named(name)?;
                if !self.description.populations.iter().any(|p| p.name == *name && p.ids) {
                    return Err(Error::Usage(format!(
                        "the neurons of population `{name}` have no ids but their index"
                    )));
                }
                let all = self.file.read::<u64>(&of_population(name, "id"))?;
                let places: std::collections::HashMap<u64, u32> = all.into_iter().zip(first..).collect();
                let find = |id: &u64| {
                    let found = places.get(id).copied();
                    found.ok_or_else(|| Error::Usage(format!("population `{name}` has no neuron with the id {id}")))
                };
                let mut chosen: Vec<u32> = ids.iter().map(find).collect::<Result<_>>()?;
                chosen.sort_unstable();
                chosen.dedup();
                Ok(chosen)
            }
            NeuronQuery::Region(region) => {
                let Some(lattice) = self.description.lattice() else {
                    return Err(Error::Usage("the network has no lattice to choose a box of".to_owned()));
                };
                let mut chosen = Vec::new();
                let mut first = 0;
                for p in &self.description.populations {
                    if p.positions {
                        let values = self.file.read::<f32>(&of_population(&p.name, "position"))?;
                        let inside = |at: &[f32; 4]| region.contains(lattice.cell_of(*at));
                        let places = values.as_chunks::<4>().0.iter().zip(first..first + p.size);
                        chosen.extend(places.filter(|(at, _)| inside(at)).map(|(_, neuron)| neuron));
                    }
                    first += p.size;
                }
                Ok(chosen)
            }
        }
    }

    /// Where a synapse of [`load`](Self::load) leads: population, index within it, name of the receptor.
    ///
    /// # Panics
    /// If it is not of this network.
    pub fn target(&self, synapse: &Synapse) -> (&str, u32, &str) {
        let (p, index) = self.description.locate(synapse.target).expect("a neuron of this network");
        let population = &self.description.populations[p];
        (&population.name, index, &population.receptors[synapse.receptor].name)
    }

    /// Reads neurons (numbers in the whole network) with their parameters, state and synapses. Only what belongs to
    /// them is read from the file; archives are unpacked chunk by chunk.
    ///
    /// # Errors
    /// If there is no such neuron, or the file is damaged.
    pub fn load(&self, neurons: &[u32]) -> Result<Vec<NeuronData>> {
        let decoder = Decoder::new(self)?;
        neurons.iter().map(|neuron| self.load_one(*neuron, &decoder)).collect()
    }

    /// Reads all neurons of a population, as [`load`](Self::load) does.
    ///
    /// # Errors
    /// If there is no such population, or the file is damaged.
    pub fn load_population(&self, name: &str) -> Result<Vec<NeuronData>> {
        self.load(&self.select(&NeuronQuery::Population(name.to_owned()))?)
    }

    fn load_one(&self, neuron: u32, decoder: &Decoder<'_>) -> Result<NeuronData> {
        let Some((p, index)) = self.description.locate(neuron) else {
            let last = self.description.neurons.saturating_sub(1);
            return Err(Error::Usage(format!("there is no neuron {neuron}; the network has 0 to {last}")));
        };
        let population = &self.description.populations[p];
        let at = |array: String| of_population(&population.name, &array);
        let one = |array: String| -> Result<f64> {
            let path = at(array);
            let value = self.file.number(&path, u64::from(index))?;
            Ok(value)
        };
        let parameters: Result<Vec<(String, f64)>> = population
            .parameters
            .iter()
            .map(|(name, shared)| match population.per_neuron.contains(name) {
                true => Ok((name.clone(), one(format!("parameters/{name}"))?)),
                false => Ok((name.clone(), *shared)),
            })
            .collect();
        let state: Result<Vec<(String, f64)>> =
            population.state.iter().map(|name| Ok((name.clone(), one(format!("state/{name}"))?))).collect();
        let position = match population.positions {
            true => self.file.rows::<f32>(&at("position".into()), u64::from(index), 1)?.as_chunks().0.first().copied(),
            false => None,
        };
        let id = match population.ids {
            true => self.file.rows::<u64>(&at("id".into()), u64::from(index), 1)?.first().copied(),
            false => None,
        };
        let (population, synapses) = (population.name.clone(), decoder.synapses_of(neuron)?);
        Ok(NeuronData { population, index, neuron, id, position, parameters: parameters?, state: state?, synapses })
    }

    /// Replaces parameters and state of neurons (told by population and index) in the file. Positions, ids and
    /// synapses stay as they are. The file is written anew beside the old one and takes its place when it is complete,
    /// so that nothing is lost whatever happens, and mappings of the old one stay valid.
    ///
    /// # Errors
    /// If a neuron, parameter or state variable does not exist, or the file is damaged or cannot be written. It is
    /// unchanged then.
    pub fn store(&mut self, neurons: &[NeuronData]) -> Result<()> {
        let mut description = self.description.clone();
        let mut columns: std::collections::BTreeMap<String, (usize, Vec<f64>)> = std::collections::BTreeMap::new();
        for data in neurons {
            let Some(p) = description.populations.iter().position(|p| p.name == data.population) else {
                return Err(Error::Usage(format!("there is no population `{}`", data.population)));
            };
            let population = &mut description.populations[p];
            if data.index >= population.size {
                let message = format!("population `{}` has no neuron {}", data.population, data.index);
                return Err(Error::Usage(message));
            }
            let named = |kind: &str, name: &str| {
                Error::Usage(format!("population `{}` has no {kind} `{name}`", data.population))
            };
            for (name, value) in &data.parameters {
                let Some((_, shared)) = population.parameters.iter().find(|(n, _)| n == name).cloned() else {
                    return Err(named("parameter", name));
                };
                if !population.per_neuron.contains(name) {
                    if shared == *value {
                        continue;
                    }
                    // A value all neurons shared becomes one for each.
                    population.per_neuron.push(name.clone());
                    let order = |n: &String| population.parameters.iter().position(|(p, _)| p == n);
                    population.per_neuron.sort_by_key(order);
                    let path = of_population(&data.population, &format!("parameters/{name}"));
                    columns.insert(path, (p, vec![shared; population.size as usize]));
                }
                self.column(&mut columns, p, &format!("parameters/{name}"))?[data.index as usize] = *value;
            }
            for (name, value) in &data.state {
                if !population.state.contains(name) {
                    return Err(named("state variable", name));
                }
                self.column(&mut columns, p, &format!("state/{name}"))?[data.index as usize] = *value;
            }
        }
        let path = self.file.path().to_owned();
        let compression = self.file.compression();
        let mut writer = ContainerWriter::create(&path, super::FORMAT, compression)?;
        self.file.copy_into(&mut writer, |array| columns.contains_key(array))?;
        let single = Precision::named(&description.precision) == Some(Precision::F32);
        for (array, (p, values)) in &columns {
            let folder = of_population(&description.populations[*p].name, "parameters");
            if array.starts_with(&folder) && self.description.populations[*p].per_neuron.is_empty() {
                // The first of its population.
                writer.ensure_group(&folder)?;
            }
            let state = array.starts_with(&of_population(&description.populations[*p].name, "state/"));
            match single && state {
                true => writer.array(
                    array,
                    &[values.len() as u64],
                    &values.iter().map(|v| *v as f32).collect::<Vec<_>>(),
                )?,
                false => writer.array(array, &[values.len() as u64], values)?,
            }
        }
        let description = serde_json::to_value(description).map_err(|e| Error::format(&path, e.to_string()))?;
        writer.finish(VERSION, description)?;
        *self = Self::open(&path)?;
        Ok(())
    }

    /// A column of the file, read when it is first changed.
    fn column<'a>(
        &self,
        columns: &'a mut std::collections::BTreeMap<String, (usize, Vec<f64>)>,
        population: usize,
        array: &str,
    ) -> Result<&'a mut Vec<f64>> {
        let path = of_population(&self.description.populations[population].name, array);
        if !columns.contains_key(&path) {
            let values = self.file.numbers(&path)?;
            if values.len() != self.description.populations[population].size as usize {
                return Err(Error::format(self.file.path(), format!("/{path} has {} values", values.len())));
            }
            columns.insert(path.clone(), (population, values));
        }
        Ok(&mut columns.get_mut(&path).expect("just inserted").1)
    }
}

/// Finds and reads the synapses of single neurons.
struct Decoder<'a> {
    of: &'a MappedModel,
    partition: crate::engine::Partition,
}

impl<'a> Decoder<'a> {
    fn new(of: &'a MappedModel) -> Result<Self> {
        let partition = of.description.connectivity.partition(&of.description.sizes());
        let damaged = || Error::format(of.file.path(), "/header: the file is damaged (the parts of the populations)");
        Ok(Self { of, partition: partition.ok_or_else(damaged)? })
    }

    fn synapses_of(&self, neuron: u32) -> Result<Vec<Synapse>> {
        let Description { connectivity, .. } = &self.of.description;
        let file = &self.of.file;
        let mut synapses = Vec::new();
        for (shard, stores) in connectivity.stores.iter().enumerate() {
            for store in stores {
                let damaged = |array: &str| {
                    let path = of_store(shard, &store.format, array);
                    Error::format(file.path(), format!("/{path}: the file is damaged (at neuron {neuron})"))
                };
                let format = Format::ALL.into_iter().find(|f| f.name() == store.format);
                let format = format.ok_or_else(|| damaged("format"))?;
                let rows = file.rows::<u64>(&of_store(shard, &store.format, "rows"), u64::from(neuron), 2)?;
                let (row, next) = (SourceRow::from_bits(rows[0]), SourceRow::from_bits(rows[1]));
                if row.segments() == 0 {
                    continue;
                }
                if next.first() < row.first() {
                    return Err(damaged("rows"));
                }
                // Granules of four bytes may begin in the middle of a word.
                let size = format.granule() * format.record_bytes();
                let (from, to) = (row.first() as usize * size / 8, (next.first() as usize * size).div_ceil(8));
                let records = of_store(shard, &store.format, "records");
                let mut words = file.rows::<u64>(&records, from as u64, (to - from) as u64)?;
                words.resize(words.len() + Arena::TAIL, 0);
                let arena = Arena::lent(format, 32, Box::new(words)).ok_or_else(|| damaged("records"))?;
                let offset = row.first() as usize - from * 8 / size;
                let mut sound = true;
                let row = SourceRow::new(offset as u32, row.segments());
                sound &= arena.for_each_segment(row, |class, segment| {
                    let Some(delay) = connectivity.delays.get(usize::from(class)).copied() else {
                        sound = false;
                        return;
                    };
                    arena.for_each_record(segment, |slot, weight| match self.synapse(shard, slot, weight, delay) {
                        Some(synapse) => synapses.push(synapse),
                        None => sound = false,
                    });
                });
                if !sound {
                    return Err(damaged("records"));
                }
            }
        }
        Ok(synapses)
    }

    fn synapse(&self, shard: usize, slot: u32, weight: i32, delay: u32) -> Option<Synapse> {
        let at = self.partition.slot(shard, slot)?;
        let d = &self.of.description;
        let unit = d.connectivity.grids.get(at.population)?.get(at.receptor)?.map_or(1.0, |g| g.unit);
        let sign = if d.populations[at.population].receptors.get(at.receptor)?.magnitude { -1.0 } else { 1.0 };
        let target = d.first_of(at.population) + at.neuron;
        Some(Synapse { target, receptor: at.receptor, weight: f64::from(weight) * unit * sign, delay })
    }
}

impl Description {
    /// Size and number of receptors of each population.
    pub(super) fn sizes(&self) -> Vec<(u32, usize)> {
        self.populations.iter().map(|p| (p.size, p.receptors.len())).collect()
    }

    fn first_of(&self, population: usize) -> u32 {
        self.populations[..population].iter().map(|p| p.size).sum()
    }

    /// Population and index within it of a neuron of the network.
    fn locate(&self, neuron: u32) -> Option<(usize, u32)> {
        let mut left = neuron;
        for (p, population) in self.populations.iter().enumerate() {
            if left < population.size {
                return Some((p, left));
            }
            left -= population.size;
        }
        None
    }
}

impl Compression {
    /// The compression of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "none" => Ok(Self::None),
            "zstd" => Ok(Self::Zstd),
            "gzip" => Ok(Self::Gzip),
            _ => Err(Error::Usage(format!("there is no compression `{name}`; there are none, zstd and gzip"))),
        }
    }
}
