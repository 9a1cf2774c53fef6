//! Everything that can be wrong with a [`NetworkSpec`], found before anything is made.

use super::spec::procedural_fault;
use super::wiring::WeightSummary;
use super::{
    ConnectionRule, DelaySpec, Distribution, NetworkSpec, Placement, PopulationId, PopulationSpec, ProjectionSpec,
    Sampler, Selection, StimulusKind, StimulusSpec, SynapseStorage,
};
use crate::error::{Fault, Result, did_you_mean};
use crate::lattice::{AXES, Box4};
use std::collections::HashSet;

/// Most neurons a network can have.
const MOST_NEURONS: u64 = u32::MAX as u64;

/// Collects faults under the key of one part of the network.
struct Faults {
    part: String,
    found: Vec<Fault>,
}

impl Faults {
    fn of(part: impl Into<String>) -> Self {
        Self { part: part.into(), found: Vec::new() }
    }

    fn add(&mut self, key: &str, message: impl Into<String>) {
        let key = if key.is_empty() { self.part.clone() } else { format!("{}.{key}", self.part) };
        self.found.push(Fault::new(key, message));
    }

    fn check(&mut self, key: &str, good: bool, message: impl FnOnce() -> String) {
        if !good {
            self.add(key, message());
        }
    }
}

/// Number of neurons of a choice from a population of `size`.
pub(super) fn selection_len(selection: &Selection, size: u64) -> u64 {
    match selection {
        Selection::All => size,
        Selection::Indices(indices) => indices.len() as u64,
    }
}

/// Smallest and largest weight of a projection.
///
/// # Errors
/// If the distribution makes no sense.
pub(super) fn weight_bounds(projection: &ProjectionSpec) -> Result<(f64, f64)> {
    let of_distribution = || match &projection.weight {
        Distribution::Values(values) => {
            let summary = WeightSummary::of(values.iter().copied());
            Ok((summary.min, summary.max))
        }
        distribution => Sampler::new(distribution).map(|s| s.bounds()),
    };
    let ConnectionRule::Edges(edges) = &projection.rule else { return of_distribution() };
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut drawn = false;
    for edge in edges.iter() {
        if edge.weight.is_nan() {
            drawn = true;
        } else {
            min = min.min(f64::from(edge.weight));
            max = max.max(f64::from(edge.weight));
        }
    }
    if drawn || min > max {
        let (low, high) = of_distribution()?;
        (min, max) = (min.min(low), max.max(high));
    }
    Ok((min, max))
}

impl NetworkSpec {
    /// Every fault of the description: what would keep it from being built.
    ///
    /// What depends on the size of a population placed by a fractional density is checked by
    /// [`BrainModel::build`](super::BrainModel::build), which knows the size.
    pub fn validate(&self) -> Vec<Fault> {
        let sizes: Vec<Option<u64>> = self.populations.iter().map(|p| p.placement.exact_size()).collect();
        self.validate_sized(&sizes)
    }

