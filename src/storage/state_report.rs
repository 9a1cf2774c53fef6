//! State variables over time as SONATA reports, written while the simulation runs.

use super::cadence::{Cadence, INTERVAL};
use super::hdf5_stream::{Fixed, Growing, Stream, hdf5_error};
use super::node_names::{Naming, NodeNames};
use super::place;
use super::read_spikes::{open_dataset, open_hdf5};
use crate::engine::{Layout, PopulationLayout, Recorder, StateRecording, StateSample};
use crate::error::{Error, Result};
use crate::model::Selection;
use rust_hdf5::H5Dataset;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "StateReport";
/// Values kept in memory before they are written, over all reports (4 MiB).
const BATCH: usize = 1 << 20;
/// Values a chunk, about.
const CHUNK: u64 = 65_536;

/// Writes every state recording of the run into a folder: one SONATA report `<recording>_<variable>.h5` a variable.
///
/// `/report/<population>/data` holds a row a sample and a column a neuron (f32, in the variable's unit),
/// `mapping/node_ids` the neurons, `mapping/time` the time of the first sample, that of the last plus one interval, and
/// the interval (ms). About every million values, and every five seconds where something waits, the samples so far are
/// put on disk in a way that survives a kill (see [`super::repair`]). The bytes of a finished file depend on the samples
/// alone: neither on when they were written nor on how often the run was stopped and went on.
pub struct StateReport {
    folder: PathBuf,
    batch: usize,
    interval: Duration,
    names: Naming,
    open: Option<Open>,
}

struct Open {
    dt: f64,
    recordings: Vec<Recording>,
    cadence: Cadence,
}

struct Recording {
    name: String,
    variables: Vec<String>,
    every: u64,
    neurons: usize,
    /// Step of the first and of the latest sample.
    steps: Option<(u64, u64)>,
    reports: Vec<OneReport>,
}

/// Where the reports of a recording ended at a checkpoint.
#[derive(Serialize, Deserialize)]
struct At {
    recording: String,
    variables: Vec<String>,
    samples: u64,
    steps: Option<(u64, u64)>,
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
        Ok(Self::resuming(folder))
    }

    /// A recorder that goes on in the files of an earlier run of the same network ([`Recorder::resume`]). Nothing is
    /// changed before the run goes on; then each file is replaced by one that ends where the checkpoint was.
    pub fn resuming(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_owned(),
            batch: BATCH,
            interval: INTERVAL,
            names: Naming::default(),
            open: None,
        }
    }

    /// Gives neurons the names they have in SONATA files; populations that are not named keep their own.
    #[must_use]
    pub fn with_nodes(mut self, names: &[NodeNames]) -> Self {
        self.names = Naming::new(names);
        self
    }

    /// Puts samples on disk whenever `batch` values wait or the oldest has waited for `interval`.
    #[must_use]
    pub fn with_cadence(mut self, batch: usize, interval: Duration) -> Self {
        self.batch = batch.max(1);
        self.interval = interval;
        self
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

impl Recording {
    /// Samples so far.
    fn samples(&self) -> u64 {
        self.steps.map_or(0, |(first, last)| (last - first) / self.every + 1)
    }
}

impl At {
    /// Whether the number of samples follows from the steps of the first and the latest.
    fn possible(&self, every: u64) -> bool {
        match self.steps {
            None => self.samples == 0,
            Some((first, last)) => {
                let every = every.max(1);
                let steps = last.checked_sub(first);
                last < u64::MAX / 4 && steps.is_some_and(|n| n % every == 0 && n / every + 1 == self.samples)
            }
        }
    }
}

/// What one report is of.
struct Subject<'a> {
    path: PathBuf,
    population: &'a str,
    variable: &'a str,
    unit: &'a str,
    nodes: &'a [u64],
    dt: f64,
    every: u64,
}

impl<'a> Subject<'a> {
    /// The subjects of a recording, one for each variable.
    fn all(
        folder: &Path,
        layout: &'a Layout,
        recording: &'a StateRecording,
        population: &'a str,
        nodes: &'a [u64],
    ) -> Vec<Self> {
        let of = |(i, variable): (usize, &'a String)| Subject {
            path: folder.join(StateReport::file_name(&recording.name, variable)),
            population,
            variable,
            unit: recording.units.get(i).map_or("", String::as_str),
            nodes,
            dt: layout.dt,
            every: recording.every,
        };
        recording.variables.iter().enumerate().map(of).collect()
    }

    /// Samples a chunk.
    fn chunk_rows(&self) -> u64 {
        (CHUNK / self.nodes.len() as u64).clamp(1, 1_024)
    }
}

