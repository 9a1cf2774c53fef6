//! `[population.NAME]`: how many neurons of what kind, and where.

use super::datafile::noted;
use super::distribution::{column, typical};
use super::keys::{AREA, IDS, POPULATION};
use super::neurons::{self, NeuronTable, Setting, Settings};
use super::quantity::show;
use super::reader::{Context, Section, unknown};
use super::space::Space;
use super::tree::{Node, Place, Table, Value as TreeValue, join};
use crate::interop::{position_list, spike_list, table};
use crate::lattice::Box4;
use crate::model::{Distribution, Placement, PopulationId, PopulationSpec};
use crate::neuron::{self, NeuronModel, ParamColumn, ParamTable, Receptor, SpikeTrain};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Ids that a table gives the neurons of a population.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ids {
    pub(super) list: Arc<[u64]>,
    pub(super) index: HashMap<u64, u32>,
}

impl Ids {
    /// Ids that all differ.
    pub(super) fn new(list: Arc<[u64]>) -> Self {
        let index = list.iter().zip(0..).map(|(id, i)| (*id, i)).collect();
        Self { list, index }
    }
}

/// A population as read. What is absent was wrong and is noted already.
#[derive(Debug)]
pub(super) struct Population {
    pub(super) name: String,
    pub(super) spec: Option<PopulationSpec>,
    /// Number of neurons.
    pub(super) size: Option<u32>,
    pub(super) receptors: Vec<Receptor>,
    pub(super) variables: Vec<&'static str>,
    pub(super) ids: Option<Ids>,
}

impl Population {
    /// Whether its neurons only send.
    pub(super) fn is_source(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.model.is_source())
    }

    /// Index of a neuron that a file names: by `ids` of the population, or counted from 0.
    pub(super) fn index_of(&self, id: u64) -> Result<u32, String> {
        match (&self.ids, self.size) {
            (Some(ids), _) => ids
                .index
                .get(&id)
                .copied()
                .ok_or_else(|| format!("population `{}` has no neuron with the id {id}", self.name)),
            (None, Some(size)) if id >= u64::from(size) => {
                Err(format!("neuron {id} is out of range; population `{}` has {size}, numbered from 0", self.name))
            }
            (None, _) => u32::try_from(id).map_err(|_| format!("neuron {id} is out of range")),
        }
    }
}

/// Position of a population of that name; a fault if there is none.
pub(super) fn find(
    ctx: &Context,
    populations: &[Population],
    name: &str,
    key: &str,
    place: Place,
) -> Option<PopulationId> {
    let found = populations.iter().position(|population| population.name == name);
    if found.is_none() {
        ctx.fault(key, place, unknown("population", name, populations.iter().map(|p| p.name.as_str())));
    }
    found.map(PopulationId)
}

/// Reads every `[population]` table.
pub(super) fn read_all(
    ctx: &Context,
    root: &Table,
    space: &Space,
    tables: &[NeuronTable],
    resolved: &mut Map<String, Value>,
) -> Vec<Population> {
    let mut populations = Vec::new();
    let mut maps = Map::new();
    for (name, section) in Section::all(ctx, root, "population", &POPULATION) {
        let (population, map) = read(section, &name, space, tables);
        populations.push(population);
        maps.insert(name, map.into());
    }
    if populations.is_empty() {
        let message = "there is no population; add at least one [population.NAME] table";
        ctx.fault("population", root.get("population").map_or(Place::Default, |node| node.place), message);
    }
    for table in tables {
        let used = |node: &Node| matches!(&node.value, TreeValue::Text(name) if *name == table.name);
        let any = root.get("population").and_then(|node| match &node.value {
            TreeValue::Table(all) => Some(all.entries.iter().any(|(_, node)| match &node.value {
                TreeValue::Table(one) => one.get("neuron").is_some_and(used),
                _ => false,
            })),
            _ => None,
        });
        if any != Some(true) {
            ctx.warn(&join("neuron", &table.name), table.place, "no population has this neuron");
        }
    }
    resolved.insert("population".into(), maps.into());
    populations
}

fn read(section: Section<'_>, name: &str, space: &Space, tables: &[NeuronTable]) -> (Population, Map<String, Value>) {
    let ctx = section.ctx;
    let mut population = Population {
        name: name.to_owned(),
        spec: None,
        size: None,
        receptors: Vec::new(),
        variables: Vec::new(),
        ids: None,
    };
    let placed = placement(&section, name, space);
    if let Some(placed) = &placed {
        population.size = placed.size;
        population.ids = placed.ids.clone();
    }
    let Some(settings) = settings(&section, tables) else {
        let map = section.table().entries.iter().map(|(key, node)| (key.clone(), node.json())).collect();
        return (population, map);
    };
    if let Some(model) = build(&section, &settings, &population) {
        population.receptors = model.receptors(&table(&settings, model.as_ref()));
        population.variables = model.variables().iter().map(|variable| variable.name).collect();
        let initial = settings.initial_of(ctx, model.as_ref());
        check_lengths(ctx, settings.params.iter().chain(&initial), name, population.size);
        let own = |list: &[Setting<Distribution>], keep: fn(&Distribution) -> bool| -> Vec<(String, Distribution)> {
            list.iter().filter(|s| keep(&s.value)).map(|s| (s.name.clone(), s.value.clone())).collect()
        };
        population.spec = placed.map(|placed| PopulationSpec {
            name: name.to_owned(),
            model,
            placement: placed.placement,
            params: own(&settings.params, |value| !matches!(value, Distribution::Constant(_))),
            initial: own(&initial, |_| true),
        });
    }
    let because = format!("on a population of `{}`, placed like this", settings.info.name);
    let map = section.finish_with(Some(&because), &neurons::setting_names(settings.info));
    (population, map)
}

