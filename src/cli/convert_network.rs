//! `tessera convert` for networks: configurations, model files, SONATA folders and lists of synapses.

use super::{DONE, say};
use crate::config::{Check, RunSpec};
use crate::engine::{Connectivity, SimOptions};
use crate::error::{Error, Result};
use crate::interop::EdgeListWriter;
use crate::interop::edge_list;
use crate::interop::sonata::{Export, ExportOptions};
use crate::model::BrainModel;
use crate::storage::{Compression, MappedModel, convert_model};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct NetworkOptions {
    /// Override a key of the configuration, for example --set run.duration="2 s"; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Worker threads, and shards of a model file; the network does not depend on it.
    #[arg(long, short = 't')]
    threads: Option<usize>,
    /// To SONATA: leave out stimuli that SONATA cannot say, such as random spikes.
    #[arg(long)]
    drop_stimuli: bool,
    #[command(flatten)]
    edges: EdgeListOptions,
}

/// What a list of synapses does not say.
#[derive(Args)]
struct EdgeListOptions {
    /// From a list of synapses: the neuron model; its parameters with --set neuron.cell.tau_m="20 ms".
    #[arg(long, value_name = "MODEL", default_value = "lif_psc_exp")]
    neuron: String,
    /// From a list of synapses: number of neurons, 0 to N-1; those that the list names if absent.
    #[arg(long, value_name = "N")]
    neurons: Option<u32>,
    /// From a list of synapses: weight of every synapse, or what a weight of 1 in the list stands for ("12 pA").
    #[arg(long)]
    weight: Option<String>,
    /// From a list of synapses: delay of every synapse, where the list has none ("1.5 ms").
    #[arg(long)]
    delay: Option<String>,
    /// From a list of synapses: time step ("0.1 ms").
    #[arg(long)]
    dt: Option<String>,
}

/// What a network lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A configuration: TOML, or SONATA JSON.
    Configuration,
    /// A model file.
    Model,
    /// A SONATA folder.
    Sonata,
    /// A list of synapses.
    Edges,
}

impl Form {
    /// The form of a file to read or write, by its name.
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            _ if path.is_dir() => Some(Self::Sonata),
            Some("toml" | "json") => Some(Self::Configuration),
            Some("h5" | "hdf5") => Some(Self::Model),
            Some("csv" | "tsv" | "txt" | "npy" | "npz" | "edges") => Some(Self::Edges),
            None => Some(Self::Sonata),
            Some(_) => None,
        }
    }
}

/// A network and how it is run; from where its synapses come.
struct Network {
    spec: RunSpec,
    mapped: Option<MappedModel>,
}

/// Converts a network.
pub(super) fn convert(
    from: &Path,
    to: &Path,
    options: &NetworkOptions,
    compression: Compression,
    overwrite: bool,
) -> Result<u8> {
    let unknown = |path: &Path| {
        Error::Usage(format!(
            "{}: no form of a network has this ending; there are .toml and .json (configurations), .h5 (model files), .csv, \
             .txt, .npy and .npz (lists of synapses), and folders (SONATA)",
            path.display()
        ))
    };
    let source = Form::of(from).ok_or_else(|| unknown(from))?;
    let target = Form::of(to).ok_or_else(|| unknown(to))?;
    if target == Form::Configuration {
        return Err(Error::Usage(format!(
            "{}: configurations are written by people; networks are converted to model files (.h5), SONATA folders and \
             lists of synapses (.csv, .npy)",
            to.display()
        )));
    }
    if target == Form::Edges && to.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz")) {
        return Err(Error::Usage(format!("{}: lists of synapses are written as .csv or .npy", to.display())));
    }
    if source == Form::Model && target == Form::Model {
        let bytes = convert_model(from, to, compression, overwrite)?;
        say!("model      {} ({:.1} MB)", to.display(), bytes as f64 * 1e-6);
        return Ok(DONE);
    }
    let mut network = read(from, to, source, options)?;
    if let Some(threads) = options.threads {
        network.spec.run.threads = Some(super::positive_threads(threads)?);
    }
    match target {
        Form::Model => to_model(&network, to, compression, overwrite),
        Form::Sonata => to_sonata(&network, to, options, overwrite),
        Form::Edges | Form::Configuration => to_edges(&network, to, overwrite),
    }
}

