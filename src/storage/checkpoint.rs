//! Checkpoint files: a run between two steps, complete or absent, checked when it is read.
//!
//! What stands in the file is described in `docs/checkpoint-format.md`.

use super::container::{Compression, Container, ContainerWriter};
use crate::engine::{Counters, DigestState, PopulationState, Precision, ProcessState, Snapshot, Spike, StateColumn};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Kind of container.
const FORMAT: &str = "tessera-checkpoint";
/// Version of the layout.
const VERSION: u32 = 1;

/// A run between two steps, and what it takes to set it up again.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The simulation.
    pub snapshot: Snapshot,
    /// The run it is of.
    pub run: CheckpointedRun,
}

/// What writing checkpoints has cost a run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CheckpointCost {
    /// Checkpoints written.
    pub number: u64,
    /// Wall-clock time they took, s.
    pub seconds: f64,
    /// Bytes of the latest.
    pub bytes: u64,
}

/// What a checkpoint says of its run, besides the state of the simulation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointedRun {
    /// Version of the program that wrote it.
    pub tessera: String,
    /// When the run began, RFC 3339 in UTC.
    pub started: String,
    /// When the checkpoint was written, RFC 3339 in UTC.
    pub written: String,
    /// The configuration file, or the model file, that the network came from.
    pub file: PathBuf,
    /// The whole configuration, with every default filled in. It names the model file where there is one.
    pub config: serde_json::Value,
    /// Biological times at which the run was resumed, ms.
    pub resumed_ms: Vec<f64>,
    /// The checkpoints before this one.
    pub cost: CheckpointCost,
}

/// The header's description. Numbers whose every bit counts stand as hexadecimal text.
#[derive(Serialize, Deserialize)]
struct Description {
    step: u64,
    dt_ms: f64,
    dt_bits: String,
    precision: String,
    seed: u64,
    network: String,
    digest_chain: String,
    populations: Vec<PopulationEntry>,
    processes: Vec<ProcessEntry>,
    counters: CountersEntry,
    recorders: Vec<serde_json::Value>,
    run: CheckpointedRun,
}

#[derive(Serialize, Deserialize)]
struct PopulationEntry {
    name: String,
    variables: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct ProcessEntry {
    stimulus: String,
    population: String,
}

#[derive(Serialize, Deserialize)]
struct CountersEntry {
    population_spikes: Vec<u64>,
    synaptic_events: u64,
    row_overflows: u64,
    sim_s: f64,
    phases_s: BTreeMap<String, f64>,
}

fn hex(n: u64) -> String {
    format!("{n:016x}")
}

/// Paths of the arrays.
fn column(population: usize, variable: usize) -> String {
    format!("populations/{population}/state/{variable}")
}

fn refractory(population: usize) -> String {
    format!("populations/{population}/refractory")
}

fn process(number: usize) -> String {
    format!("processes/{number}")
}

impl Checkpoint {
    /// Writes the file; a reader sees the old one or the new one, never a part. Gives its length, bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<u64> {
        let Self { snapshot, run } = self;
        let mut file = ContainerWriter::create(path.as_ref(), FORMAT, Compression::None)?;
        file.group("populations")?;
        for (number, population) in snapshot.populations.iter().enumerate() {
            file.group(&format!("populations/{number}"))?;
            file.group(&format!("populations/{number}/state"))?;
            for (variable, (_, values)) in population.columns.iter().enumerate() {
                let (path, shape) = (column(number, variable), [values.len() as u64]);
                match values {
                    StateColumn::F32(values) => file.array(&path, &shape, values)?,
                    StateColumn::F64(values) => file.array(&path, &shape, values)?,
                }
            }
            let held = &population.refractory;
            file.array(&refractory(number), &[held.len() as u64], held)?;
        }
        file.group("processes")?;
        for (number, state) in snapshot.processes.iter().map(|process| &process.state).enumerate() {
            file.array(&process(number), &[state.len() as u64], state)?;
        }
        write_spikes(&mut file, "in_flight", &snapshot.in_flight)?;
        write_spikes(&mut file, "digest", &snapshot.digest.open)?;
        let counters = &snapshot.counters;
        let description = Description {
            step: snapshot.step,
            dt_ms: snapshot.dt,
            dt_bits: hex(snapshot.dt.to_bits()),
            precision: if snapshot.precision == Precision::F32 { "f32" } else { "f64" }.to_owned(),
            seed: snapshot.seed,
            network: hex(snapshot.network),
            digest_chain: hex(snapshot.digest.chain),
            populations: snapshot
                .populations
                .iter()
                .map(|p| {
                    let variables = p.columns.iter().map(|(name, _)| name.clone()).collect();
                    PopulationEntry { name: p.name.clone(), variables }
                })
                .collect(),
            processes: snapshot
                .processes
                .iter()
                .map(|p| ProcessEntry { stimulus: p.stimulus.clone(), population: p.population.clone() })
                .collect(),
            counters: CountersEntry {
                population_spikes: counters.population_spikes.clone(),
                synaptic_events: counters.synaptic_events,
                row_overflows: counters.row_overflows,
                sim_s: counters.sim_s,
                phases_s: counters.phases_s.clone(),
            },
            recorders: snapshot.recorders.clone(),
            run: run.clone(),
        };
        let description = serde_json::to_value(description).map_err(|e| Error::format(path, e.to_string()))?;
        file.finish(VERSION, description)
    }

