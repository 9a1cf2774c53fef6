//! `[record.NAME]`: what is recorded.

use super::distribution;
use super::keys::RECORD;
use super::population::{self, Population};
use super::quantity::show;
use super::reader::{Context, Section, unknown};
use super::run::{SpikesFormat, off_grid};
use super::tree::{Table, Value as TreeValue};
use crate::engine::StateRecording;
use serde_json::{Map, Value};

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordSpec {
    /// Name of its table.
    pub name: String,
    /// What is recorded.
    pub kind: RecordKind,
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordKind {
    /// Spikes.
    Spikes {
        /// Population names; empty for all.
        populations: Vec<String>,
        /// Format of the file.
        format: SpikesFormat,
    },
    /// State variables: one recording for each population, named like the table, or `NAME.population` if the table
    /// names several.
    State(Vec<StateRecording>),
    /// Population rates in bins.
    Rates {
        /// Population names; empty for all.
        populations: Vec<String>,
        /// Width of a bin, ms.
        bin_ms: f64,
    },
}

/// Reads every `[record]` table; without one, the spikes of all populations are recorded.
pub(super) fn read_all(
    ctx: &Context,
    root: &Table,
    populations: &[Population],
    format: SpikesFormat,
    resolved: &mut Map<String, Value>,
) -> Vec<RecordSpec> {
    let mut records = Vec::new();
    let mut maps = Map::new();
    let sections = Section::all(ctx, root, "record", &RECORD);
    if sections.is_empty() {
        let kind = RecordKind::Spikes { populations: Vec::new(), format };
        records.push(RecordSpec { name: "spikes".to_owned(), kind });
        maps.insert("spikes".into(), serde_json::json!({ "kind": "spikes" }));
    }
    for (name, section) in sections {
        let enabled = section.boolean("enabled");
        let Some(kind) = section.choice("kind") else {
            maps.insert(name, section.table().entries.iter().map(|(key, node)| (key.clone(), node.json())).collect());
            continue;
        };
        let record = read(&section, &name, kind, populations, format);
        if enabled == Some(true) {
            records.extend(record.map(|kind| RecordSpec { name: name.clone(), kind }));
        }
        maps.insert(name, section.finish(Some(&format!("with kind = \"{kind}\""))).into());
    }
    resolved.insert("record".into(), maps.into());
    records
}

fn read(
    section: &Section<'_>,
    name: &str,
    kind: &'static str,
    populations: &[Population],
    format: SpikesFormat,
) -> Option<RecordKind> {
    let ctx = section.ctx;
    let names = if section.has("populations") { section.names("populations", "population") } else { Some(Vec::new()) };
    // Those that exist are looked at even if others do not.
    let found: Vec<&Population> = names
        .iter()
        .flatten()
        .filter_map(|(name, place)| {
            population::find(ctx, populations, name, &section.path_of("populations"), *place)
                .map(|id| &populations[id.0])
        })
        .collect();
    let named = |found: Vec<&Population>| found.iter().map(|population| population.name.clone()).collect::<Vec<_>>();
    match kind {
        "spikes" => {
            let format = if section.has("format") {
                SpikesFormat::named(section.choice("format")?)
            } else {
                section.mark("format");
                format
            };
            Some(RecordKind::Spikes { populations: named(found), format })
        }
        "rates" => {
            let bin = section.quantity("bin")?;
            let bin_ms = on_grid(section, "bin", bin);
            Some(RecordKind::Rates { populations: named(found), bin_ms })
        }
        _ => state(section, name, found, populations),
    }
}

fn state(section: &Section<'_>, name: &str, found: Vec<&Population>, all: &[Population]) -> Option<RecordKind> {
    let ctx = section.ctx;
    let every = section.quantity("interval").map(|interval| on_grid(section, "interval", interval) / ctx.dt);
    let start = section.quantity("start");
    let stop = if section.has("stop") { section.quantity("stop") } else { Some(f64::INFINITY) };
    if let (Some(start), Some(stop)) = (start, stop)
        && stop <= start
    {
        section.fault("stop", format!("{} is not after start ({})", show(stop, "ms"), show(start, "ms")));
    }
    let variables = if section.has("variables") {
        section.names("variables", "state variable")
    } else {
        section.missing("variables");
        None
    };
    let neurons = section.get("neurons");
    if !section.has("populations") {
        section.missing("populations");
    }
    let mut recordings = Vec::new();
    for population in &found {
        let key = section.path_of("variables");
        for (variable, place) in variables.iter().flatten() {
            if !population.variables.is_empty() && !population.variables.contains(&variable.as_str()) {
                let what = format!("state variable of population `{}`", population.name);
                ctx.fault(&key, *place, unknown(&what, variable, population.variables.iter().copied()));
            }
        }
        let Some(size) = population.size else { continue };
        let node = neurons.as_ref()?;
        let Some(neurons) = distribution::selection(ctx, node, &section.path_of("neurons"), &population.name, size)
        else {
            continue;
        };
        let (Some(every), Some(start), Some(stop), Some(variables)) = (every, start, stop, &variables) else {
            continue;
        };
        recordings.push(StateRecording {
            name: if found.len() == 1 { name.to_owned() } else { format!("{name}.{}", population.name) },
            population: all.iter().position(|p| p.name == population.name)?,
            variables: variables.iter().map(|(variable, _)| variable.clone()).collect(),
            units: Vec::new(),
            neurons,
            every: every.round() as u64,
            start,
            stop,
        });
    }
    if let Some(node) = section.table().get("variables")
        && matches!(&node.value, TreeValue::List(items) if items.is_empty())
    {
        return None;
    }
    Some(RecordKind::State(recordings))
}

/// A time between events as a whole number of steps, at least one, with a warning where it was not one.
pub(super) fn on_grid(section: &Section<'_>, key: &str, time: f64) -> f64 {
    let dt = section.ctx.dt;
    let rounded = off_grid(time, dt).map(|rounded| rounded.max(dt));
    if let Some(rounded) = rounded {
        let message = format!(
            "{} is not a multiple of dt = {}; it becomes {}",
            show(time, "ms"),
            show(dt, "ms"),
            show(rounded, "ms")
        );
        section.warn(key, message);
    }
    rounded.unwrap_or(time)
}