    /// As [`validate`](Self::validate), with the sizes of the populations where they are known.
    pub(super) fn validate_sized(&self, sizes: &[Option<u64>]) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.check_lattice(&mut faults);
        let names = |kind: &str, names: Vec<&str>, faults: &mut Vec<Fault>| {
            let mut seen = HashSet::new();
            for name in names {
                if name.is_empty() {
                    faults.push(Fault::new(kind, "a name is empty; names are part of the key of random draws"));
                } else if !seen.insert(name) {
                    faults.push(Fault::new(
                        format!("{kind}.{name}"),
                        format!("two {kind}s have this name; names must differ"),
                    ));
                }
            }
        };
        names("area", self.areas.iter().map(|a| a.name.as_str()).collect(), &mut faults);
        names("population", self.populations.iter().map(|p| p.name.as_str()).collect(), &mut faults);
        names("projection", self.projections.iter().map(|p| p.name.as_str()).collect(), &mut faults);
        names("stimulus", self.stimuli.iter().map(|s| s.name.as_str()).collect(), &mut faults);
        for area in &self.areas {
            if let Some(message) = self.region_fault(&area.region) {
                faults.push(Fault::new(format!("area.{}", area.name), message));
            }
        }
        for (population, size) in self.populations.iter().zip(sizes) {
            faults.extend(self.check_population(population, *size));
        }
        let total: u64 = sizes.iter().flatten().sum();
        if total > MOST_NEURONS {
            faults.push(Fault::new(
                "population",
                format!("the populations have {total} neurons in all; a network has at most {MOST_NEURONS}"),
            ));
        }
        for projection in &self.projections {
            faults.extend(self.check_projection(projection, sizes));
        }
        for stimulus in &self.stimuli {
            faults.extend(self.check_stimulus(stimulus, sizes));
        }
        faults
    }

    fn check_lattice(&self, faults: &mut Vec<Fault>) {
        let Some(lattice) = &self.lattice else { return };
        for (a, axis) in AXES.iter().enumerate() {
            if !(1..=65_536).contains(&lattice.shape[a]) {
                let message = format!("axis {axis} has {} cells; allowed are 1 to 65536", lattice.shape[a]);
                faults.push(Fault::new("lattice.shape", message));
            }
            let spacing = lattice.spacing[a];
            if !(spacing.is_finite() && spacing > 0.0) {
                let message = format!("the spacing along {axis} is {spacing} um; it must be above 0");
                faults.push(Fault::new("lattice.spacing", message));
            } else if spacing * f64::from(lattice.shape[a]) > f64::from(f32::MAX) {
                // Positions have 32 bits.
                let message =
                    format!("the spacing along {axis} is {spacing} um; the lattice must end before {} um", f32::MAX);
                faults.push(Fault::new("lattice.spacing", message));
            }
        }
    }

    /// What is wrong with a box of cells.
    pub(super) fn region_fault(&self, region: &Box4) -> Option<String> {
        let Some(lattice) = &self.lattice else {
            return Some("a region needs a lattice, and the network has none".into());
        };
        for (a, axis) in AXES.iter().enumerate() {
            let (lo, hi, cells) = (region.lo[a], region.hi[a], lattice.shape[a]);
            if lo >= hi {
                return Some(format!("the region is empty along {axis}: it goes from cell {lo} to before cell {hi}"));
            }
            if hi > cells {
                return Some(format!(
                    "the region ends before cell {hi} along {axis}, but the lattice has {cells} cells there"
                ));
            }
        }
        None
    }

    fn check_population(&self, spec: &PopulationSpec, size: Option<u64>) -> Vec<Fault> {
        let mut faults = Faults::of(format!("population.{}", spec.name));
        match &spec.placement {
            Placement::Count(_) => {}
            Placement::Region { region, density } => {
                if let Some(message) = self.region_fault(region) {
                    faults.add("region", message);
                }
                if !(density.is_finite() && *density > 0.0) {
                    faults.add("density", format!("a density of {density} neurons a cell is not above 0"));
                } else if region.cells() as f64 * density > MOST_NEURONS as f64 {
                    let neurons = region.cells() as f64 * density;
                    faults.add(
                        "density",
                        format!("{neurons} neurons are more than the {MOST_NEURONS} a network can have"),
                    );
                }
            }
            Placement::Positions(points) => {
                if let Some(i) = points.iter().position(|p| p.iter().any(|x| !x.is_finite())) {
                    faults.add("positions", format!("the position of neuron {i}, {:?}, is not finite", points[i]));
                }
            }
        }
        if size == Some(0) {
            faults.add("n", "the population has no neurons; it needs at least one");
        }
        let parameters = spec.model.parameters();
        for (parameter, value) in parameters.iter().zip(spec.model.values()) {
            faults.check(parameter.name, parameter.allowed.contains(value), || {
                format!("{value} {} is not allowed; allowed is {}", parameter.unit, parameter.allowed.describe())
            });
        }
        for (name, distribution) in &spec.params {
            let Some(parameter) = parameters.iter().find(|p| p.name == name) else {
                faults.add(name, unknown("parameter", spec, name, parameters.iter().map(|p| p.name)));
                continue;
            };
            let Some((min, max)) = check_values(&mut faults, name, distribution, size) else { continue };
            if let Some(value) = [min, max].into_iter().find(|v| !parameter.allowed.contains(*v)) {
                faults.add(
                    name,
                    format!(
                        "the distribution reaches {value} {}; allowed is {}: restrict it",
                        parameter.unit,
                        parameter.allowed.describe()
                    ),
                );
            }
        }
        for (name, distribution) in &spec.initial {
            if spec.model.variables().iter().any(|v| v.name == name) {
                check_values(&mut faults, name, distribution, size);
            } else {
                faults.add(name, unknown("state variable", spec, name, spec.model.variables().iter().map(|v| v.name)));
            }
        }
        let mut seen = HashSet::new();
        for (name, _) in spec.params.iter().chain(&spec.initial) {
            faults.check(name, seen.insert(name), || "two distributions are given for this; keep one".into());
        }
        faults.found
    }

    fn population_fault(&self, id: PopulationId) -> Option<String> {
        let n = self.populations.len();
        (id.0 >= n).then(|| format!("population {} does not exist; there are {n}, numbered from 0", id.0))
    }

    fn check_projection(&self, spec: &ProjectionSpec, sizes: &[Option<u64>]) -> Vec<Fault> {
        let mut faults = Faults::of(format!("projection.{}", spec.name));
        let ends = [("source", spec.source), ("target", spec.target)];
        for (key, id) in ends {
            if let Some(message) = self.population_fault(id) {
                faults.add(key, message);
            }
        }
        if !faults.found.is_empty() {
            return faults.found;
        }
        let (source, target) = (&self.populations[spec.source.0], &self.populations[spec.target.0]);
        if target.model.is_source() {
            let message = format!("population `{}` only sends spikes (model `{}`)", target.name, target.model.name());
            faults.add("target", message);
        }
        let (sources, targets) = (sizes[spec.source.0], sizes[spec.target.0]);
        check_rule(&mut faults, self, spec, sources, targets);
        if spec.storage == SynapseStorage::Procedural
            && let Some(message) = procedural_fault(spec.rule.name())
        {
            faults.add("storage", message);
        }
        let items = match &spec.rule {
            ConnectionRule::AllToAll => sources.zip(targets).map(|(s, t)| s * t),
            ConnectionRule::OneToOne => sources,
            ConnectionRule::Edges(edges) => Some(edges.len() as u64),
            _ => None,
        };
        let has_order =
            matches!(spec.rule, ConnectionRule::AllToAll | ConnectionRule::OneToOne | ConnectionRule::Edges(_));
        let listed = |faults: &mut Faults, key: &str, distribution: &Distribution| {
            if matches!(distribution, Distribution::Values(_)) && !has_order {
                faults.add(key, "a list of values needs a rule with a fixed order: all_to_all, one_to_one or edges");
                return None;
            }
            check_values(faults, key, distribution, items)
        };
        listed(&mut faults, "weight", &spec.weight);
        match &spec.delay {
            DelaySpec::Drawn(distribution) => {
                if let Some((min, max)) = listed(&mut faults, "delay", distribution) {
                    // Drawn normal values below the grid are redrawn or raised (see `DelaySpec`).
                    let raised = matches!(distribution, Distribution::Normal { .. });
                    if max <= 0.0 {
                        faults.add("delay", format!("the longest delay is {max} ms; delays must be above 0"));
                    } else if min < 0.0 && !raised {
                        faults.add("delay", format!("the delay can be {min} ms; delays must be above 0"));
                    }
                }
            }
            DelaySpec::Distance { velocity, offset } => {
                if !(velocity.is_finite() && *velocity > 0.0) {
                    faults.add("delay.velocity", format!("a velocity of {velocity} um/ms is not above 0"));
                }
                if !(offset.is_finite() && *offset >= 0.0) {
                    faults.add("delay.offset", format!("an offset of {offset} ms is not 0 or above"));
                }
                for population in [source, target] {
                    need_positions(&mut faults, "delay", population);
                }
            }
        }
        faults.found
    }

    fn check_stimulus(&self, spec: &StimulusSpec, sizes: &[Option<u64>]) -> Vec<Fault> {
        let mut faults = Faults::of(format!("stimulus.{}", spec.name));
        faults.check("targets", !spec.targets.is_empty(), || "it has no target population".into());
        if !(spec.start.is_finite() && spec.start >= 0.0) {
            faults.add("start", format!("{} ms is not a time of 0 or above", spec.start));
        }
        if spec.stop.is_nan() || spec.stop < spec.start {
            faults.add("stop", format!("it stops at {} ms, before it starts at {} ms", spec.stop, spec.start));
        }
        let poisson = matches!(spec.kind, StimulusKind::Poisson { .. });
        let mut chosen = Vec::new();
        for target in &spec.targets {
            if let Some(message) = self.population_fault(target.population) {
                faults.add("targets", message);
                continue;
            }
            let population = &self.populations[target.population.0];
            if population.model.is_source() {
                let message = format!("population `{}` only sends spikes and cannot be stimulated", population.name);
                faults.add("targets", message);
            }
            if !target.level.is_finite() || (poisson && target.level < 0.0) {
                let range = if poisson { "0 or above (Hz)" } else { "a finite number (pA)" };
                faults.add("level", format!("{} at population `{}` is not {range}", target.level, population.name));
            }
            let size = sizes[target.population.0];
            if let Selection::Indices(indices) = &target.neurons {
                faults.check("neurons", !indices.is_empty(), || {
                    format!("no neuron of population `{}` is selected", population.name)
                });
                if let Some(i) = indices.windows(2).position(|w| w[0] >= w[1]) {
                    let message = format!("indices must ascend, but {} follows {}", indices[i + 1], indices[i]);
                    faults.add("neurons", message);
                }
                if let (Some(size), Some(last)) = (size, indices.iter().max())
                    && u64::from(*last) >= size
                {
                    let message = format!(
                        "neuron {last} does not exist: population `{}` has {size}, numbered from 0",
                        population.name
                    );
                    faults.add("neurons", message);
                }
            }
            if let Some(size) = size {
                chosen.push((population.name.as_str(), selection_len(&target.neurons, size)));
            }
        }
        check_kind(&mut faults, &spec.kind, &chosen);
        faults.found
    }
}

