//! `[projection.NAME]`: one pair of populations, every pair of two lists, or a matrix of them.

use super::cells::Cells;
use super::datafile::noted;
use super::distribution;
use super::keys::{DISTANCE_DELAY, EXCEPTION, PROJECTION, Range};
use super::population::{self, Population};
use super::quantity::show;
use super::reader::{Context, Section, unknown};
use super::run::off_grid;
use super::tree::{self, Node, Place, Table};
use crate::interop::edge_list::{self, RawEdge};
use crate::model::procedural_fault;
use crate::model::wiring::total_from_probability;
use crate::model::{
    ConnectionRule, DelaySpec, DistanceKernel, DistanceRule, Distribution, Edge, KernelShape, LONGEST_DELAY, Placement,
    PopulationId, ProjectionSpec, SynapseStorage,
};
use crate::neuron::resolve_receptor;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Reads every `[projection]` table.
pub(super) fn read_all(
    ctx: &Context,
    root: &Table,
    populations: &[Population],
    resolved: &mut Map<String, Value>,
) -> Vec<ProjectionSpec> {
    let mut projections = Vec::new();
    let mut maps = Map::new();
    for (name, section) in Section::all(ctx, root, "projection", &PROJECTION) {
        let (read, map) = read(section, &name, populations);
        projections.extend(read);
        maps.insert(name, map.into());
    }
    if !maps.is_empty() {
        resolved.insert("projection".into(), maps.into());
    }
    projections
}

/// What a `[projection]` table says once for all its pairs.
struct Shared<'a> {
    section: &'a Section<'a>,
    rule: &'static str,
    p: Option<Cells<'a>>,
    n: Option<Cells<'a>>,
    weight: Option<Cells<'a>>,
    delay: Option<Cells<'a>>,
    receptor: Option<String>,
    kernel: Option<DistanceRule>,
    edges: Option<Vec<RawEdge>>,
    autapses: bool,
    multapses: bool,
    storage: SynapseStorage,
    exceptions: Vec<Exception<'a>>,
}

/// Values that hold for some pairs instead of those of the projection.
struct Exception<'a> {
    sources: Vec<PopulationId>,
    targets: Vec<PopulationId>,
    section: Section<'a>,
}

/// A pair of populations: its place in the lists, and the values that hold for it.
struct Pair<'s, 'a> {
    shared: &'s Shared<'a>,
    row: usize,
    column: usize,
    source: &'a Population,
    target: &'a Population,
    exception: Option<&'s Exception<'a>>,
}

fn read(section: Section<'_>, name: &str, populations: &[Population]) -> (Vec<ProjectionSpec>, Map<String, Value>) {
    let unread = |section: &Section<'_>| -> Map<String, Value> {
        section.table().entries.iter().map(|(key, node)| (key.clone(), node.json())).collect()
    };
    let enabled = section.boolean("enabled");
    let ends = ends(&section, populations);
    let Some(rule) = section.choice("rule") else { return (Vec::new(), unread(&section)) };
    let Some((sources, targets)) = ends else { return (Vec::new(), unread(&section)) };
    let shape = (targets.len(), sources.len());
    let cells = |key: &str| section.has(key).then(|| Cells::read(&section, key, shape)).flatten();
    let takes_p = matches!(rule, "bernoulli" | "distance" | "fixed_total");
    let takes_n = matches!(rule, "fixed_indegree" | "fixed_outdegree" | "fixed_total");
    let shared = Shared {
        section: &section,
        rule,
        p: if takes_p { cells("p") } else { None },
        n: if takes_n { cells("n") } else { None },
        weight: cells("weight"),
        delay: cells("delay"),
        receptor: section.text("receptor"),
        kernel: if rule == "distance" { kernel(&section) } else { None },
        edges: if rule == "edges" { edge_rows(&section, shape) } else { None },
        autapses: section.boolean("autapses").unwrap_or(true),
        multapses: section.boolean("multapses").unwrap_or(true),
        storage: storage(&section, rule),
        exceptions: exceptions(&section, populations, &sources, &targets),
    };
    let mut projections = Vec::new();
    let several = shape != (1, 1);
    for (row, target) in targets.iter().enumerate() {
        for (column, source) in sources.iter().enumerate() {
            let pair = Pair {
                shared: &shared,
                row,
                column,
                source: &populations[source.0],
                target: &populations[target.0],
                exception: shared.exceptions.iter().find(|e| e.sources.contains(source) && e.targets.contains(target)),
            };
            let name =
                if several { format!("{name}.{}.{}", pair.source.name, pair.target.name) } else { name.to_owned() };
            projections.extend(pair.projection(name, *source, *target));
        }
    }
    shared.finish_exceptions();
    let map = section.finish(Some(&format!("with rule = \"{rule}\"")));
    if enabled == Some(false) {
        projections.clear();
    }
    (projections, map)
}