    /// Whether a file begins as HDF5 files do and says that it is a checkpoint, damaged or not.
    pub fn recognises(path: impl AsRef<Path>) -> bool {
        Container::kind(path.as_ref()).is_some_and(|kind| kind == FORMAT)
    }

    /// Reads a file and checks all of it. Whether it fits a network is found out when it is restored.
    ///
    /// # Errors
    /// The file cannot be read, is not a checkpoint, is of a later version of the format, or is damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = Container::open(path, FORMAT, VERSION)?;
        let odd = |what: String| Error::format(path, format!("/header: it does not describe a checkpoint ({what})"));
        let said: Description = serde_json::from_value(file.description().clone()).map_err(|e| odd(e.to_string()))?;
        let number = |name: &str, text: &str| {
            u64::from_str_radix(text, 16).map_err(|_| odd(format!("`{name}` is `{text}`, not a hexadecimal number")))
        };
        let precision = match said.precision.as_str() {
            "f32" => Precision::F32,
            "f64" => Precision::F64,
            other => return Err(odd(format!("`precision` is `{other}`; known are f32 and f64"))),
        };
        let dt = f64::from_bits(number("dt_bits", &said.dt_bits)?);
        let mut populations = Vec::new();
        for (p, entry) in said.populations.into_iter().enumerate() {
            let mut columns = Vec::new();
            for (v, name) in entry.variables.into_iter().enumerate() {
                let values = match precision {
                    Precision::F32 => StateColumn::F32(file.read(&column(p, v))?),
                    Precision::F64 => StateColumn::F64(file.read(&column(p, v))?),
                };
                columns.push((name, values));
            }
            populations.push(PopulationState { name: entry.name, columns, refractory: file.read(&refractory(p))? });
        }
        let mut processes = Vec::new();
        for (k, entry) in said.processes.into_iter().enumerate() {
            let ProcessEntry { stimulus, population } = entry;
            processes.push(ProcessState { stimulus, population, state: file.read(&process(k))? });
        }
        let CountersEntry { population_spikes, synaptic_events, row_overflows, sim_s, phases_s } = said.counters;
        let snapshot = Snapshot {
            step: said.step,
            dt,
            precision,
            seed: said.seed,
            network: number("network", &said.network)?,
            populations,
            processes,
            in_flight: read_spikes(&file, "in_flight")?,
            counters: Counters { population_spikes, synaptic_events, row_overflows, sim_s, phases_s },
            digest: DigestState {
                chain: number("digest_chain", &said.digest_chain)?,
                open: read_spikes(&file, "digest")?,
            },
            recorders: said.recorders,
        };
        Ok(Self { snapshot, run: said.run })
    }

    /// Biological time reached, ms.
    pub fn time_ms(&self) -> f64 {
        self.snapshot.step as f64 * self.snapshot.dt
    }
}

fn write_spikes(file: &mut ContainerWriter, group: &str, spikes: &[Spike]) -> Result<()> {
    file.group(group)?;
    let steps: Vec<u64> = spikes.iter().map(|spike| spike.step).collect();
    let neurons: Vec<u32> = spikes.iter().map(|spike| spike.neuron).collect();
    file.array(&format!("{group}/steps"), &[steps.len() as u64], &steps)?;
    file.array(&format!("{group}/neurons"), &[neurons.len() as u64], &neurons)
}