impl Placement {
    /// Number of neurons, unless a fractional density leaves it to chance.
    pub fn exact_size(&self) -> Option<u64> {
        match self {
            Self::Count(n) => Some(u64::from(*n)),
            Self::Positions(points) => Some(points.len() as u64),
            Self::Region { region, density } => {
                (density.fract() == 0.0).then(|| region.cells().saturating_mul(*density as u64))
            }
        }
    }

    /// Number of neurons to expect.
    pub fn expected_size(&self) -> f64 {
        match self {
            Self::Region { region, density } => region.cells() as f64 * density,
            _ => self.exact_size().unwrap_or(0) as f64,
        }
    }
}

fn unknown<'a>(what: &str, spec: &PopulationSpec, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = did_you_mean(name, known.clone()).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    let known: Vec<_> = known.collect();
    let known = if known.is_empty() { "none that can vary".to_owned() } else { known.join(", ") };
    format!("model `{}` has no {what} of this name; it has {known}{hint}", spec.model.name())
}

fn need_positions(faults: &mut Faults, key: &str, population: &PopulationSpec) {
    if matches!(population.placement, Placement::Count(_)) {
        let message = format!("population `{}` has no positions; place it in a region or at points", population.name);
        faults.add(key, message);
    }
}

/// Checks a distribution for `items` items and returns its bounds if it is sound.
fn check_values(faults: &mut Faults, key: &str, values: &Distribution, items: Option<u64>) -> Option<(f64, f64)> {
    if let Err(message) = values.check() {
        faults.add(key, message);
        return None;
    }
    if let Distribution::Values(values) = values {
        if let Some(items) = items
            && items != values.len() as u64
        {
            faults.add(key, format!("the list has {} values; {items} are needed", values.len()));
            return None;
        }
        let summary = WeightSummary::of(values.iter().copied());
        return Some((summary.min, summary.max));
    }
    Some(Sampler::new(values).ok()?.bounds())
}

