//! State variables over time as SONATA reports, written while the simulation runs.

use super::cadence::{Cadence, INTERVAL};
use super::hdf5_stream::{Fixed, Growing, Stream, refuse_existing};
use crate::engine::{Layout, Recorder, StateRecording, StateSample};
use crate::error::{Error, Result};
use crate::model::Selection;
use std::path::{Path, PathBuf};

/// Values kept in memory before they are written, over all reports (4 MiB).
const BATCH: usize = 1 << 20;
/// Values a chunk, about.
const CHUNK: u64 = 65_536;

/// Writes every state recording of the run into a folder: one SONATA report `<recording>_<variable>.h5` a variable.
///
/// `/report/<population>/data` holds a row a sample and a column a neuron (f32, in the variable's unit),
/// `mapping/node_ids` the neurons, `mapping/time` the time of the first sample, that of the last plus one interval, and
/// the interval (ms). About every million values, and every five seconds where something waits, the samples so far are
/// put on disk in a way that survives a kill (see [`super::repair`]).
pub struct StateReport {
    folder: PathBuf,
    open: Option<Open>,
}

struct Open {
    dt: f64,
    recordings: Vec<Recording>,
    cadence: Cadence,
}

struct Recording {
    name: String,
    every: u64,
    neurons: usize,
    /// Step of the first and of the latest sample.
    steps: Option<(u64, u64)>,
    reports: Vec<OneReport>,
}

struct OneReport {
    stream: Stream,
    data: Growing,
    time: Fixed,
    waiting: Vec<f32>,
}

impl StateReport {
    /// A recorder of all state recordings of a run into an existing folder. The files are made when the simulation
    /// starts; existing ones are never replaced.
    ///
    /// # Errors
    /// The folder does not exist.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_owned();
        std::fs::metadata(&folder).map_err(|e| Error::io(&folder, "open", e))?;
        Ok(Self { folder, open: None })
    }

    /// Name of the file of one variable of a recording.
    pub fn file_name(recording: &str, variable: &str) -> String {
        format!("{recording}_{variable}.h5")
    }

    /// Puts everything recorded so far on disk; when this returns, a kill no longer loses it.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.open.as_mut().map_or(Ok(()), Open::flush)
    }
}

impl OneReport {
    fn create(
        folder: &Path,
        layout: &Layout,
        recording: &StateRecording,
        nodes: &[u64],
        variable: usize,
    ) -> Result<Self> {
        let name = &recording.variables[variable];
        let unit = recording.units.get(variable).map_or("", String::as_str);
        let path = folder.join(StateReport::file_name(&recording.name, name));
        refuse_existing(&path)?;
        let population = &layout.populations[recording.population].name;
        let (root, mapping) = (format!("/report/{population}"), format!("/report/{population}/mapping"));
        let mut stream = Stream::create(&path)?;
        stream.group("/", "report")?;
        stream.group("/report", population)?;
        stream.group(&root, "mapping")?;
        let chunk_rows = (CHUNK / nodes.len() as u64).clamp(1, 1_024);
        let data = stream.growing::<f32>(&root, "data", &[nodes.len() as u64], chunk_rows)?;
        stream.text(data.index(), "units", unit)?;
        stream.text(data.index(), "variable", name)?;
        // One compartment a neuron: element i belongs to node i.
        let node_ids = stream.fixed::<u64>(&mapping, "node_ids", nodes)?;
        stream.number(node_ids.index(), "sorted", 1_u32)?;
        let pointers: Vec<u64> = (0..=nodes.len() as u64).collect();
        stream.fixed::<u64>(&mapping, "index_pointers", &pointers)?;
        stream.fixed::<u32>(&mapping, "element_ids", &vec![0; nodes.len()])?;
        stream.fixed::<f32>(&mapping, "element_pos", &vec![0.5; nodes.len()])?;
        let time = stream.fixed::<f64>(&mapping, "time", &time_of(layout.dt, recording.every, None))?;
        stream.text(time.index(), "units", "ms")?;
        stream.begin()?;
        Ok(Self { stream, data, time, waiting: Vec::new() })
    }

