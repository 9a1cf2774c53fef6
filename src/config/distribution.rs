//! Distributions, columns and choices of neurons as the file writes them.

use super::datafile::noted_at;
use super::keys::{DISTRIBUTION, NEURON_CHOICE, Range};
use super::quantity::show;
use super::reader::{Context, Section};
use super::tree::{Node, Value};
use crate::interop::table::{Column, number_column};
use crate::metrics::available_memory;
use crate::model::{Distribution, Selection};

/// A quantity in `unit`, or a table that describes how values are distributed. `range` holds for every value.
pub(super) fn read(ctx: &Context, node: &Node, key: &str, unit: &str, range: Range) -> Option<Distribution> {
    let Value::Table(table) = &node.value else {
        return ctx.number(node, key, unit, range).map(Distribution::Constant);
    };
    let section = Section::new(ctx, key, node.place, table, &DISTRIBUTION);
    if section.has("file") {
        return values(section, range, unit);
    }
    if !section.has("dist") {
        let message = "the table needs `dist` (normal, lognormal, uniform) or `file`";
        ctx.fault(key, node.place, message);
        section.finish(None);
        return None;
    }
    let dist = section.choice("dist")?;
    let needed = |name: &str| {
        if section.has(name) {
            section.quantity_in(name, unit, Range::Any)
        } else {
            section.fault(name, format!("`{name}` is missing; a {dist} distribution needs it"));
            None
        }
    };
    let read = match dist {
        "normal" => {
            let mean = needed("mean");
            let sd = mean.and_then(|mean| spread(&section, mean, unit));
            let low =
                if section.has("min") { section.quantity_in("min", unit, Range::Any) } else { Some(f64::NEG_INFINITY) };
            let high =
                if section.has("max") { section.quantity_in("max", unit, Range::Any) } else { Some(f64::INFINITY) };
            let (mean, sd, low, high) = (mean?, sd?, low?, high?);
            if low >= high {
                section.fault("min", format!("{} is not below max ({})", show(low, unit), show(high, unit)));
                return None;
            }
            if low > mean + 8.0 * sd || high < mean - 8.0 * sd {
                section.fault("min", "min and max leave out practically the whole distribution");
                return None;
            }
            Distribution::Normal { mean, sd, low, high }
        }
        "lognormal" => {
            let mean = needed("mean");
            let sd = mean.and_then(|mean| spread(&section, mean, unit));
            let (mean, sd) = (mean?, sd?);
            if mean <= 0.0 {
                section
                    .fault("mean", format!("{} is out of range; the mean of a lognormal is above 0", show(mean, unit)));
                return None;
            }
            Distribution::Lognormal { mean, sd }
        }
        _ => {
            let (low, high) = (needed("low"), needed("high"));
            let (low, high) = (low?, high?);
            if low >= high {
                section.fault("low", format!("{} is not below high ({})", show(low, unit), show(high, unit)));
                return None;
            }
            Distribution::Uniform { low, high }
        }
    };
    let smallest = match &read {
        Distribution::Uniform { low, .. } | Distribution::Normal { low, .. } => *low,
        _ => 0.0,
    };
    // The distributions are continuous: a lower end of exactly 0 gives values above 0.
    let reaches_below = match range {
        Range::Positive | Range::NonNegative => smallest < 0.0,
        Range::Between(low, high) => {
            smallest < low || matches!(read, Distribution::Uniform { high: top, .. } if top > high)
        }
        Range::Any => false,
    };
    if reaches_below {
        let message = format!(
            "`{}` gives values out of range; allowed is {}. Restrict it with min (normal) or low (uniform)",
            node.shown(),
            range.describe()
        );
        ctx.fault(key, node.place, message);
        return None;
    }
    section.finish(Some(&format!("on a {dist} distribution")));
    Some(read)
}

/// The standard deviation; one in per cent is relative to the mean.
fn spread(section: &Section<'_>, mean: f64, unit: &str) -> Option<f64> {
    let Some(node) = section.get("sd") else {
        section.fault("sd", "`sd` is missing; it is the standard deviation");
        return None;
    };
    let relative = matches!(&node.value, Value::Text(text) if text.trim_end().ends_with('%'));
    if relative {
        return Some(section.quantity_in("sd", "", Range::NonNegative)? * mean.abs());
    }
    section.quantity_in("sd", unit, Range::NonNegative)
}