fn read(from: &Path, to: &Path, form: Form, options: &NetworkOptions) -> Result<Network> {
    let checked = |check: Check| -> Result<RunSpec> {
        for warning in &check.warnings {
            eprintln!("warning: {warning}");
        }
        let spec = check.spec.ok_or(Error::Invalid(check.faults))?;
        spec.estimate().fits()?;
        Ok(spec)
    };
    match form {
        Form::Configuration => Ok(Network { spec: checked(RunSpec::check(from, &options.set))?, mapped: None }),
        Form::Sonata => {
            let config = from.join("simulation_config.json");
            Ok(Network { spec: checked(RunSpec::check(config, &options.set))?, mapped: None })
        }
        Form::Model => {
            let mapped = MappedModel::open(from)?;
            Ok(Network { spec: RunSpec::for_model(&mapped, &options.set)?, mapped: Some(mapped) })
        }
        Form::Edges => {
            let (ids, neurons) = Ids::of(from, to, options.edges.neurons)?;
            let text = options.edges.configuration(from, ids.as_ref().map(|ids| ids.path.as_path()), neurons)?;
            Ok(Network { spec: checked(RunSpec::check_text(from, &text, &options.set))?, mapped: None })
        }
    }
}

/// A table of the neurons that a list of synapses names, for as long as it takes to read the list again.
struct Ids {
    path: PathBuf,
}