/// Sources and targets.
fn ends(section: &Section<'_>, populations: &[Population]) -> Option<(Vec<PopulationId>, Vec<PopulationId>)> {
    let ids = |key: &str| -> Option<Vec<PopulationId>> {
        let names = section.names(key, "population")?;
        let found: Vec<_> = names
            .iter()
            .map(|(name, place)| population::find(section.ctx, populations, name, &section.path_of(key), *place))
            .collect();
        let ids: Vec<PopulationId> = found.into_iter().collect::<Option<_>>()?;
        if let Some((i, _)) = ids.iter().enumerate().find(|(i, id)| ids[..*i].contains(id)) {
            section.fault(key, format!("population `{}` is listed twice", names[i].0));
            return None;
        }
        Some(ids)
    };
    if section.has("populations") {
        for key in ["source", "target"] {
            if section.has(key) {
                section.mark(key);
                section.fault(
                    key,
                    format!("`{key}` and `populations` are both given; `populations` stands for both ends"),
                );
            }
        }
        let both = ids("populations")?;
        return Some((both.clone(), both));
    }
    for key in ["source", "target"] {
        if !section.has(key) {
            section.missing(key);
        }
    }
    let (sources, targets) = (ids("source"), ids("target"));
    sources.zip(targets)
}

fn exceptions<'a>(
    section: &Section<'a>,
    populations: &[Population],
    sources: &[PopulationId],
    targets: &[PopulationId],
) -> Vec<Exception<'a>> {
    let Some(Cow::Borrowed(node)) = section.get("except") else { return Vec::new() };
    let path = section.path_of("except");
    let mut out = Vec::new();
    for item in section.list(node, "except", 0, usize::MAX).unwrap_or_default() {
        let Some(table) = section.ctx.table(item, &path) else { continue };
        let inner = Section::new(section.ctx, &path, item.place, table, &EXCEPTION);
        let members = |key: &str, of: &[PopulationId]| -> Option<Vec<PopulationId>> {
            inner
                .names(key, "population")?
                .iter()
                .map(|(name, place)| {
                    let id = population::find(section.ctx, populations, name, &inner.path_of(key), *place)?;
                    if of.contains(&id) {
                        return Some(id);
                    }
                    let message = format!("`{name}` is no {key} of this projection");
                    section.ctx.fault(&inner.path_of(key), *place, message);
                    None
                })
                .collect()
        };
        let (from, to) = (members("source", sources), members("target", targets));
        if let (Some(sources), Some(targets)) = (from, to) {
            out.push(Exception { sources, targets, section: inner });
        }
    }
    out
}

/// Where synapses are kept; a fault where the rule must keep them.
fn storage(section: &Section<'_>, rule: &str) -> SynapseStorage {
    if section.choice("storage") != Some(SynapseStorage::Procedural.name()) {
        return SynapseStorage::Stored;
    }
    if let Some(message) = procedural_fault(rule) {
        section.fault("storage", message);
        return SynapseStorage::Stored;
    }
    SynapseStorage::Procedural
}