fn check_rule(
    faults: &mut Faults,
    net: &NetworkSpec,
    spec: &ProjectionSpec,
    sources: Option<u64>,
    targets: Option<u64>,
) {
    let own = u64::from(spec.source == spec.target && !spec.autapses);
    // Distinct partners of a neuron, where the size is known.
    let partners = |size: Option<u64>| size.map(|n| n.saturating_sub(own));
    let probability = |p: f64| (0.0..=1.0).contains(&p);
    let degree = |faults: &mut Faults, n: u32, of: &str, size: Option<u64>| {
        if let Some(there) = partners(size)
            && ((there == 0 && n > 0) || (!spec.multapses && u64::from(n) > there))
        {
            faults.add(
                "n",
                format!(
                    "{n} different {of} are asked for, but there are {there} to choose from; allow multapses or lower n"
                ),
            );
        }
    };
    match &spec.rule {
        ConnectionRule::AllToAll => {}
        ConnectionRule::OneToOne => {
            if let (Some(s), Some(t)) = (sources, targets)
                && s != t
            {
                faults.add(
                    "rule",
                    format!("one_to_one needs populations of one size, but there are {s} sources and {t} targets"),
                );
            }
            if own == 1 {
                faults
                    .add("autapses", "one_to_one within a population makes only self-connections, which are excluded");
            }
        }
        ConnectionRule::Bernoulli { p } => faults.check("p", probability(*p), || format!("{p} is not within 0 to 1")),
        ConnectionRule::FixedIndegree { n } => degree(faults, *n, "sources", sources),
        ConnectionRule::FixedOutdegree { n } => degree(faults, *n, "targets", targets),
        ConnectionRule::FixedTotal { n } => {
            if let (Some(s), Some(t)) = (sources, partners(targets)) {
                let pairs = s.saturating_mul(t);
                if (pairs == 0 && *n > 0) || (!spec.multapses && *n > pairs) {
                    let message =
                        format!("{n} synapses exceed the {pairs} pairs there are; allow multapses or lower n");
                    faults.add("n", message);
                }
                // Out-degrees are 32-bit; ten standard deviations above the mean must fit.
                let mean = *n as f64 / s.max(1) as f64;
                faults.check("n", mean + 10.0 * mean.sqrt() < 4e9, || {
                    format!("{n} synapses from {s} sources are more than 4e9 each")
                });
            }
        }
        ConnectionRule::Distance(rule) => {
            for id in [spec.source, spec.target] {
                need_positions(faults, "rule", &net.populations[id.0]);
            }
            faults.check("p_max", probability(rule.p_max), || format!("{} is not within 0 to 1", rule.p_max));
            faults.check("hop_w", probability(rule.hop_w), || format!("{} is not within 0 to 1", rule.hop_w));
            faults.check("hop_w", rule.hop_w == 1.0 || net.lattice.is_some(), || {
                "a factor a cell along w needs a lattice, and the network has none".into()
            });
            let extent = rule.kernel.extent;
            faults.check("extent", extent.is_finite() && extent > 0.0, || format!("{extent} um is not above 0"));
            faults.check("cutoff", rule.cutoff >= 0.0, || format!("{} um is not 0 or above", rule.cutoff));
            for (scale, axis) in rule.scale.iter().zip(AXES) {
                faults.check("scale", scale.is_finite() && *scale > 0.0, || {
                    format!("the divisor {scale} of axis {axis} is not above 0")
                });
            }
        }
        ConnectionRule::Edges(edges) => {
            faults.check("edges", edges.len() as u64 <= MOST_NEURONS, || {
                format!(
                    "a list of {} edges is longer than {MOST_NEURONS}; split it into several projections",
                    edges.len()
                )
            });
            let mut refuse = |what: &str, bad: &dyn Fn(&super::Edge) -> bool, say: &dyn Fn(&super::Edge) -> String| {
                if let Some(i) = edges.iter().position(bad) {
                    let others = edges.iter().filter(|e| bad(e)).count() - 1;
                    let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
                    faults.add(what, format!("edge {i}: {}{more}", say(&edges[i])));
                }
            };
            if let Some(n) = sources {
                let say =
                    |e: &super::Edge| format!("source {} does not exist; there are {n}, numbered from 0", e.source);
                refuse("edges", &|e| u64::from(e.source) >= n, &say);
            }
            if let Some(n) = targets {
                let say =
                    |e: &super::Edge| format!("target {} does not exist; there are {n}, numbered from 0", e.target);
                refuse("edges", &|e| u64::from(e.target) >= n, &say);
            }
            refuse("edges", &|e| e.weight.is_infinite(), &|e| format!("weight {} is not finite", e.weight));
            refuse("edges", &|e| e.delay.is_infinite() || e.delay <= 0.0, &|e| {
                format!("delay {} ms must be above 0", e.delay)
            });
        }
    }
}