fn read_spikes(file: &Container, group: &str) -> Result<Vec<Spike>> {
    let steps: Vec<u64> = file.read(&format!("{group}/steps"))?;
    let neurons: Vec<u32> = file.read(&format!("{group}/neurons"))?;
    if steps.len() != neurons.len() {
        let message = format!("/{group}: there are {} steps and {} neurons of spikes", steps.len(), neurons.len());
        return Err(Error::format(file.path(), message));
    }
    Ok(steps.into_iter().zip(neurons).map(|(step, neuron)| Spike { step, neuron }).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A checkpoint with something of everything.
    pub(in super::super) fn example(step: u64) -> Checkpoint {
        let spike = |step, neuron| Spike { step, neuron };
        let snapshot = Snapshot {
            step,
            dt: 0.1 + 0.2,
            precision: Precision::F32,
            seed: u64::MAX,
            network: 0x0123_4567_89ab_cdef,
            populations: vec![
                PopulationState {
                    name: "a/b".into(),
                    columns: vec![
                        ("v_m".into(), StateColumn::F32((0..5000).map(|i| i as f32 * 0.1).collect())),
                        ("refractory".into(), StateColumn::F32(vec![-0.0; 5000])),
                    ],
                    refractory: (0..5000).collect(),
                },
                PopulationState { name: "none".into(), columns: Vec::new(), refractory: Vec::new() },
            ],
            processes: vec![ProcessState {
                stimulus: "noise".into(),
                population: "a/b".into(),
                state: (0..5000).map(|i| f64::from(i) / 7.0).collect(),
            }],
            in_flight: vec![spike(1, 2), spike(3, 4)],
            counters: Counters {
                population_spikes: vec![7, 0],
                synaptic_events: 1 << 60,
                row_overflows: 3,
                sim_s: 0.1 + 0.7,
                phases_s: [("update".to_owned(), 0.25)].into(),
            },
            digest: DigestState { chain: u64::MAX - 1, open: vec![spike(9, 9)] },
            recorders: vec![serde_json::Value::Null, serde_json::json!({ "rows": [1, 2] })],
        };
        let run = CheckpointedRun {
            tessera: "1.2.3".into(),
            started: "2026-01-01T00:00:00Z".into(),
            written: "2026-01-01T00:00:01Z".into(),
            file: "x.toml".into(),
            config: serde_json::json!({ "run": { "dt": 0.1 + 0.2, "duration": 123.456_789_012_345_67 } }),
            resumed_ms: vec![1.0, 2.5],
            cost: CheckpointCost { number: 4, seconds: 0.5, bytes: 6 },
        };
        Checkpoint { snapshot, run }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.h5");
        let checkpoint = example(1234);
        let bytes = checkpoint.write(&path).unwrap();
        assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
        let read = Checkpoint::read(&path).unwrap();
        assert_eq!(read, checkpoint);
        let StateColumn::F32(zeros) = &read.snapshot.populations[0].columns[1].1 else { panic!("single precision") };
        assert!(zeros.iter().all(|x| x.is_sign_negative()));
        let mut double = checkpoint;
        double.snapshot.precision = Precision::F64;
        for (_, column) in &mut double.snapshot.populations[0].columns {
            *column = StateColumn::F64((0..5000).map(|i| 1.0 / f64::from(i + 1)).collect());
        }
        double.write(&path).unwrap();
        assert_eq!(Checkpoint::read(&path).unwrap(), double);
    }

    /// Whatever byte is changed and wherever the file is cut, it is refused or read as it was; nothing panics.
    #[test]
    fn damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("good.h5"), folder.path().join("bad.h5"));
        let checkpoint = example(77);
        checkpoint.write(&good).unwrap();
        let bytes = std::fs::read(&good).unwrap();
        let check = |damaged: &[u8]| {
            std::fs::write(&bad, damaged).unwrap();
            match Checkpoint::read(&bad) {
                Ok(read) => assert_eq!(read, checkpoint),
                Err(error) => {
                    assert!(matches!(error, Error::Format { .. } | Error::Io { .. }), "{error}");
                    return 1;
                }
            }
            0
        };
        let mut found = 0;
        let mutations = std::env::var("TESSERA_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
        for k in 0..mutations {
            let mut damaged = bytes.clone();
            // Places spread over the file, and all of its first ones, where the structure is.
            let at = if k < mutations / 2 { k % bytes.len() } else { k * 7919 % bytes.len() };
            damaged[at] ^= 1 << (k % 8);
            found += check(&damaged);
        }
        assert!(found > mutations / 4, "{found} of {mutations}");
        for k in 0..40 {
            check(&bytes[..bytes.len() * k / 40]);
        }
        check(b"not HDF5");
    }
}