/// The settings of the `[neuron]` table (or of the bare model) with those of the population over them.
fn settings(section: &Section<'_>, tables: &[NeuronTable]) -> Option<Settings> {
    let wanted = section.text("neuron")?;
    let below = match tables.iter().find(|table| table.name == wanted) {
        Some(table) => table.settings.clone()?,
        None => match neuron::find(&wanted) {
            Some(info) => Settings::defaults(info),
            None => {
                let mut known: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
                known.extend(neurons::model_names());
                section.fault("neuron", unknown("[neuron] table or neuron model", &wanted, known));
                return None;
            }
        },
    };
    Some(below.overlaid(&Settings::read(section, below.info)))
}

fn check_lengths<'s>(
    ctx: &Context,
    settings: impl Iterator<Item = &'s Setting<Distribution>>,
    population: &str,
    size: Option<u32>,
) {
    let Some(size) = size else { return };
    for setting in settings {
        if let Distribution::Values(values) = &setting.value
            && values.len() != size as usize
        {
            let message =
                format!("the file has {} values, but population `{population}` has {size} neurons", values.len());
            ctx.fault(&setting.key, setting.place, message);
        }
    }
}

fn build(section: &Section<'_>, settings: &Settings, population: &Population) -> Option<Arc<dyn NeuronModel>> {
    let ctx = section.ctx;
    let at = |name: &str| {
        let params = settings.params.iter().find(|s| s.name == name).map(|s| (s.key.clone(), s.place));
        let options = || settings.options.iter().find(|s| s.name == name).map(|s| (s.key.clone(), s.place));
        params.or_else(options).unwrap_or_else(|| (section.path_of(name), section.place))
    };
    let values: Vec<(&str, f64)> = settings.params.iter().map(|s| (s.name.as_str(), typical(&s.value))).collect();
    let options: Vec<(&str, &str)> = settings.options.iter().map(|s| (s.name.as_str(), s.value.as_str())).collect();
    let built = if settings.info.name == "spike_train" {
        Ok(spike_train(section, population)?)
    } else {
        settings.info.build(&values, &options)
    };
    let model = match built {
        Ok(model) => model,
        Err(faults) => {
            for (name, message) in faults {
                let (key, place) = at(&name);
                ctx.fault(&key, place, message);
            }
            return None;
        }
    };
    for (name, message) in model.check(&model.values(), ctx.dt) {
        let (key, place) = at(name);
        ctx.fault(&key, place, message);
    }
    for (parameter, value) in model.parameters().iter().zip(model.values()) {
        if parameter.unit == "ms" && parameter.name.starts_with("tau") && value > 0.0 && ctx.dt > 0.5 * value {
            let (key, place) = at(parameter.name);
            let message = format!(
                "dt = {} is more than half of {} = {}; results will be coarse, a smaller run.dt helps",
                show(ctx.dt, "ms"),
                parameter.name,
                show(value, "ms")
            );
            ctx.warn(&key, place, message);
        }
    }
    Some(model)
}

/// A source that sends the spikes of a file.
fn spike_train(section: &Section<'_>, population: &Population) -> Option<Arc<dyn NeuronModel>> {
    if !section.has("file") {
        section.missing("file");
    }
    let path = section.file("file")?;
    let spikes = noted(section, "file", spike_list::read(&path))?;
    let mut events = Vec::with_capacity(spikes.len());
    for (time, id) in spikes {
        let index = match population.index_of(id) {
            Ok(index) => index,
            Err(message) => {
                section.fault("file", format!("`{}`: {message}", path.display()));
                return None;
            }
        };
        if time <= 0.0 {
            let message =
                format!("`{}` has a spike at {time} ms; a source sends spikes at times above 0", path.display());
            section.fault("file", message);
            return None;
        }
        events.push((time, index));
    }
    match SpikeTrain::new(events) {
        Ok(train) => Some(Arc::new(train)),
        Err(error) => {
            section.fault("file", error.to_string());
            None
        }
    }
}