fn values(section: Section<'_>, range: Range, unit: &str) -> Option<Distribution> {
    let path = section.file("file");
    let column = column(&section, "column");
    let place = section.place_of("file");
    let (ctx, key) = (section.ctx, section.path_of("file"));
    section.finish(Some("where values come from a file"));
    let values = noted_at(ctx, &key, place, number_column(path?, &column?))?;
    if let Some((i, bad)) = values.iter().enumerate().find(|(_, x)| !range.contains(**x)) {
        let message = format!("value {} is {}; allowed is {}", i + 1, show(*bad, unit), range.describe());
        ctx.fault(&key, place, message);
        return None;
    }
    Some(Distribution::Values(values.into()))
}

/// A column by name or number; the first where the key is absent.
pub(super) fn column(section: &Section<'_>, name: &str) -> Option<Column> {
    let Some(node) = section.get(name) else { return (!section.has(name)).then_some(Column::Number(1)) };
    match &node.value {
        Value::Text(text) => Some(Column::Name(text.clone())),
        _ => section.ctx.integer(&node, &section.path_of(name), 1, 65_536).map(|n| Column::Number(n as usize)),
    }
}

/// A typical value of a distribution, for checks that need one number.
pub(super) fn typical(distribution: &Distribution) -> f64 {
    match distribution {
        Distribution::Constant(x) => *x,
        Distribution::Uniform { low, high } => 0.5 * (low + high),
        Distribution::Normal { mean, low, high, .. } => mean.clamp(*low, *high),
        Distribution::Lognormal { mean, .. } => *mean,
        Distribution::Values(values) => values.first().copied().unwrap_or(0.0),
    }
}

/// Which neurons of a population of `size`: "all", a list, or a table with `first`, `range`, `every`.
pub(super) fn selection(ctx: &Context, node: &Node, key: &str, population: &str, size: u32) -> Option<Selection> {
    let in_range = |n: i64| {
        if n < i64::from(size) {
            return Some(n as u32);
        }
        let message = format!("neuron {n} is out of range; population `{population}` has {size}, numbered from 0");
        ctx.fault(key, node.place, message);
        None
    };
    match &node.value {
        Value::Text(text) if text == "all" => Some(Selection::All),
        Value::List(items) if !items.is_empty() => {
            let numbers: Option<Vec<i64>> =
                items.iter().map(|item| ctx.integer(item, key, 0, i64::from(u32::MAX))).collect();
            let mut indices: Vec<u32> = numbers?.into_iter().map(in_range).collect::<Option<_>>()?;
            indices.sort_unstable();
            indices.dedup();
            Some(Selection::Indices(indices.into()))
        }
        Value::Table(table) => {
            let section = Section::new(ctx, key, node.place, table, &NEURON_CHOICE);
            let (mut from, mut to) = (0, i64::from(size));
            if section.has("range") {
                let range = section.integers("range")?;
                if range[0] >= range[1] || range[1] > i64::from(size) {
                    let message = format!(
                        "[{}, {}] is not a range of population `{population}`, which has {size} neurons",
                        range[0], range[1]
                    );
                    section.fault("range", message);
                    return None;
                }
                (from, to) = (range[0], range[1]);
            }
            let every = if section.has("every") { section.integer("every")? } else { 1 };
            let first = if section.has("first") { section.integer("first")? } else { i64::MAX };
            if first != i64::MAX && first > i64::from(size) {
                section
                    .fault("first", format!("`{first}` is out of range; population `{population}` has {size} neurons"));
                return None;
            }
            section.finish(None);
            if (from, every) == (0, 1) && to == i64::from(size) && first >= to {
                return Some(Selection::All);
            }
            let chosen = ((to - from + every - 1) / every).min(first).unsigned_abs();
            let bytes = chosen * size_of::<u32>() as u64;
            if let Some(available) = available_memory().filter(|available| bytes > available / 2) {
                let message = format!(
                    "a choice of {chosen} neurons takes {} GB; {} GB of memory are available",
                    bytes >> 30,
                    available >> 30
                );
                ctx.fault(key, node.place, message);
                return None;
            }
            let indices: Vec<u32> = (from..to).step_by(every as usize).take(first as usize).map(|i| i as u32).collect();
            if indices.len() == size as usize { Some(Selection::All) } else { Some(Selection::Indices(indices.into())) }
        }
        _ => {
            let message = format!(
                "`{}` is not a choice of neurons; write \"all\", a list of numbers, or a table with first, range or every",
                node.shown()
            );
            ctx.fault(key, node.place, message);
            None
        }
    }
}
