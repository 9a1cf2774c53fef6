//! `tessera plot`: pictures of the results in a folder.

use super::{DONE, say};
use crate::config::RunSpec;
use crate::error::{Error, Result};
use crate::model::BrainModel;
use crate::plot::statistics::Window;
use crate::plot::{Histograms, LatticeActivity, LatticeMap, Raster, Rates, Size, Trace, Traces};
use crate::storage::{self, PopulationSpikes, RunRecord};
use clap::Args;
use std::path::{Path, PathBuf};

/// Neurons whose traces are drawn, of each recorded variable.
const MOST_TRACES: usize = 5;

#[derive(Args)]
pub(super) struct PlotArgs {
    /// Results folder.
    folder: PathBuf,
    /// Beginning of the time shown, ms.
    #[arg(long)]
    from: Option<f64>,
    /// End of the time shown, ms.
    #[arg(long)]
    to: Option<f64>,
    /// Width of the bins of population rates, ms.
    #[arg(long)]
    bin: Option<f64>,
    /// Size of the pictures in pixels, for example 1200x800.
    #[arg(long, default_value = "1200x800")]
    size: String,
    /// Where the pictures go; the results folder if absent.
    #[arg(long, short = 'o')]
    out: Option<PathBuf>,
}

pub(super) fn plot(args: &PlotArgs) -> Result<u8> {
    let size = parse_size(&args.size)?;
    let out = args.out.clone().unwrap_or_else(|| args.folder.clone());
    std::fs::create_dir_all(&out).map_err(|e| Error::io(&out, "create", e))?;
    for file in pictures(&args.folder, &out, args.from, args.to, args.bin, size)? {
        say!("{}", file.display());
    }
    Ok(DONE)
}

/// Draws everything a fresh results folder has, into it.
pub(super) fn draw(folder: &Path) -> Result<Vec<PathBuf>> {
    pictures(folder, folder, None, None, None, Size::default())
}

fn parse_size(text: &str) -> Result<Size> {
    text.split_once('x')
        .and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)))
        .ok_or_else(|| Error::Usage(format!("`{text}` is not a size; an example is 1200x800")))
        .and_then(|(w, h)| Size::new(w, h))
}

fn pictures(
    folder: &Path,
    out: &Path,
    from: Option<f64>,
    to: Option<f64>,
    bin_ms: Option<f64>,
    size: Size,
) -> Result<Vec<PathBuf>> {
    let record = RunRecord::read(folder)?;
    let end = record.summary.as_ref().map_or(0.0, |s| s.duration_ms);
    let window = Window::new(from.unwrap_or(0.0), to.unwrap_or(end))?;
    let title = record.file.as_ref().and_then(|f| f.file_stem()?.to_str()).unwrap_or_default().to_owned();
    let mut files = Vec::new();
    let spikes = match record.files.iter().any(|f| f.starts_with("spikes")) {
        true => storage::read_spikes(folder)?,
        false => Vec::new(),
    };
    if !spikes.is_empty() {
        let raster = Raster { size, title: title.clone(), ..Raster::new(&spikes, Some(window)) };
        files.extend(raster.picture().save(out, "raster")?);
        let rates = Rates { size, bin_ms, ..Rates::new(&spikes, Some(window)) };
        files.extend(rates.picture()?.save(out, "rates")?);
        let histograms = Histograms { size, ..Histograms::new(&spikes, Some(window)) };
        files.extend(histograms.picture().save(out, "histograms")?);
    }
    let traces = traces(folder, &record, &spikes)?;
    if !traces.is_empty() {
        let traces = Traces { size, ..Traces::new(&traces, Some(window)) };
        files.extend(traces.picture()?.save(out, "traces")?);
    }
    if record.config.get("lattice").is_some_and(|l| !l.is_null()) && !spikes.is_empty() {
        files.extend(lattice(&record, &spikes, window, size, out)?);
    }
    if files.is_empty() {
        return Err(Error::Usage(format!("{} holds neither spikes nor state recordings to draw", folder.display())));
    }
    Ok(files)
}

fn traces(folder: &Path, record: &RunRecord, spikes: &[PopulationSpikes]) -> Result<Vec<Trace>> {
    let mut traces = Vec::new();
    for file in record.files.iter().filter(|f| f.ends_with(".h5") && !f.starts_with("spikes")) {
        let Ok(report) = storage::read_report(folder.join(file)) else { continue };
        for (column, id) in report.node_ids.iter().enumerate().take(MOST_TRACES) {
            let own = spikes.iter().find(|p| p.name == report.population);
            traces.push(Trace {
                name: format!("{} {id}", report.population),
                variable: report.variable.clone(),
                unit: report.unit.clone(),
                times_ms: report.times_ms.clone(),
                values: report.data.iter().map(|sample| sample[column]).collect(),
                spikes_ms: own.map_or(Vec::new(), |p| {
                    let of_neuron = p.ids.iter().zip(&p.times_ms).filter(|(i, _)| u64::from(**i) == *id);
                    of_neuron.map(|(_, t)| *t).collect()
                }),
            });
        }
    }
    Ok(traces)
}

/// Activity on the lattice. Where the neurons are is worked out again from the recorded configuration.
fn lattice(
    record: &RunRecord,
    spikes: &[PopulationSpikes],
    window: Window,
    size: Size,
    out: &Path,
) -> Result<Vec<PathBuf>> {
    let spec = RunSpec::from_resolved(&record.config, record.file.as_deref())?;
    let Some(lattice) = &spec.network.lattice else { return Ok(Vec::new()) };
    let model = BrainModel::build(&spec.network, spec.run.seed)?;
    let mut activity = LatticeActivity::new(lattice.shape, window)?;
    for p in spikes {
        let Some((_, population)) = model.population(&p.name) else { continue };
        let cells: Option<Vec<_>> = (0..population.size()).map(|i| population.cell(i)).collect();
        if let Some(cells) = cells {
            activity.add_population(p, &cells, window)?;
        }
    }
    LatticeMap { size, ..LatticeMap::new(&activity) }.picture().save(out, "lattice")
}
