//! `[stimulus.NAME]`: what is done to neurons from outside.

use super::datafile::noted;
use super::distribution::{self, column};
use super::keys::{Range, SELECT, STIMULUS};
use super::population::{self, Population};
use super::projection::check_receptor;
use super::quantity::show;
use super::reader::{Context, Section};
use super::space::Space;
use super::tree::{Table, Value as TreeValue};
use crate::interop::{npy, spike_list, table};
use crate::lattice::Box4;
use crate::model::{Placement, PopulationId, Selection, StimulusKind, StimulusSpec, StimulusTarget};
use serde_json::{Map, Value};

/// Reads every `[stimulus]` table.
pub(super) fn read_all(
    ctx: &Context,
    root: &Table,
    populations: &[Population],
    space: &Space,
    resolved: &mut Map<String, Value>,
) -> Vec<StimulusSpec> {
    let mut stimuli = Vec::new();
    let mut maps = Map::new();
    for (name, section) in Section::all(ctx, root, "stimulus", &STIMULUS) {
        let enabled = section.boolean("enabled");
        let kind = section.choice("kind");
        let reading = Reading { section, populations, space };
        let targets = reading.targets();
        let map = match kind {
            Some(kind) => {
                let stimulus = reading.stimulus(&name, kind, targets);
                if enabled == Some(true) {
                    stimuli.extend(stimulus);
                }
                reading.section.finish(Some(&format!("with kind = \"{kind}\"")))
            }
            None => reading.section.table().entries.iter().map(|(key, node)| (key.clone(), node.json())).collect(),
        };
        maps.insert(name, map.into());
    }
    if !maps.is_empty() {
        resolved.insert("stimulus".into(), maps.into());
    }
    stimuli
}

struct Reading<'a> {
    section: Section<'a>,
    populations: &'a [Population],
    space: &'a Space,
}

