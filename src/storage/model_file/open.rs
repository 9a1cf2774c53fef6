//! Model files read back: the network is described at once, its synapses stay in the file until they are looked at.

use super::description::{Description, StoredPopulation, StoredReceptor};
use super::{FORMAT, VERSION, of_population, of_store};
use crate::compute::records::Lent;
use crate::engine::{Connectivity, Precision, SimOptions};
use crate::error::{Error, Result};
use crate::metrics::available_memory;
use crate::model::BrainModel;
use crate::storage::container::Container;
use crate::synapse::WeightBits;
use std::cell::OnceCell;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Most neurons that need nothing in the file but their number.
const MOST_UNCHECKED: u64 = 1 << 24;

/// A model file that was opened.
///
/// Its synapses are mapped: opening costs little whatever their number, and memory is taken by what is used of them.
/// As long as it is mapped nobody may shorten the file; the system would end this process (`SIGBUS`). Files are
/// therefore never changed in place, only replaced by complete ones.
pub struct MappedModel {
    pub(super) file: Container,
    pub(super) description: Description,
    /// Made when it is first asked for.
    model: OnceCell<BrainModel>,
}

impl std::fmt::Debug for MappedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Description { neurons, synapses, .. } = &self.description;
        write!(f, "MappedModel({}, {neurons} neurons, {synapses} synapses)", self.file.path().display())
    }
}

impl MappedModel {
    /// Whether a file begins as HDF5 files do and says that it is a model file, damaged or not.
    pub fn recognises(path: impl AsRef<Path>) -> bool {
        Container::kind(path.as_ref()).is_some_and(|kind| kind == FORMAT)
    }