/// The parameter table as one neuron would see it; drawn parameters count as different between neurons.
fn table(settings: &Settings, model: &dyn NeuronModel) -> ParamTable {
    let drawn =
        |name: &str| settings.params.iter().any(|s| s.name == name && !matches!(s.value, Distribution::Constant(_)));
    let columns = model
        .parameters()
        .iter()
        .zip(model.values())
        .map(|(p, value)| if drawn(p.name) { ParamColumn::PerNeuron(vec![value]) } else { ParamColumn::Uniform(value) })
        .collect();
    ParamTable { len: 1, columns }
}

struct Placed {
    placement: Placement,
    size: Option<u32>,
    ids: Option<Ids>,
}

impl Placed {
    fn new(placement: Placement, size: u32) -> Self {
        Self { placement, size: Some(size), ids: None }
    }
}

/// The ways to say how many neurons there are.
const WAYS: [&str; 5] = ["n", "area", "region", "coordinates", "ids"];

fn placement(section: &Section<'_>, population: &str, space: &Space) -> Option<Placed> {
    let ctx = section.ctx;
    let given: Vec<&str> = WAYS.into_iter().filter(|way| section.has(way)).collect();
    for way in &given {
        section.mark(way);
    }
    match given[..] {
        [] => {
            let message = format!("the population has no size; give one of {}", WAYS.join(", "));
            ctx.fault(&section.path, section.place, message);
            None
        }
        ["n"] => {
            let n = section.integer("n")? as u32;
            Some(Placed::new(Placement::Count(n), n))
        }
        ["area"] => {
            let name = section.text("area");
            let density = section.quantity("density");
            let area = space.area(ctx, &name?, &section.path_of("area"), section.place_of("area"))?;
            region(section, population, area, density?)
        }
        ["region"] => {
            let node = section.get("region")?;
            let density = section.quantity("density");
            let path = section.path_of("region");
            let inner = Section::new(ctx, &path, node.place, ctx.table(&node, &path)?, &AREA);
            let area = space.region(&inner);
            inner.finish(None);
            region(section, population, area?, density?)
        }
        ["coordinates"] => {
            let path = section.file("coordinates")?;
            let positions = noted(section, "coordinates", position_list::read(&path))?;
            if positions.is_empty() {
                section.fault("coordinates", format!("`{}` has no position", path.display()));
                return None;
            }
            let size = u32::try_from(positions.len()).ok()?;
            Some(Placed::new(Placement::Positions(positions.into()), size))
        }
        ["ids"] => {
            let ids = ids(section)?;
            let n = u32::try_from(ids.list.len()).ok()?;
            Some(Placed { placement: Placement::Count(n), size: Some(n), ids: Some(ids) })
        }
        _ => {
            let message = format!(
                "{} are given; exactly one of {} says how many neurons there are",
                given.join(" and "),
                WAYS.join(", ")
            );
            ctx.fault(&section.path, section.place, message);
            section.mark("density");
            None
        }
    }
}

fn region(section: &Section<'_>, name: &str, region: Box4, density: f64) -> Option<Placed> {
    let cells = region.cells();
    let neurons = cells as f64 * density;
    if neurons < 1.0 {
        let message = format!(
            "{density} neurons on each of {cells} cells give no neuron; a density of at least {} is needed",
            show(1.0 / cells as f64, "")
        );
        section.fault("density", message);
        return None;
    }
    if neurons >= f64::from(u32::MAX) {
        let message = format!(
            "{density} neurons on each of {cells} cells are more than the {} that a network can have",
            u32::MAX
        );
        section.fault("density", message);
        return None;
    }
    let placement = Placement::Region { region, density };
    let size = placement.size(name, section.ctx.seed);
    if size == 0 {
        let message =
            format!("the draws of seed {} put no neuron on any of {cells} cells; raise the density", section.ctx.seed);
        section.fault("density", message);
        return None;
    }
    Some(Placed::new(placement, u32::try_from(size).ok()?))
}

fn ids(section: &Section<'_>) -> Option<Ids> {
    let ctx = section.ctx;
    let node = section.get("ids")?;
    let path = section.path_of("ids");
    let inner = Section::new(ctx, &path, node.place, ctx.table(&node, &path)?, &IDS);
    let (file, column) = (inner.file("file"), column(&inner, "column"));
    inner.finish(None);
    let (file, column) = (file?, column?);
    let mut columns = noted(section, "ids", table::text_columns(&file, &[column]))?;
    let mut list = Vec::new();
    let mut index = HashMap::new();
    for (row, text) in columns.remove(0).iter().enumerate() {
        let Ok(id) = text.parse::<u64>() else {
            section.fault("ids", format!("`{}`, row {}: `{text}` is not a whole number", file.display(), row + 1));
            return None;
        };
        if index.insert(id, row as u32).is_some() {
            section.fault("ids", format!("`{}`, row {}: the id {id} occurs twice", file.display(), row + 1));
            return None;
        }
        list.push(id);
    }
    if list.is_empty() {
        section.fault("ids", format!("`{}` has no row", file.display()));
        return None;
    }
    Some(Ids { list: list.into(), index })
}