fn kernel(section: &Section<'_>) -> Option<DistanceRule> {
    let shape = match section.choice("kernel") {
        Some("exponential") => KernelShape::Exponential,
        Some("linear") => KernelShape::Linear,
        Some("box") => KernelShape::Box,
        _ => KernelShape::Gaussian,
    };
    if !section.has("extent") {
        section.missing("extent");
    }
    let extent = section.quantity("extent");
    let cutoff = section.quantity("cutoff");
    let scale = section.one_or_each("scale", 4, "axes");
    let hop_w = section.quantity("hop_w");
    let extent = extent?;
    let default = extent
        * match shape {
            KernelShape::Gaussian => 3.0,
            KernelShape::Exponential => 5.0,
            KernelShape::Linear | KernelShape::Box => 1.0,
        };
    section.resolve("cutoff", default);
    Some(DistanceRule {
        kernel: DistanceKernel { shape, extent },
        p_max: 1.0,
        cutoff: if section.has("cutoff") { cutoff? } else { default },
        scale: scale?.try_into().ok()?,
        hop_w: hop_w?,
    })
}

fn edge_rows(section: &Section<'_>, shape: (usize, usize)) -> Option<Vec<RawEdge>> {
    if shape != (1, 1) {
        section.fault("rule", "rule = \"edges\" connects one source population to one target population");
    }
    if !section.has("file") {
        section.missing("file");
    }
    let path = section.file("file")?;
    let edges = noted(section, "file", edge_list::read(&path))?;
    for (name, place) in [("weight", 0), ("delay", 1)] {
        let given = |edge: &RawEdge| [edge.weight, edge.delay][place].is_some();
        if let Some(without) = edges.iter().find(|edge| !given(edge))
            && edges.iter().any(given)
        {
            let place = format!("{}:{}", path.display(), without.line);
            section.fault("file", format!("{place}: the synapse has no {name}, but others of the file have one"));
            return None;
        }
    }
    Some(edges)
}

impl Shared<'_> {
    fn finish_exceptions(&self) {
        for exception in &self.exceptions {
            let section = &exception.section;
            for (key, node) in &section.table().entries {
                let known = EXCEPTION.iter().map(|key| key.name);
                let place = node.place;
                let path = tree::join(&section.path, key);
                if !known.clone().any(|name| name == key) {
                    section.ctx.fault(&path, place, unknown("key", key, known));
                } else if !matches!(key.as_str(), "source" | "target" | "weight" | "delay" | "receptor") {
                    let used = match key.as_str() {
                        "p" => matches!(self.rule, "bernoulli" | "distance" | "fixed_total"),
                        _ => matches!(self.rule, "fixed_indegree" | "fixed_outdegree" | "fixed_total"),
                    };
                    if !used {
                        let message = format!("`{key}` has no effect with rule = \"{}\"; remove it", self.rule);
                        section.ctx.fault(&path, place, message);
                    }
                }
            }
        }
    }
}

