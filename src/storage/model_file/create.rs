//! Writing model files, and copying them from one form of storage to another.

use super::description::{
    Description, StoredLattice, StoredPopulation, StoredProjection, StoredStimulus, refuse_unfit,
};
use super::{FORMAT, MappedModel, VERSION, of_store};
use crate::compute::records::Arena;
use crate::engine::{Connectivity, ConnectivityShape, SimOptions, words_of};
use crate::error::{Error, Result};
use crate::model::{BrainModel, NetworkSpec, ProjectionSpec, SynapseStorage};
use crate::storage::container::{Compression, Container, ContainerWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a model file keeps beside the network.
#[derive(Debug, Clone, Default)]
pub struct ModelSettings {
    /// The time step, precision and weight bits the network was built for; the rest is not kept.
    pub options: SimOptions,
    /// The whole configuration, where there is one; null otherwise.
    pub config: serde_json::Value,
    /// The file it came from.
    pub config_file: Option<PathBuf>,
    /// For each population the ids that a table gave its neurons, if one did.
    pub ids: Vec<Option<Arc<[u64]>>>,
    /// How arrays are stored: only plain ones can be mapped.
    pub compression: Compression,
    /// Replace a file of that name.
    pub overwrite: bool,
}

impl MappedModel {
    /// The error for a file that exists and may not be replaced, before any work for it is done.
    ///
    /// # Errors
    /// That one.
    pub fn refuse(path: &Path, overwrite: bool) -> Result<()> {
        refuse_existing(path, overwrite)
    }

    /// The error for a network with procedural projections, whose synapses are nowhere to be written from, before any work
    /// is done.
    ///
    /// # Errors
    /// That one.
    pub fn refuse_procedural(network: &NetworkSpec) -> Result<()> {
        let procedural = |p: &&ProjectionSpec| p.storage == SynapseStorage::Procedural;
        let Some(first) = network.projections.iter().find(procedural) else { return Ok(()) };
        Err(Error::Usage(format!(
            "projection `{}` has storage = \"procedural\": a model file keeps synapses, and this projection draws its own at \
             every spike; run the configuration itself, or build it with storage = \"stored\"",
            first.name
        )))
    }

    /// Writes a constructed network to a file; gives its length in bytes. The file has its name only once it is
    /// complete and on disk.
    ///
    /// # Errors
    /// If the file exists and may not be replaced or cannot be written, if a neuron model is not one of the library's,
    /// a name cannot stand in the file, or a projection is procedural.
    pub fn create(
        path: impl AsRef<Path>,
        model: &BrainModel,
        connectivity: &Connectivity,
        settings: &ModelSettings,
    ) -> Result<u64> {
        let path = path.as_ref();
        refuse_existing(path, settings.overwrite)?;
        refuse_unfit(path, model)?;
        Self::refuse_procedural(model.spec())?;
        let mut writer = ContainerWriter::create(path, FORMAT, settings.compression)?;
        writer.group("populations")?;
        let mut populations = Vec::new();
        for index in 0..model.populations().len() {
            let ids = settings.ids.get(index).and_then(|ids| ids.as_deref());
            let precision = settings.options.precision;
            populations.push(StoredPopulation::write(&mut writer, model, index, precision, ids)?);
        }
        writer.group("stimuli")?;
        let mut stimuli = Vec::new();
        for stimulus in &model.spec().stimuli {
            stimuli.push(StoredStimulus::write(&mut writer, model, stimulus)?);
        }
        let shape = connectivity.shape(model)?;
        write_synapses(&mut writer, model, connectivity, &shape)?;
        let spec = model.spec();
        let name = |id: usize| model.populations()[id].name().to_owned();
        let description = Description {
            tessera: env!("CARGO_PKG_VERSION").to_owned(),
            seed: model.seed(),
            dt_ms: settings.options.dt,
            precision: settings.options.precision.name().to_owned(),
            weight_bits: settings.options.weight_bits.name().to_owned(),
            neurons: u64::from(model.neurons()),
            synapses: connectivity.synapses(),
            lattice: spec.lattice.as_ref().map(|l| StoredLattice {
                shape: l.shape,
                spacing_um: l.spacing,
                periodic: l.periodic,
            }),
            areas: spec.areas.iter().map(|a| (a.name.clone(), [a.region.lo, a.region.hi])).collect(),
            populations,
            projections: spec
                .projections
                .iter()
                .map(|p| StoredProjection { name: p.name.clone(), source: name(p.source.0), target: name(p.target.0) })
                .collect(),
            stimuli,
            connectivity: shape,
            config: settings.config.clone(),
            config_file: settings.config_file.clone(),
        };
        let description = serde_json::to_value(description).map_err(|e| Error::format(path, e.to_string()))?;
        writer.finish(VERSION, description)
    }
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<()> {
    if path.exists() && !overwrite {
        let message = format!("{} exists; choose another name or allow it with --overwrite", path.display());
        return Err(Error::Usage(message));
    }
    Ok(())
}

fn write_synapses(
    writer: &mut ContainerWriter,
    model: &BrainModel,
    connectivity: &Connectivity,
    shape: &ConnectivityShape,
) -> Result<()> {
    writer.group("synapses")?;
    let neurons = model.neurons();
    for (shard, stores) in shape.stores.iter().enumerate() {
        writer.group(&format!("synapses/shard_{shard}"))?;
        let (of_slot, receptor, unit) = connectivity.slots(model, shard);
        let slots = of_slot.len() as u64;
        writer.array(&format!("synapses/shard_{shard}/slot_neuron"), &[slots], &of_slot)?;
        writer.array(&format!("synapses/shard_{shard}/slot_receptor"), &[slots], &receptor)?;
        writer.array(&format!("synapses/shard_{shard}/slot_unit"), &[slots], &unit)?;
        for (k, store) in stores.iter().enumerate() {
            writer.group(&format!("synapses/shard_{shard}/{}", store.format))?;
            let rows = connectivity.rows(shard, k)?;
            writer.array(&of_store(shard, &store.format, "rows"), &[rows.len() as u64], &rows)?;
            let mut halves = 0usize;
            for neuron in 0..neurons {
                halves += connectivity.image(shard, k, neuron)?.len();
            }
            let words = (halves.div_ceil(2) + Arena::TAIL) as u64;
            let mut slabs = writer.slabs::<u64>(&of_store(shard, &store.format, "records"), &[words])?;
            // Sources are copied in order, whatever order the workers of the construction left them in: the same network
            // makes the same file.
            let mut waiting: Vec<u32> = Vec::new();
            let mut piece: Vec<u64> = Vec::new();
            for neuron in 0..neurons {
                waiting.extend_from_slice(connectivity.image(shard, k, neuron)?);
                if waiting.len() >= 1 << 18 {
                    let whole = waiting.len() / 2 * 2;
                    piece.clear();
                    piece.extend(words_of(&waiting[..whole]));
                    slabs.write(&piece)?;
                    waiting.drain(..whole);
                }
            }
            piece.clear();
            piece.extend(words_of(&waiting));
            piece.resize(piece.len() + Arena::TAIL, 0);
            slabs.write(&piece)?;
            slabs.finish()?;
        }
    }
    Ok(())
}

/// Copies a model file array by array: to make a small archive of a mappable file, or the other way round. Gives the
/// length of the new file.
///
/// # Errors
/// If the file is not a model file or damaged, or the other exists and may not be replaced or cannot be written.
pub fn convert_model(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    compression: Compression,
    overwrite: bool,
) -> Result<u64> {
    let (from, to) = (from.as_ref(), to.as_ref());
    refuse_existing(to, overwrite)?;
    let file = Container::open(from, FORMAT, VERSION)?;
    let mut writer = ContainerWriter::create(to, FORMAT, compression)?;
    file.copy_into(&mut writer, |_| false)?;
    writer.finish(VERSION, file.description().clone())
}