fn check_kind(faults: &mut Faults, kind: &StimulusKind, chosen: &[(&str, u64)]) {
    let nonnegative = |faults: &mut Faults, key: &str, x: f64, unit: &str| {
        faults.check(key, x.is_finite() && x >= 0.0, || format!("{x} {unit} is not 0 or above"));
    };
    let positive = |faults: &mut Faults, key: &str, x: f64, unit: &str| {
        faults.check(key, x.is_finite() && x > 0.0, || format!("{x} {unit} is not above 0"));
    };
    let finite = |faults: &mut Faults, key: &str, x: f64| {
        faults.check(key, x.is_finite(), || format!("{x} is not a finite number"));
    };
    match kind {
        StimulusKind::Poisson { weight, .. } => finite(faults, "weight", *weight),
        StimulusKind::Dc => {}
        StimulusKind::Ac { frequency, phase, offset } => {
            nonnegative(faults, "frequency", *frequency, "Hz");
            finite(faults, "phase", *phase);
            finite(faults, "offset", *offset);
        }
        StimulusKind::Steps { times, amplitudes } => {
            faults.check("amplitudes", times.len() == amplitudes.len(), || {
                format!("there are {} amplitudes for {} times", amplitudes.len(), times.len())
            });
            if let Some(i) = times.windows(2).position(|w| w[0].partial_cmp(&w[1]) != Some(std::cmp::Ordering::Less)) {
                faults.add("times", format!("times must ascend, but {} ms follows {} ms", times[i + 1], times[i]));
            }
            times.iter().for_each(|t| nonnegative(faults, "times", *t, "ms"));
            amplitudes.iter().for_each(|a| finite(faults, "amplitudes", *a));
        }
        StimulusKind::Noise { sd, interval } => {
            nonnegative(faults, "sd", *sd, "pA");
            positive(faults, "interval", *interval, "ms");
        }
        StimulusKind::OrnsteinUhlenbeck { sd, tau } => {
            nonnegative(faults, "sd", *sd, "pA");
            positive(faults, "tau", *tau, "ms");
        }
        StimulusKind::Spikes { events, weight, .. } => {
            finite(faults, "weight", *weight);
            if let Some((time, _)) = events.iter().find(|(time, _)| !(time.is_finite() && *time >= 0.0)) {
                faults.add("events", format!("a spike at {time} ms is not at a time of 0 or above"));
            }
            if let Some(i) = events.windows(2).position(|w| w[0].0 > w[1].0) {
                let message =
                    format!("events must ascend in time, but {} ms follows {} ms", events[i + 1].0, events[i].0);
                faults.add("events", message);
            }
            if let Some(largest) = events.iter().map(|(_, i)| *i).max() {
                for (name, n) in chosen.iter().filter(|(_, n)| u64::from(largest) >= *n) {
                    faults.add("events", format!("index {largest} is not among the {n} selected neurons of `{name}`"));
                }
            }
        }
        StimulusKind::Matrix { values, columns, interval } => {
            positive(faults, "interval", *interval, "ms");
            if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                faults.add("values", format!("value {} at index {i} is not a finite number", values[i]));
            }
            if *columns == 0 || values.len() % columns != 0 {
                faults.add("values", format!("{} values do not make rows of {columns}", values.len()));
            }
            for (name, n) in chosen.iter().filter(|(_, n)| *n != *columns as u64) {
                faults.add("values", format!("rows have {columns} columns, but {n} neurons of `{name}` are selected"));
            }
        }
    }
}