impl<'a> Pair<'_, 'a> {
    fn ctx(&self) -> &'a Context {
        self.shared.section.ctx
    }

    /// The value of a key for this pair, with its path and whether it was written for this pair or all at once.
    fn node(&self, key: &str, cells: Option<&Cells<'a>>) -> Option<(&'a Node, String)> {
        if let Some(exception) = self.exception
            && let Some(node) = exception.section.table().get(key)
        {
            return Some((node, exception.section.path_of(key)));
        }
        Some((cells?.at(self.row, self.column), self.shared.section.path_of(key)))
    }

    fn both(&self) -> String {
        format!("from `{}` to `{}`", self.source.name, self.target.name)
    }

    fn projection(&self, name: String, source: PopulationId, target: PopulationId) -> Option<ProjectionSpec> {
        let shared = self.shared;
        let section = shared.section;
        if self.target.is_source() {
            let message = format!("population `{}` only sends spikes; it takes no synapses", self.target.name);
            section.fault(if section.has("populations") { "populations" } else { "target" }, message);
        }
        let rule = self.rule();
        let receptor = self.receptor();
        let weight = receptor.as_ref().and_then(|(_, unit)| self.weight(unit));
        let delay = self.delay();
        let (Some(rule), Some((receptor, _)), Some(weight), Some(delay)) = (rule?, receptor, weight, delay) else {
            return None;
        };
        let (rule, weight) = match rule {
            Made::Rule(rule) => (rule, weight),
            Made::Edges => (self.edges(&weight)?, weight),
        };
        let Shared { autapses, multapses, storage, .. } = *shared;
        Some(ProjectionSpec { name, source, target, rule, weight, delay, receptor, autapses, multapses, storage })
    }

    /// The rule; `Some(None)` for a pair that is not to be connected, `None` after a fault.
    fn rule(&self) -> Option<Option<Made>> {
        let shared = self.shared;
        let (section, ctx) = (shared.section, self.ctx());
        let p = || -> Option<f64> {
            let Some((node, key)) = self.node("p", shared.p.as_ref()) else {
                if !section.has("p") {
                    section.missing("p");
                }
                return None;
            };
            ctx.number(node, &key, "", Range::Between(0.0, 1.0))
        };
        let n = |limit: i64| -> Option<i64> {
            let Some((node, key)) = self.node("n", shared.n.as_ref()) else {
                if !section.has("n") {
                    section.missing("n");
                }
                return None;
            };
            ctx.integer(node, &key, 0, limit)
        };
        let (pre, post) = (self.source.size, self.target.size);
        let autapses_out = !shared.autapses && std::ptr::eq(self.source, self.target);
        // Without repetition there are only so many to choose from.
        let fits = |n: i64, of: Option<u32>, what: &str| {
            let most = of.map(|of| i64::from(of) - i64::from(autapses_out));
            match most {
                Some(most) if !shared.multapses && n > most => {
                    let message = format!("{n} different {what} are asked for {}, but there are {most}", self.both());
                    section.fault("n", message);
                    false
                }
                _ => true,
            }
        };
        let rule = match shared.rule {
            "all_to_all" => ConnectionRule::AllToAll,
            "one_to_one" => {
                if let (Some(pre), Some(post)) = (pre, post)
                    && pre != post
                {
                    let message = format!(
                        "one_to_one needs equal sizes; `{}` has {pre} neurons, `{}` has {post}",
                        self.source.name, self.target.name
                    );
                    section.fault("rule", message);
                    return None;
                }
                ConnectionRule::OneToOne
            }
            "bernoulli" => match p()? {
                0.0 => return self.none("p"),
                p => ConnectionRule::Bernoulli { p },
            },
            "fixed_indegree" | "fixed_outdegree" => {
                let inward = shared.rule == "fixed_indegree";
                let n = n(i64::from(u32::MAX))?;
                if n == 0 {
                    return self.none("n");
                }
                let (of, what) = if inward { (pre, "sources") } else { (post, "targets") };
                if !fits(n, of, what) {
                    return None;
                }
                let n = n as u32;
                if inward { ConnectionRule::FixedIndegree { n } } else { ConnectionRule::FixedOutdegree { n } }
            }
            "fixed_total" => {
                let n = match (section.has("n"), section.has("p")) {
                    (true, true) => {
                        section.fault("p", "`n` and `p` are both given; fixed_total takes one of them");
                        return None;
                    }
                    (false, false) => {
                        let message =
                            "`n` is missing; fixed_total needs the number of synapses `n`, or a probability `p`";
                        ctx.fault(&section.path_of("n"), section.place, message);
                        return None;
                    }
                    (true, false) => n(i64::MAX)? as u64,
                    (false, true) => self.total_from_probability(p()?)?,
                };
                if n == 0 {
                    return self.none(if section.has("n") { "n" } else { "p" });
                }
                let pairs = pre
                    .zip(post)
                    .map(|(a, b)| u64::from(a) * u64::from(b) - if autapses_out { u64::from(a) } else { 0 });
                if let Some(pairs) = pairs.filter(|pairs| !shared.multapses && n > *pairs) {
                    section.fault(
                        "n",
                        format!("{n} different pairs are asked for {}, but there are {pairs}", self.both()),
                    );
                    return None;
                }
                ConnectionRule::FixedTotal { n }
            }
            "distance" => {
                let p = p()?;
                for population in [self.source, self.target] {
                    if population.spec.as_ref().is_some_and(|spec| matches!(spec.placement, Placement::Count(_))) {
                        self.needs_positions("rule", population);
                        return None;
                    }
                }
                if p == 0.0 {
                    return self.none("p");
                }
                ConnectionRule::Distance(DistanceRule { p_max: p, ..shared.kernel.clone()? })
            }
            _ => return shared.edges.as_ref().map(|_| Some(Made::Edges)),
        };
        Some(Some(Made::Rule(rule)))
    }

    /// A pair without synapses: usual in a matrix, worth a word where it is the whole projection.
    fn none(&self, key: &str) -> Option<Option<Made>> {
        let section = self.shared.section;
        let cells = if key == "p" { &self.shared.p } else { &self.shared.n };
        if cells.as_ref().is_some_and(Cells::is_one) && self.exception.is_none() {
            section.warn(key, format!("`{key}` = 0 makes no synapse"));
        }
        Some(None)
    }

    /// Potjans & Diesmann 2014, equation 1: the number of synapses at which a pair is connected at least once with
    /// probability `p`.
    fn total_from_probability(&self, p: f64) -> Option<u64> {
        let section = self.shared.section;
        let (Some(pre), Some(post)) = (self.source.size, self.target.size) else {
            return None;
        };
        let pairs = f64::from(pre) * f64::from(post);
        if p >= 1.0 || (pairs <= 1.0 && p > 0.0) {
            section.fault(
                "p",
                format!("`{p}` would need infinitely many synapses {}; use all_to_all or a p below 1", self.both()),
            );
            return None;
        }
        if p == 0.0 {
            return Some(0);
        }
        Some(total_from_probability(p, pre, post))
    }

    fn needs_positions(&self, key: &str, population: &Population) {
        let message = format!(
            "distances need positions, which population `{}` has not; give it an area, a region or coordinates",
            population.name
        );
        self.shared.section.fault(key, message);
    }

    /// The receptor by name, if one is named, and the unit of weights.
    fn receptor(&self) -> Option<(Option<String>, &'static str)> {
        let receptors = &self.target.receptors;
        let first = receptors.first()?;
        let named = self.exception.and_then(|e| e.section.table().get("receptor").map(|node| (e, node)));
        let (name, key, place) = match named {
            Some((e, node)) => {
                let key = e.section.path_of("receptor");
                let name = self.ctx().text(node, &key, "the name of a receptor")?;
                (name.to_owned(), key, node.place)
            }
            None => match &self.shared.receptor {
                Some(name) => {
                    (name.clone(), self.shared.section.path_of("receptor"), self.shared.section.place_of("receptor"))
                }
                None if self.shared.section.has("receptor") => return None,
                None => return Some((None, first.unit)),
            },
        };
        check_receptor(self.ctx(), self.target, &name, &key, place).map(|unit| (Some(name), unit))
    }

    fn weight(&self, unit: &str) -> Option<Distribution> {
        let shared = self.shared;
        let brought = shared.edges.as_ref().and_then(|rows| rows.first()).is_some_and(|row| row.weight.is_some());
        let Some((node, key)) = self.node("weight", shared.weight.as_ref()) else {
            if brought && !shared.section.has("weight") {
                return Some(Distribution::Constant(1.0));
            }
            if !shared.section.has("weight") {
                shared.section.missing("weight");
            }
            return None;
        };
        let weight = distribution::read(self.ctx(), node, &key, unit, Range::Any)?;
        if brought && !matches!(weight, Distribution::Constant(_)) {
            let message =
                "the file brings a weight for each synapse; `weight` is what 1 in the file stands for, one quantity";
            self.ctx().fault(&key, node.place, message);
            return None;
        }
        if matches!(weight, Distribution::Values(_)) {
            self.ctx().fault(
                &key,
                node.place,
                "weights are drawn; a file with one for each synapse is rule = \"edges\"",
            );
            return None;
        }
        Some(weight)
    }

    fn delay(&self) -> Option<DelaySpec> {
        let shared = self.shared;
        let (section, ctx) = (shared.section, self.ctx());
        let brought = shared.edges.as_ref().and_then(|rows| rows.first()).is_some_and(|row| row.delay.is_some());
        let Some((node, key)) = self.node("delay", shared.delay.as_ref()) else {
            if brought && !section.has("delay") {
                return Some(DelaySpec::Drawn(Distribution::Constant(ctx.dt)));
            }
            if !section.has("delay") {
                section.missing("delay");
            }
            return None;
        };
        if let tree::Value::Table(table) = &node.value
            && table.keys().any(|key| key == "velocity" || key == "offset")
        {
            let inner = Section::new(ctx, &key, node.place, table, &DISTANCE_DELAY);
            let (velocity, offset) = (inner.quantity("velocity"), inner.quantity("offset"));
            inner.finish(None);
            for population in [self.source, self.target] {
                if population.spec.as_ref().is_some_and(|spec| matches!(spec.placement, Placement::Count(_))) {
                    self.needs_positions("delay", population);
                    return None;
                }
            }
            return Some(DelaySpec::Distance { velocity: velocity?, offset: offset? });
        }
        let delay = distribution::read(ctx, node, &key, "ms", Range::Any)?;
        if let Distribution::Constant(delay) = delay {
            if !(delay >= 0.0 && delay.is_finite()) {
                ctx.fault(&key, node.place, format!("`{}` is out of range; a delay is 0 ms or above", node.shown()));
                return None;
            }
            if delay > f64::from(LONGEST_DELAY) * ctx.dt {
                let message =
                    format!("`{}` is more than {LONGEST_DELAY} time steps, the longest delay there is", node.shown());
                ctx.fault(&key, node.place, message);
                return None;
            }
            check_delay(ctx, delay, &key, node.place);
        }
        if matches!(delay, Distribution::Values(_)) {
            ctx.fault(&key, node.place, "delays are drawn; a file with one for each synapse is rule = \"edges\"");
            return None;
        }
        Some(DelaySpec::Drawn(delay))
    }

    fn edges(&self, weight: &Distribution) -> Option<ConnectionRule> {
        const SHOWN: usize = 5;
        let section = self.shared.section;
        let rows = self.shared.edges.as_ref()?;
        let unit = distribution::typical(weight);
        let mut wrong = 0;
        let mut edges = Vec::with_capacity(rows.len());
        for row in rows {
            let fault = match (self.source.index_of(row.source), self.target.index_of(row.target), row.delay) {
                (_, _, Some(delay)) if delay < 0.0 => format!("the delay {delay} ms is below 0"),
                (Ok(source), Ok(target), delay) => {
                    edges.push(Edge {
                        source,
                        target,
                        weight: row.weight.map_or(f32::NAN, |weight| (weight * unit) as f32),
                        delay: delay.map_or(f32::NAN, |delay| delay as f32),
                    });
                    continue;
                }
                (Err(message), _, _) | (_, Err(message), _) => message,
            };
            wrong += 1;
            if wrong <= SHOWN {
                section.fault("file", format!("line {}: {fault}", row.line));
            }
        }
        if wrong > SHOWN {
            section.fault("file", format!("{} more lines have such faults", wrong - SHOWN));
        }
        if edges.is_empty() && wrong == 0 {
            section.warn("file", "the file has no synapse");
        }
        Some(ConnectionRule::Edges(edges.into()))
    }
}