    /// Opens a model file and reads its description; arrays are read when they are asked for.
    ///
    /// # Errors
    /// If the file cannot be read, is not a model file, is of a later version or damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = Container::open(path.as_ref(), FORMAT, VERSION)?;
        let description = Description::parse(&file)?;
        let opened = Self { file, description, model: OnceCell::new() };
        opened.check()?;
        Ok(opened)
    }

    fn check(&self) -> Result<()> {
        let d = &self.description;
        if !(d.dt_ms.is_finite() && d.dt_ms > 0.0) {
            return Err(self.damaged("the time step"));
        }
        if Precision::named(&d.precision).is_none() || WeightBits::named(&d.weight_bits).is_none() {
            return Err(self.damaged("the precision"));
        }
        let neurons: u64 = d.populations.iter().map(|p| u64::from(p.size)).sum();
        if neurons != d.neurons || neurons > u64::from(u32::MAX - 64) {
            return Err(self.damaged("the number of neurons"));
        }
        let stored =
            d.connectivity.stores.iter().flatten().try_fold(0u64, |sum, store| sum.checked_add(store.synapses));
        if stored != Some(d.synapses) {
            return Err(self.damaged("the number of synapses"));
        }
        if let Some(lattice) = &d.lattice {
            let cells = lattice.shape.iter().all(|n| (1..=65_536).contains(n));
            if !cells || !lattice.spacing_um.iter().all(|um| um.is_finite() && *um > 0.0) {
                return Err(self.damaged("the lattice"));
            }
        }
        let mut names = HashSet::new();
        if let Some(twice) = d.populations.iter().find(|p| !names.insert(&p.name)) {
            return Err(self.damaged(&format!("there are two populations `{}`", twice.name)));
        }
        self.check_sizes(neurons)
    }

    /// Whether the arrays of the file are as long as the populations are large, before memory is taken for neurons.
    fn check_sizes(&self, neurons: u64) -> Result<()> {
        let d = &self.description;
        for p in &d.populations {
            let size = u64::from(p.size);
            if p.ids {
                self.file.check_shape::<u64>(&of_population(&p.name, "id"), &[size])?;
            }
            if p.positions {
                self.file.check_shape::<f32>(&of_population(&p.name, "position"), &[size, 4])?;
            }
            for variable in &p.state {
                let path = of_population(&p.name, &format!("state/{variable}"));
                match Precision::named(&d.precision) {
                    Some(Precision::F32) => self.file.check_shape::<f32>(&path, &[size])?,
                    _ => self.file.check_shape::<f64>(&path, &[size])?,
                }
            }
        }
        for (shard, stores) in d.connectivity.stores.iter().enumerate() {
            let mut formats = HashSet::new();
            for store in stores {
                if !formats.insert(&store.format) {
                    return Err(self.damaged(&format!("shard {shard} has two stores of the format `{}`", store.format)));
                }
                self.file.check_shape::<u64>(&of_store(shard, &store.format, "rows"), &[neurons + 1])?;
            }
        }
        // Nothing but the header tells the size of a population without state where there are no synapses.
        let unchecked: u64 = d.populations.iter().filter(|p| p.state.is_empty()).map(|p| u64::from(p.size)).sum();
        if d.connectivity.stores.iter().all(Vec::is_empty) && unchecked > MOST_UNCHECKED {
            let what = format!("{unchecked} neurons without state and synapses; at most {MOST_UNCHECKED} are read");
            return Err(self.damaged(&what));
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> Error {
        Error::format(self.file.path(), format!("/header: the file is damaged ({what})"))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Its length, bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file.file_bytes()
    }

    /// The network without its synapses.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn model(&self) -> Result<&BrainModel> {
        if let Some(model) = self.model.get() {
            return Ok(model);
        }
        let model = self.build()?;
        Ok(self.model.get_or_init(|| model))
    }

    /// Takes the network out, without its synapses.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn into_model(mut self) -> Result<BrainModel> {
        match self.model.take() {
            Some(model) => Ok(model),
            None => self.build(),
        }
    }

    fn build(&self) -> Result<BrainModel> {
        let spec = self.description.network(&self.file)?;
        let model = BrainModel::build(&spec, self.description.seed).map_err(|e| match e {
            Error::Invalid(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                self.damaged(&faults.join("; "))
            }
            other => other,
        })?;
        for (built, p) in model.populations().iter().zip(&self.description.populations) {
            let receptors: Vec<_> = built.receptors().iter().map(StoredReceptor::of).collect();
            if receptors != p.receptors {
                let names = |r: &[StoredReceptor]| r.iter().map(|r| r.name.clone()).collect::<Vec<_>>().join(", ");
                let message = format!(
                    "/populations/{}: the file has the receptors {}; model `{}` of this program has {}",
                    p.name,
                    names(&p.receptors),
                    p.model,
                    names(&receptors)
                );
                return Err(Error::format(self.file.path(), message));
            }
        }
        Ok(model)
    }

    /// Names and sizes of the populations, in order.
    pub fn populations(&self) -> impl Iterator<Item = (&str, u32)> {
        self.description.populations.iter().map(|p| (&*p.name, p.size))
    }

    /// Number of synapses.
    pub fn synapses(&self) -> u64 {
        self.description.synapses
    }

    /// Names of the projections with the populations they lead from and to.
    pub fn projections(&self) -> impl Iterator<Item = [&str; 3]> {
        self.description.projections.iter().map(|p| [&*p.name, &*p.source, &*p.target])
    }

    /// Number of shards the synapses are cut into: the number of threads the file serves without copying them.
    pub fn shards(&self) -> usize {
        self.description.connectivity.shards
    }

    /// What the network was built for: time step, precision and weight bits. Threads and instruction set are free.
    pub fn options(&self) -> SimOptions {
        SimOptions {
            dt: self.description.dt_ms,
            precision: Precision::named(&self.description.precision).expect("checked when it was opened"),
            weight_bits: WeightBits::named(&self.description.weight_bits).expect("checked when it was opened"),
            ..SimOptions::default()
        }
    }

    /// The whole configuration the network was made from; null if it was made in a program.
    pub fn config(&self) -> &serde_json::Value {
        &self.description.config
    }

    /// The file of that configuration.
    pub fn config_file(&self) -> Option<&Path> {
        self.description.config_file.as_deref()
    }

    /// For each population the ids that a table gave its neurons, if one did.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn ids(&self) -> Result<Vec<Option<Arc<[u64]>>>> {
        let read = |p: &StoredPopulation| match p.ids {
            true => self.file.read::<u64>(&of_population(&p.name, "id")).map(|ids| Some(ids.into())),
            false => Ok(None),
        };
        self.description.populations.iter().map(read).collect()
    }

    /// The synapses, mapped: nothing of them is read before it is used.
    ///
    /// # Errors
    /// If the file is an archive with compressed arrays, or damaged.
    pub fn connectivity(&self) -> Result<Connectivity> {
        let populations = self.description.sizes();
        let shape = &self.description.connectivity;
        // Where the file will not stay in memory, the system's reading ahead does more harm than good.
        let sparse = available_memory().is_some_and(|bytes| self.file.file_bytes() > bytes / 10 * 9);
        Connectivity::from_file(self.file.path(), shape, &populations, sparse, |shard, _, format| {
            let rows = self.file.read::<u64>(&of_store(shard, format.name(), "rows"))?;
            let records: Lent = Box::new(self.file.map::<u64>(&of_store(shard, format.name(), "records"))?);
            Ok((rows, records))
        })
    }

    /// Checks every array of the file against its checksum: all that is damaged.
    pub fn verify(&self) -> Vec<Error> {
        self.file.verify()
    }
}