impl Ids {
    /// The table, unless the neurons are numbered anyway; and how many neurons there are.
    fn of(list: &Path, to: &Path, neurons: Option<u32>) -> Result<(Option<Self>, u32)> {
        if let Some(neurons) = neurons {
            return Ok((None, neurons));
        }
        let mut ids: Vec<u64> = edge_list::read(list)?.iter().flat_map(|edge| [edge.source, edge.target]).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(Error::format(list, "the list has no synapse"));
        }
        let count = u32::try_from(ids.len()).map_err(|_| Error::format(list, "it names more than 2^32 neurons"))?;
        if ids.last().is_some_and(|last| *last + 1 == u64::from(count)) {
            return Ok((None, count));
        }
        let to = std::path::absolute(to).map_err(|e| Error::io(to, "create", e))?;
        let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = to.with_file_name(format!(".{name}.{}.ids.csv", std::process::id()));
        let table = Self { path };
        let attempt = || {
            let mut file = std::io::BufWriter::new(std::fs::File::create_new(&table.path)?);
            writeln!(file, "id")?;
            ids.iter().try_for_each(|id| writeln!(file, "{id}"))?;
            file.flush()
        };
        attempt().map_err(|e| Error::io(&table.path, "write", e))?;
        Ok((Some(table), count))
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl EdgeListOptions {
    /// The configuration of one population with the synapses of the list.
    fn configuration(&self, list: &Path, ids: Option<&Path>, neurons: u32) -> Result<String> {
        let quoted = |path: &Path| -> Result<String> {
            let path = std::path::absolute(path).map_err(|e| Error::io(path, "read", e))?;
            let text = path.to_str().ok_or_else(|| Error::Usage(format!("{} is not UTF-8", path.display())))?;
            Ok(quote(text))
        };
        let population = match ids {
            Some(ids) => format!("ids = {{ file = {} }}", quoted(ids)?),
            None => format!("n = {neurons}"),
        };
        let mut text = format!("[neuron.cell]\nmodel = {}\n", quote(&self.neuron));
        text += "[run]\nduration = \"1 s\"\n";
        if let Some(dt) = &self.dt {
            text += &format!("dt = {}\n", quantity(dt));
        }
        text += &format!("[population.neurons]\nneuron = \"cell\"\n{population}\n");
        text += "[projection.edges]\nsource = \"neurons\"\ntarget = \"neurons\"\nrule = \"edges\"\n";
        text += &format!("file = {}\n", quoted(list)?);
        for (key, value) in [("weight", &self.weight), ("delay", &self.delay)] {
            if let Some(value) = value {
                text += &format!("{key} = {}\n", quantity(value));
            }
        }
        Ok(text)
    }
}

/// A text as TOML has it.
fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A quantity from the command line: a number in the unit of its key, or a text with a unit.
fn quantity(text: &str) -> String {
    if text.parse::<f64>().is_ok_and(f64::is_finite) { text.to_owned() } else { quote(text) }
}

impl Network {
    /// Calls `f` with the network and its synapses, which are made now unless they lie in a file.
    fn with<T>(
        &self,
        check: impl FnOnce(&BrainModel) -> Result<()>,
        f: impl FnOnce(&BrainModel, &Connectivity) -> Result<T>,
    ) -> Result<T> {
        if let Some(mapped) = &self.mapped {
            let model = mapped.model()?;
            check(model)?;
            return f(model, &mapped.connectivity()?);
        }
        let model = BrainModel::build(&self.spec.network, self.spec.run.seed)?;
        check(&model)?;
        let options: SimOptions = self.spec.options()?;
        let connectivity = Connectivity::build(&model, &options)?;
        f(&model, &connectivity)
    }
}

fn to_model(network: &Network, to: &Path, compression: Compression, overwrite: bool) -> Result<u8> {
    let built = network.spec.write_model(to, compression, overwrite)?;
    super::build::tell(&built, to, compression);
    Ok(DONE)
}

fn to_sonata(network: &Network, to: &Path, options: &NetworkOptions, overwrite: bool) -> Result<u8> {
    let run = &network.spec.run;
    let export = ExportOptions { dt: run.dt_ms, duration_ms: run.duration_ms, drop_stimuli: options.drop_stimuli };
    let check = |model: &BrainModel| {
        let export = Export::new(model, export)?;
        for left_out in export.left_out() {
            eprintln!("warning: left out: {left_out}");
        }
        for note in export.notes() {
            eprintln!("warning: {note}");
        }
        Export::refuse(to, overwrite)
    };
    let written =
        network.with(check, |model, connectivity| Export::new(model, export)?.write(connectivity, to, overwrite))?;
    say!("network    {} nodes, {} edges in {} files", written.nodes, written.edges, written.files.len());
    say!("SONATA     {}", to.join("simulation_config.json").display());
    Ok(DONE)
}

fn to_edges(network: &Network, to: &Path, overwrite: bool) -> Result<u8> {
    let check = |_: &BrainModel| Ok(());
    let synapses = network.with(check, |model, connectivity| {
        let mut writer = EdgeListWriter::create(to, connectivity.synapses(), overwrite)?;
        let dt = network.spec.run.dt_ms;
        let mut synapses = Vec::new();
        for source in 0..model.neurons() {
            synapses.clear();
            connectivity.synapses_of(model, source, &mut synapses)?;
            synapses.sort_unstable_by(|a, b| {
                (a.target, a.delay).cmp(&(b.target, b.delay)).then_with(|| a.weight.total_cmp(&b.weight))
            });
            for s in &synapses {
                writer.push(u64::from(source), u64::from(s.target), s.weight, f64::from(s.delay) * dt)?;
            }
        }
        writer.finish()?;
        for population in model.populations() {
            let (first, size) = (u64::from(population.first()), u64::from(population.size()));
            say!("neurons    {} to {}: {}", first, (first + size).saturating_sub(1), population.name());
        }
        Ok(connectivity.synapses())
    })?;
    say!("synapses   {synapses} in {}", to.display());
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_go_by_the_name() {
        assert_eq!(Form::of(Path::new("a/net.toml")), Some(Form::Configuration));
        assert_eq!(Form::of(Path::new("model.H5")), Some(Form::Model));
        assert_eq!(Form::of(Path::new("edges.csv")), Some(Form::Edges));
        assert_eq!(Form::of(Path::new("new_folder")), Some(Form::Sonata));
        assert_eq!(Form::of(Path::new("new_folder/")), Some(Form::Sonata));
        assert_eq!(Form::of(Path::new("a.docx")), None);
    }

    #[test]
    fn values_are_quoted_where_they_have_units() {
        assert_eq!((quantity("1.5").as_str(), quantity("1.5 ms").as_str()), ("1.5", "\"1.5 ms\""));
        assert_eq!(quote("C:\\net\"x"), "'C:\\net\"x'");
    }
}