/// A rule that is complete, or an edge list that still needs the weight's unit.
enum Made {
    Rule(ConnectionRule),
    Edges,
}

/// Unit of weights for a named receptor of a population; a fault if it has none of that name.
pub(super) fn check_receptor(
    ctx: &Context,
    population: &Population,
    name: &str,
    key: &str,
    place: Place,
) -> Option<&'static str> {
    match resolve_receptor(&population.receptors, name) {
        Some(index) => Some(population.receptors[index].unit),
        None => {
            let what = format!("receptor of population `{}`", population.name);
            ctx.fault(key, place, unknown(&what, name, population.receptors.iter().map(|receptor| receptor.name)));
            None
        }
    }
}

/// Warns about a delay that is not a whole number of steps, or less than one.
fn check_delay(ctx: &Context, delay: f64, key: &str, place: Place) {
    let dt = ctx.dt;
    let shown = (show(delay, "ms"), show(dt, "ms"));
    if delay < 0.5 * dt {
        ctx.warn(
            key,
            place,
            format!("{} is less than half of dt = {}; it becomes one step, {}", shown.0, shown.1, shown.1),
        );
    } else if let Some(rounded) = off_grid(delay, dt) {
        ctx.warn(
            key,
            place,
            format!("{} is not a multiple of dt = {}; it becomes {}", shown.0, shown.1, show(rounded, "ms")),
        );
    }
}