impl OneReport {
    /// Describes an empty report.
    fn new(subject: &Subject<'_>, mut stream: Stream) -> Result<Self> {
        let Subject { population, variable, unit, nodes, .. } = subject;
        let (root, mapping) = (format!("/report/{population}"), format!("/report/{population}/mapping"));
        stream.group("/", "report")?;
        stream.group("/report", population)?;
        stream.group(&root, "mapping")?;
        let data = stream.growing::<f32>(&root, "data", &[nodes.len() as u64], subject.chunk_rows())?;
        stream.text(data.index(), "units", unit)?;
        stream.text(data.index(), "variable", variable)?;
        // One compartment a neuron: element i belongs to node i.
        let node_ids = stream.fixed::<u64>(&mapping, "node_ids", nodes)?;
        stream.number(node_ids.index(), "sorted", 1_u32)?;
        let pointers: Vec<u64> = (0..=nodes.len() as u64).collect();
        stream.fixed::<u64>(&mapping, "index_pointers", &pointers)?;
        stream.fixed::<u32>(&mapping, "element_ids", &vec![0; nodes.len()])?;
        stream.fixed::<f32>(&mapping, "element_pos", &vec![0.5; nodes.len()])?;
        let time = stream.fixed::<f64>(&mapping, "time", &time_of(subject.dt, subject.every, None))?;
        stream.text(time.index(), "units", "ms")?;
        stream.begin()?;
        Ok(Self { stream, data, time, waiting: Vec::new() })
    }

    /// Makes a file beside a report that holds its first `samples` samples. The old file is only read, a chunk at a time.
    fn go_on_from(subject: &Subject<'_>, samples: u64, steps: Option<(u64, u64)>) -> Result<Self> {
        let old = old_data(subject, samples)?;
        let mut report = Self::new(subject, Stream::create_beside(&subject.path)?)?;
        while report.data.rows() < samples {
            let row = report.data.rows();
            let (start, count) =
                ([row as usize, 0], [(samples - row).min(subject.chunk_rows()) as usize, subject.nodes.len()]);
            let slab: Vec<f32> = old.read_slice(&start, &count).map_err(|e| hdf5_error(&subject.path, "read", e))?;
            report.stream.append(&mut report.data, &slab)?;
        }
        drop(old);
        report.write(&time_of(subject.dt, subject.every, steps))?;
        Ok(report)
    }

    fn write(&mut self, time: &[f64; 3]) -> Result<()> {
        self.stream.append(&mut self.data, &self.waiting)?;
        self.waiting.clear();
        self.stream.replace(&self.time, time)?;
        self.stream.acknowledge()
    }
}

/// The data of an earlier report of the same subject that has at least so many samples.
fn old_data(subject: &Subject<'_>, samples: u64) -> Result<H5Dataset> {
    let path = &subject.path;
    let failed = |e| hdf5_error(path, "read", e);
    let len = std::fs::metadata(path).map_err(|e| Error::io(path, "read", e))?.len();
    let file = open_hdf5(path)?;
    let found = file.root_group().group("report").and_then(|g| g.group_names()).map_err(failed)?;
    if found != [subject.population] {
        let (found, needed) = (found.join(", "), subject.population);
        return Err(Error::format(
            path,
            format!("it is a report of population {found}; the run needs one of {needed}"),
        ));
    }
    let root = format!("report/{}", subject.population);
    let data = open_dataset(path, &file, &format!("{root}/data"))?;
    let nodes = open_dataset(path, &file, &format!("{root}/mapping/node_ids"))?;
    let columns = subject.nodes.len();
    // Read only when it is as long as it has to be.
    let same = nodes.shape() == [columns] && nodes.read_numeric_as::<u64>().map_err(failed)? == subject.nodes;
    if !same || data.shape().len() != 2 || data.shape()[1] != columns {
        let message = format!("it is of other neurons than the {columns} the run records");
        return Err(Error::format(path, message));
    }
    let has = data.shape()[0] as u64;
    // Chunks that were never written take no place in the file and read as zeros.
    if has < samples || samples.saturating_mul(4 * columns as u64) > len {
        let message = format!("it has {has} samples in {len} bytes; the checkpoint needs the first {samples}");
        return Err(Error::format(path, message));
    }
    Ok(data)
}

/// `mapping/time`: first sample, end (exclusive), interval, ms.
fn time_of(dt: f64, every: u64, steps: Option<(u64, u64)>) -> [f64; 3] {
    let interval = every as f64 * dt;
    let Some((first, last)) = steps else { return [0.0, 0.0, interval] };
    [(first + 1) as f64 * dt, (last + 1 + every) as f64 * dt, interval]
}

