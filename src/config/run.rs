//! `[run]`, `[paths]` and `[output]`.

use super::keys::{OUTPUT, RUN};
use super::quantity::show;
use super::reader::{Context, Section};
use super::tree::{Table, join};
use crate::compute::Isa;
use crate::engine::{CutOptions, CutStrategy, Precision};
use crate::synapse::WeightBits;
use serde_json::Map;
use std::path::{Path, PathBuf};

/// How the network is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// Biological time, ms.
    pub duration_ms: f64,
    /// Time step, ms.
    pub dt_ms: f64,
    /// Seed of all random draws.
    pub seed: u64,
    /// Threads; one for each core if absent.
    pub threads: Option<usize>,
    /// Precision of the neurons' state.
    pub precision: Precision,
    /// Name of the instruction set; the fastest the machine has if absent.
    pub isa: Option<String>,
    /// How many bits a stored weight has.
    pub weight_bits: WeightBits,
    /// How the network is cut into shards, and when it is cut anew.
    pub cut: CutOptions,
}

/// Format of spike files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpikesFormat {
    /// SONATA HDF5.
    #[default]
    Sonata,
    /// Text, one spike a line.
    Csv,
    /// NumPy arrays.
    Npy,
}

impl SpikesFormat {
    /// Its name in the file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sonata => "sonata",
            Self::Csv => "csv",
            Self::Npy => "npy",
        }
    }

    /// The format of that name in the file.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "csv" => Self::Csv,
            "npy" => Self::Npy,
            _ => Self::Sonata,
        }
    }
}

/// Where results go.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// The folder, relative to the current one.
    pub dir: PathBuf,
    /// Format of spike files whose record table does not say.
    pub spikes_format: SpikesFormat,
    /// Whether pictures are drawn when the run ends.
    pub pictures: bool,
    /// Whether the configuration itself asks to replace earlier results.
    pub overwrite: bool,
}

/// Reads `[run]`.
pub(super) fn read_run(ctx: &Context, root: &Table) -> (Option<RunOptions>, serde_json::Value) {
    let section = Section::top(ctx, root, "run", &RUN);
    let duration = section.quantity("duration");
    let dt = section.quantity("dt");
    let seed = section.integer("seed");
    let threads = section.integer("threads");
    let precision = section.choice("precision");
    let isa = section.choice("isa");
    let bits = section.choice("weight_bits");
    let cut = CutOptions {
        strategy: section.choice("partition").and_then(CutStrategy::named),
        shards: section.integer("shards").map(|n| n as usize),
        rebalance: section.quantity("rebalance"),
    };
    if let Some(name) = isa
        && let Err(error) = Isa::parse(name)
    {
        section.fault("isa", error.to_string());
    }
    if let (Some(duration), Some(dt)) = (duration, dt) {
        if !duration.is_finite() || duration / dt > 1e15 {
            section.fault(
                "duration",
                format!("{} is too long for a time step of {}", show(duration, "ms"), show(dt, "ms")),
            );
        } else if let Some(rounded) = off_grid(duration, dt) {
            let message = format!(
                "{} is not a multiple of dt = {}; the run ends at {}",
                show(duration, "ms"),
                show(dt, "ms"),
                show(rounded, "ms")
            );
            section.warn("duration", message);
        }
    }
    let options = (|| {
        Some(RunOptions {
            duration_ms: duration?,
            dt_ms: dt?,
            seed: seed? as u64,
            threads: threads.map(|n| n as usize),
            precision: Precision::named(precision?)?,
            isa: isa.map(str::to_owned),
            weight_bits: WeightBits::named(bits?)?,
            cut,
        })
    })();
    (options, section.finish(None).into())
}

/// The nearest multiple of `dt` if `time` is not one (up to rounding of the numbers themselves).
pub(super) fn off_grid(time: f64, dt: f64) -> Option<f64> {
    let steps = time / dt;
    ((steps - steps.round()).abs() > 1e-6 * steps.abs().max(1.0)).then(|| steps.round() * dt)
}

/// Reads `[paths]`: `--set` goes before the environment, the environment before the file.
pub(super) fn read_paths(ctx: &mut Context, root: &Table) -> serde_json::Value {
    let mut map = Map::new();
    let mut paths = Vec::new();
    if let Some(node) = root.get("paths")
        && let Some(table) = ctx.table(node, "paths")
    {
        for (name, node) in &table.entries {
            let Some(written) = ctx.text(node, &join("paths", name), "the path of a folder") else { continue };
            let folder = match std::env::var(name) {
                Ok(folder) if node.place != super::tree::Place::Set => absolute(&folder),
                _ => written.to_owned(),
            };
            map.insert(name.clone(), folder.clone().into());
            paths.push((name.clone(), folder));
        }
    }
    ctx.paths = paths;
    map.into()
}

/// Paths in the environment are relative to the current folder, not to that of the file.
fn absolute(folder: &str) -> String {
    std::path::absolute(folder).map_or_else(|_| folder.to_owned(), |path| path.display().to_string())
}

/// Reads `[output]`.
pub(super) fn read_output(ctx: &Context, root: &Table, file: &Path) -> (Option<OutputSpec>, serde_json::Value) {
    let section = Section::top(ctx, root, "output", &OUTPUT);
    let stem = file.file_stem().map_or_else(|| "run".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let default = format!("results/{stem}");
    let dir = if section.has("dir") { section.text("dir") } else { Some(default.clone()) };
    section.resolve("dir", default);
    let format = section.choice("format").map(SpikesFormat::named);
    let pictures = section.boolean("pictures");
    let output =
        (|| Some(OutputSpec { dir: dir?.into(), spikes_format: format?, pictures: pictures?, overwrite: false }))();
    section.mark("dir");
    (output, section.finish(None).into())
}