    fn write(&mut self, time: &[f64; 3]) -> Result<()> {
        self.stream.append(&mut self.data, &self.waiting)?;
        self.waiting.clear();
        self.stream.replace(&self.time, time)?;
        self.stream.acknowledge()
    }
}

/// `mapping/time`: first sample, end (exclusive), interval, ms.
fn time_of(dt: f64, every: u64, steps: Option<(u64, u64)>) -> [f64; 3] {
    let interval = every as f64 * dt;
    let Some((first, last)) = steps else { return [0.0, 0.0, interval] };
    [(first + 1) as f64 * dt, (last + 1 + every) as f64 * dt, interval]
}

impl Open {
    fn flush(&mut self) -> Result<()> {
        for recording in &mut self.recordings {
            let time = time_of(self.dt, recording.every, recording.steps);
            recording.reports.iter_mut().try_for_each(|report| report.write(&time))?;
        }
        self.cadence.done();
        Ok(())
    }
}

/// Refuses what cannot be a file, a group or a report, all of it at once.
fn check(recordings: &[StateRecording], layout: &Layout) -> Result<()> {
    let faults: Vec<_> = recordings
        .iter()
        .flat_map(|r| {
            let population = &layout.populations[r.population].name;
            let names = [&r.name, population].into_iter().chain(&r.variables);
            let bad = names.filter(|n| n.contains(['/', '\\', '\0']));
            let bad = bad.map(|n| format!("`{n}` has a character that no report can have in a name"));
            let none = (neurons_of(r, layout).is_empty()).then(|| "it selects no neuron".to_owned());
            let key = format!("StateReport.{}", r.name);
            bad.chain(none).map(move |message| crate::error::Fault::new(key.clone(), message)).collect::<Vec<_>>()
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

fn neurons_of(recording: &StateRecording, layout: &Layout) -> Vec<u64> {
    match &recording.neurons {
        Selection::All => (0..u64::from(layout.populations[recording.population].size)).collect(),
        Selection::Indices(indices) => indices.iter().map(|&i| u64::from(i)).collect(),
    }
}

impl Recorder for StateReport {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        check(&layout.states, layout)?;
        let recordings: Result<Vec<Recording>> = layout
            .states
            .iter()
            .map(|state| {
                let nodes = neurons_of(state, layout);
                let reports: Result<Vec<_>> = (0..state.variables.len())
                    .map(|variable| OneReport::create(&self.folder, layout, state, &nodes, variable))
                    .collect();
                let (name, every, neurons) = (state.name.clone(), state.every, nodes.len());
                Ok(Recording { name, every, neurons, steps: None, reports: reports? })
            })
            .collect();
        self.open = Some(Open { dt: layout.dt, recordings: recordings?, cadence: Cadence::new(BATCH, INTERVAL) });
        Ok(())
    }

    fn state(&mut self, sample: &StateSample<'_>) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let recording = &mut open.recordings[sample.recording];
        let expected = recording.reports.len() * recording.neurons;
        if sample.values.len() != expected {
            let found = sample.values.len();
            let name = &recording.name;
            return Err(Error::Usage(format!("a sample of `{name}` has {found} values instead of {expected}")));
        }
        // The file says when a sample was taken by its row alone, so none may be missing.
        let (first, last) = recording.steps.unwrap_or((sample.step, sample.step.wrapping_sub(recording.every)));
        if sample.step != last.wrapping_add(recording.every) {
            let (name, due, step) = (&recording.name, last + recording.every, sample.step);
            return Err(Error::Usage(format!("a sample of `{name}` is of step {step}; one of step {due} is due")));
        }
        recording.steps = Some((first, sample.step));
        for (report, values) in recording.reports.iter_mut().zip(sample.values.chunks_exact(recording.neurons)) {
            report.waiting.extend_from_slice(values);
        }
        open.cadence.add(expected);
        if open.cadence.due() { open.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.flush()?;
        open.recordings.into_iter().flat_map(|r| r.reports).try_for_each(|report| report.stream.close())
    }
}

/// A run that ends by a panic keeps its records; what cannot be written then cannot be told either.
impl Drop for StateReport {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