impl<'a> Reading<'a> {
    fn population(&self, id: PopulationId) -> &'a Population {
        &self.populations[id.0]
    }

    /// The populations and which of their neurons.
    fn targets(&self) -> Option<Vec<(PopulationId, Selection)>> {
        let section = &self.section;
        let ways: Vec<&str> = ["area", "neurons", "select"].into_iter().filter(|way| section.has(way)).collect();
        for way in &ways {
            section.mark(way);
        }
        if ways.len() > 1 {
            section.fault(ways[1], format!("{} are given; only one of them chooses neurons", ways.join(" and ")));
            return None;
        }
        let area = match ways[..] {
            ["area"] => {
                let name = section.text("area")?;
                Some(self.space.area(section.ctx, &name, &section.path_of("area"), section.place_of("area"))?)
            }
            _ => None,
        };
        let mut out = Some(Vec::new());
        for (name, place) in section.names("target", "population")? {
            let id = population::find(section.ctx, self.populations, &name, &section.path_of("target"), place);
            let read = id.and_then(|id| {
                let population = self.population(id);
                if population.is_source() {
                    let message = format!("population `{name}` only sends spikes; it cannot be stimulated");
                    section.fault("target", message);
                    return None;
                }
                let neurons = match ways[..] {
                    ["area"] => self.in_area(population, &area?)?,
                    ["neurons"] => {
                        let node = section.get("neurons")?;
                        let key = section.path_of("neurons");
                        distribution::selection(section.ctx, &node, &key, &name, population.size?)?
                    }
                    ["select"] => self.by_table(population)?,
                    _ => Selection::All,
                };
                Some((id, neurons))
            });
            out = match (out, read) {
                (Some(mut list), Some(target)) => {
                    list.push(target);
                    Some(list)
                }
                _ => None,
            };
        }
        out
    }

    fn in_area(&self, population: &Population, area: &Box4) -> Option<Selection> {
        let section = &self.section;
        let placement = &population.spec.as_ref()?.placement;
        if matches!(placement, Placement::Count(_)) {
            let message = format!("population `{}` has no positions, so no neuron is in an area", population.name);
            section.fault("area", message);
            return None;
        }
        let lattice = self.space.lattice.as_ref()?;
        let indices = placement.neurons_in(area, lattice, &population.name, section.ctx.seed);
        if indices.is_empty() {
            section.fault("area", format!("no neuron of population `{}` is in this area", population.name));
            return None;
        }
        Some(Selection::Indices(indices.into()))
    }

    /// The neurons whose row of a table has one of some values in a column.
    fn by_table(&self, population: &Population) -> Option<Selection> {
        let section = &self.section;
        let node = section.get("select")?;
        let path = section.path_of("select");
        let inner = Section::new(section.ctx, &path, node.place, section.ctx.table(&node, &path)?, &SELECT);
        let file = inner.file("file");
        let deciding = if inner.get("column").is_some() { column(&inner, "column") } else { None };
        let id = column(&inner, "id");
        let values: Option<Vec<String>> = inner.get("values").and_then(|node| match &node.value {
            TreeValue::List(items) => items
                .iter()
                .map(|item| match &item.value {
                    // Columns of true and false or of numbers are compared as they are written.
                    TreeValue::Text(text) => Some(text.clone()),
                    _ => Some(item.shown()),
                })
                .collect(),
            TreeValue::Text(text) => Some(vec![text.clone()]),
            _ => Some(vec![node.shown()]),
        });
        inner.finish(None);
        let (file, values) = (file?, values?);
        let columns = [deciding?, id?];
        let mut read = noted(section, "select", table::text_columns(&file, &columns))?;
        let (ids, deciding) = (read.remove(1), read.remove(0));
        if population.ids.is_none() && Some(deciding.len()) != population.size.map(|n| n as usize) {
            let size = population.size?;
            let message = format!(
                "`{}` has {} rows, but population `{}` has {size} neurons",
                file.display(),
                deciding.len(),
                population.name
            );
            section.fault("select", message);
            return None;
        }
        for value in &values {
            if !deciding.contains(value) {
                let mut known: Vec<&str> = deciding.iter().map(String::as_str).collect();
                known.sort_unstable();
                known.dedup();
                let near = crate::error::did_you_mean(value, known.iter().copied())
                    .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                section.fault("select", format!("no row of `{}` has the value `{value}`{near}", file.display()));
            }
        }
        let mut indices = Vec::new();
        for (row, (text, id)) in deciding.iter().zip(&ids).enumerate() {
            if !values.contains(text) {
                continue;
            }
            match &population.ids {
                Some(ids) => match id.parse::<u64>().ok().and_then(|id| ids.index.get(&id)) {
                    Some(index) => indices.push(*index),
                    None => {
                        let message = format!("population `{}` has no neuron with the id `{id}`", population.name);
                        section.fault("select", message);
                        return None;
                    }
                },
                None => indices.push(row as u32),
            }
        }
        if indices.is_empty() {
            return None;
        }
        indices.sort_unstable();
        indices.dedup();
        Some(Selection::Indices(indices.into()))
    }

    fn stimulus(
        &self,
        name: &str,
        kind: &'static str,
        targets: Option<Vec<(PopulationId, Selection)>>,
    ) -> Option<StimulusSpec> {
        let section = &self.section;
        let dt = section.ctx.dt;
        let start = section.quantity("start");
        let stop = if section.has("stop") { section.quantity("stop") } else { Some(f64::INFINITY) };
        if let (Some(start), Some(stop)) = (start, stop)
            && stop <= start
        {
            section.fault("stop", format!("{} is not after start ({})", show(stop, "ms"), show(start, "ms")));
        }
        let count = section.get("target").map_or(1, |node| match &node.value {
            TreeValue::List(items) => items.len(),
            _ => 1,
        });
        let required = |key: &str| {
            if !section.has(key) {
                section.missing(key);
            }
            section.has(key)
        };
        let levels = |key: &str| required(key).then(|| section.one_or_each(key, count, "targets")).flatten();
        let needed = |key: &str| required(key).then(|| section.quantity(key)).flatten();
        let interval = || {
            section.resolve("interval", dt);
            if section.has("interval") { section.quantity("interval") } else { Some(dt) }
        };
        let (levels, kind) = match kind {
            "poisson" => {
                let levels = levels("rate");
                let (weight, receptor) = self.weight(targets.as_deref());
                (levels, weight.map(|weight| StimulusKind::Poisson { weight, receptor }))
            }
            "dc" => (levels("amplitude"), Some(StimulusKind::Dc)),
            "ac" => {
                let levels = levels("amplitude");
                let parts = (needed("frequency"), section.quantity("phase"), section.quantity("offset"));
                let kind = match parts {
                    (Some(frequency), Some(phase), Some(offset)) => Some(StimulusKind::Ac { frequency, phase, offset }),
                    _ => None,
                };
                (levels, kind)
            }
            "steps" => {
                (section.one_or_each("scale", count, "targets"), self.steps(required("times"), required("amplitudes")))
            }
            "noise" => {
                let levels = levels("mean");
                let kind = needed("sd").zip(interval()).map(|(sd, interval)| StimulusKind::Noise { sd, interval });
                (levels, kind)
            }
            "ornstein_uhlenbeck" => {
                let levels = levels("mean");
                let kind = needed("sd").zip(needed("tau")).map(|(sd, tau)| StimulusKind::OrnsteinUhlenbeck { sd, tau });
                (levels, kind)
            }
            "spikes" => {
                let (weight, receptor) = self.weight(targets.as_deref());
                let events = if required("file") { self.events(targets.as_deref()) } else { None };
                let kind = events.zip(weight).map(|(events, weight)| StimulusKind::Spikes {
                    events: events.into(),
                    weight,
                    receptor,
                });
                (Some(vec![1.0; count]), kind)
            }
            _ => {
                let levels = section.one_or_each("scale", count, "targets");
                let interval = interval();
                let kind = if required("file") { self.matrix(targets.as_deref(), interval) } else { None };
                (levels, kind)
            }
        };
        let (levels, kind) = (levels?, kind?);
        let targets = targets?
            .into_iter()
            .zip(levels)
            .map(|((population, neurons), level)| StimulusTarget { population, neurons, level })
            .collect();
        Some(StimulusSpec { name: name.to_owned(), targets, kind, start: start?, stop: stop? })
    }

    /// Weight of events, in the unit of the targets' receptors, and the receptor if one is named.
    fn weight(&self, targets: Option<&[(PopulationId, Selection)]>) -> (Option<f64>, Option<String>) {
        let section = &self.section;
        let receptor = section.text("receptor");
        let Some(targets) = targets else {
            section.mark("weight");
            return (None, receptor);
        };
        let mut weight = None;
        for (id, _) in targets {
            let population = self.population(*id);
            let Some(first) = population.receptors.first() else { continue };
            let unit = match &receptor {
                Some(name) => {
                    let key = section.path_of("receptor");
                    check_receptor(section.ctx, population, name, &key, section.place_of("receptor"))
                        .unwrap_or(first.unit)
                }
                None => first.unit,
            };
            if !section.has("weight") {
                section.mark("weight");
                section.missing("weight");
                return (None, receptor);
            }
            weight = section.quantity_in("weight", unit, Range::Any);
            if weight.is_none() {
                break;
            }
        }
        section.mark("weight");
        (weight, receptor)
    }

    fn steps(&self, times: bool, amplitudes: bool) -> Option<StimulusKind> {
        let section = &self.section;
        if !(times && amplitudes) {
            section.mark("times");
            section.mark("amplitudes");
            return None;
        }
        let (times, amplitudes) = (section.quantities("times"), section.quantities("amplitudes"));
        let (times, amplitudes) = (times?, amplitudes?);
        if times.len() != amplitudes.len() {
            let message =
                format!("{} amplitudes are given for {} times; each time has one", amplitudes.len(), times.len());
            section.fault("amplitudes", message);
            return None;
        }
        if let Some(pair) = times.windows(2).find(|pair| pair[0] >= pair[1]) {
            let message = format!("{} follows {}; times are ascending", show(pair[1], "ms"), show(pair[0], "ms"));
            section.fault("times", message);
            return None;
        }
        Some(StimulusKind::Steps { times, amplitudes })
    }

    /// The one target of a stimulus whose file speaks of single neurons.
    fn only<'t>(&self, targets: Option<&'t [(PopulationId, Selection)]>) -> Option<(&'a Population, &'t Selection)> {
        match targets? {
            [(id, neurons)] => Some((self.population(*id), neurons)),
            _ => {
                self.section.fault("target", "a file of spikes or currents goes to one population");
                None
            }
        }
    }

    fn events(&self, targets: Option<&[(PopulationId, Selection)]>) -> Option<Vec<(f64, u32)>> {
        let section = &self.section;
        let path = section.file("file")?;
        let (population, neurons) = self.only(targets)?;
        let spikes = noted(section, "file", spike_list::read(&path))?;
        let mut events = Vec::with_capacity(spikes.len());
        for (time, id) in spikes {
            let place = population.index_of(id).and_then(|index| match neurons {
                Selection::All => Ok(index),
                Selection::Indices(chosen) => chosen
                    .binary_search(&index)
                    .map(|place| place as u32)
                    .map_err(|_| format!("neuron {id} is not among those that the stimulus chooses")),
            });
            match place {
                Ok(place) => events.push((time, place)),
                Err(message) => {
                    section.fault("file", format!("`{}`: {message}", path.display()));
                    return None;
                }
            }
        }
        if events.is_empty() {
            section.warn("file", format!("`{}` has no spike", path.display()));
        }
        Some(events)
    }

    fn matrix(&self, targets: Option<&[(PopulationId, Selection)]>, interval: Option<f64>) -> Option<StimulusKind> {
        let section = &self.section;
        let path = section.file("file")?;
        let (population, neurons) = self.only(targets)?;
        let matrix = noted(section, "file", npy::read_matrix(&path))?;
        let chosen = match neurons {
            Selection::All => population.size? as usize,
            Selection::Indices(indices) => indices.len(),
        };
        if matrix.columns != chosen {
            let message = format!(
                "`{}` has {} columns, but the stimulus chooses {chosen} neurons of `{}`; columns are neurons",
                path.display(),
                matrix.columns,
                population.name
            );
            section.fault("file", message);
            return None;
        }
        if let Some(i) = matrix.values.iter().position(|x| !x.is_finite()) {
            let message =
                format!("`{}`, row {}: {} is not a current", path.display(), i / chosen + 1, matrix.values[i]);
            section.fault("file", message);
            return None;
        }
        let values: Vec<f32> = matrix.values.iter().map(|x| *x as f32).collect();
        Some(StimulusKind::Matrix { values: values.into(), columns: chosen, interval: interval? })
    }
}