impl Open {
    fn flush(&mut self) -> Result<()> {
        self.put_in_place()?;
        for recording in &mut self.recordings {
            let time = time_of(self.dt, recording.every, recording.steps);
            recording.reports.iter_mut().try_for_each(|report| report.write(&time))?;
        }
        self.cadence.done();
        Ok(())
    }

    fn reports(&mut self) -> impl Iterator<Item = &mut OneReport> {
        self.recordings.iter_mut().flat_map(|r| &mut r.reports)
    }

    /// Replaces the files of an earlier run beside which those of this one were made.
    fn put_in_place(&mut self) -> Result<()> {
        self.reports().try_for_each(|report| report.stream.put_in_place())
    }

    /// Whether the run has not come to go on.
    fn is_beside(&self) -> bool {
        self.recordings.iter().flat_map(|r| &r.reports).any(|report| report.stream.is_beside())
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

impl StateReport {
    /// Opens the reports of every recording: `report` opens one, by the number of the recording and its subject.
    fn record_into(
        &mut self,
        layout: &Layout,
        steps: impl Fn(usize) -> Option<(u64, u64)>,
        report: impl Fn(usize, &Subject<'_>) -> Result<OneReport>,
    ) -> Result<()> {
        check(&layout.states, layout)?;
        let mut recordings = Vec::with_capacity(layout.states.len());
        for (i, state) in layout.states.iter().enumerate() {
            let PopulationLayout { name: population, size, .. } = &layout.populations[state.population];
            let mut nodes = neurons_of(state, layout);
            if let Some(ids) = self.names.ids(population, *size) {
                nodes.iter_mut().for_each(|node| *node = u64::from(ids[*node as usize]));
            }
            let group = self.names.group(population);
            let subjects = Subject::all(&self.folder, layout, state, group, &nodes);
            let reports: Result<Vec<OneReport>> = subjects.iter().map(|subject| report(i, subject)).collect();
            let (name, every, neurons) = (state.name.clone(), state.every, nodes.len());
            let variables = state.variables.clone();
            recordings.push(Recording { name, variables, every, neurons, steps: steps(i), reports: reports? });
        }
        let cadence = Cadence::new(self.batch, self.interval);
        self.open = Some(Open { dt: layout.dt, recordings, cadence });
        Ok(())
    }
}

impl Recorder for StateReport {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        self.record_into(layout, |_| None, |_, subject| OneReport::new(subject, Stream::create(&subject.path)?))
    }

    fn checkpoint(&mut self) -> Result<serde_json::Value> {
        let Some(open) = &mut self.open else { return Ok(serde_json::Value::Null) };
        open.flush()?;
        let at = |r: &Recording| At {
            recording: r.name.clone(),
            variables: r.variables.clone(),
            samples: r.samples(),
            steps: r.steps,
        };
        place::to_json(NAME, open.recordings.iter().map(at).collect::<Vec<At>>())
    }

    fn resume(&mut self, layout: &Layout, place: &serde_json::Value) -> Result<()> {
        let at: Vec<At> = place::from_json(NAME, &self.folder, place)?;
        let then = || at.iter().map(|at| (&at.recording, &at.variables));
        if !then().eq(layout.states.iter().map(|s| (&s.name, &s.variables))) {
            let names = |all: &mut dyn Iterator<Item = (&String, &Vec<String>)>| {
                all.map(|(name, variables)| format!("{name} ({})", variables.join(", "))).collect::<Vec<_>>().join(", ")
            };
            let now = names(&mut layout.states.iter().map(|s| (&s.name, &s.variables)));
            let message =
                format!("it has the recordings {} by the checkpoint; the run records {now}", names(&mut then()));
            return Err(Error::format(&self.folder, message));
        }
        for (at, state) in at.iter().zip(&layout.states) {
            if !at.possible(state.every) {
                let (name, samples, steps) = (&at.recording, at.samples, at.steps);
                let message = format!("the checkpoint has {samples} samples of `{name}` in the steps {steps:?}");
                return Err(Error::format(&self.folder, message));
            }
        }
        self.record_into(
            layout,
            |i| at[i].steps,
            |i, subject| OneReport::go_on_from(subject, at[i].samples, at[i].steps),
        )
    }

    fn state(&mut self, sample: &StateSample<'_>) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.put_in_place()?;
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
            let (name, due, step) = (&recording.name, last.wrapping_add(recording.every), sample.step);
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

/// A run that ends by a panic keeps its records; what cannot be written then cannot be told either. One that did not
/// come to go on changes nothing.
impl Drop for StateReport {
    fn drop(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.is_beside()) {
            let _ = self.finish();
        }
    }
}
