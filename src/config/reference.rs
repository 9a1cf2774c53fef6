//! The reference of all keys as Markdown, written from the same tables as the checks.

use super::keys::{DISTANCE_DELAY, DISTRIBUTION, EXCEPTION, IDS, Key, Kind, NEURON_CHOICE, Range, SELECT, TABLES};
use super::neurons::range_of;
use super::quantity::show;
use crate::neuron::{self, ModelInfo, ParamColumn, ParamTable};
use std::fmt::Write as _;

/// Every table, key, unit, default and allowed value, and every neuron model, as Markdown.
pub fn reference() -> String {
    let mut out = String::new();
    for table in &TABLES {
        let title = if table.named { format!("{}.NAME", table.name) } else { table.name.to_owned() };
        section(&mut out, &format!("`[{title}]`"), table.doc, table.keys);
    }
    let parts: [(&str, &str, &[Key]); 6] = [
        ("Distributions", "A table in place of a quantity: values are drawn, or read from a file.", &DISTRIBUTION),
        ("Delays by distance", "A table in place of a delay.", &DISTANCE_DELAY),
        ("Choices of neurons", "A table in place of \"all\" or a list of numbers.", &NEURON_CHOICE),
        ("`ids` of a population", "Neurons that a table lists.", &IDS),
        ("`select` of a stimulus", "Neurons by a column of a table.", &SELECT),
        ("`except` of a projection", "Each entry of the list names pairs and what is different for them.", &EXCEPTION),
    ];
    for (title, doc, keys) in parts {
        section(&mut out, title, doc, keys);
    }
    out.push_str("### Neuron models\n\n");
    for info in neuron::registry() {
        model(&mut out, info);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn section(out: &mut String, title: &str, doc: &str, keys: &[Key]) {
    let _ = write!(out, "### {title}\n\n{doc}\n\n");
    if keys.is_empty() {
        return;
    }
    out.push_str("| key | takes | default | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let default = match (key.default, key.required) {
            (Some(default), _) => format!("`{default}`"),
            (None, true) => "required".to_owned(),
            (None, false) => String::new(),
        };
        let _ = writeln!(out, "| `{}` | {} | {default} | {} |", key.name, escaped(&takes(&key.kind)), escaped(key.doc));
    }
    out.push('\n');
}

fn model(out: &mut String, info: &ModelInfo) {
    let _ = write!(out, "#### `{}`\n\n{}\n\n", info.name, info.doc);
    if !info.parameters.is_empty() || !info.options.is_empty() {
        out.push_str("| parameter | takes | default | meaning |\n|---|---|---|---|\n");
        for parameter in info.parameters {
            let takes = quantity(parameter.unit, range_of(parameter.allowed));
            let default = show(parameter.default, parameter.unit);
            let _ = writeln!(out, "| `{}` | {takes} | {default} | {} |", parameter.name, escaped(parameter.doc));
        }
        for option in info.options {
            let takes = words(option.allowed);
            let _ = writeln!(out, "| `{}` | {takes} | `{}` | {} |", option.name, option.default, escaped(option.doc));
        }
        out.push('\n');
    }
    if !info.variables.is_empty() {
        let list: Vec<String> = info
            .variables
            .iter()
            .map(|v| if v.unit.is_empty() { format!("`{}`", v.name) } else { format!("`{}` ({})", v.name, v.unit) })
            .collect();
        let _ = write!(out, "State variables with default parameters: {}.\n\n", list.join(", "));
    }
    if let Ok(model) = info.build(&[], &[]) {
        let columns = model.values().into_iter().map(ParamColumn::Uniform).collect();
        let list: Vec<String> = model
            .receptors(&ParamTable { len: 1, columns })
            .iter()
            .map(|r| if r.unit.is_empty() { format!("`{}`", r.name) } else { format!("`{}` ({})", r.name, r.unit) })
            .collect();
        if !info.is_source {
            let _ = write!(out, "Receptors and the unit of their weights: {}.\n\n", list.join(", "));
        }
    }
    let _ = write!(out, "After {}.\n\n", info.reference);
}

fn quantity(unit: &str, range: Range) -> String {
    let unit = if unit.is_empty() { "number".to_owned() } else { unit.to_owned() };
    match range {
        Range::Any => unit,
        range => format!("{unit}, {}", range.describe()),
    }
}

fn words(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn takes(kind: &Kind) -> String {
    match kind {
        Kind::Quantity(unit, range) => quantity(unit, *range),
        Kind::InUnit(range) => format!(
            "in the quantity's unit{}",
            match range {
                Range::Any => String::new(),
                range => format!(", {}", range.describe()),
            }
        ),
        Kind::Integer(low, high) if *high == i64::MAX => format!("whole number, {low} or above"),
        Kind::Integer(low, high) => format!("whole number, {low} to {high}"),
        Kind::Bool => "`true`, `false`".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::File => "file".to_owned(),
        Kind::Choice(choices) => words(choices),
        Kind::Name(what) => format!("name of a {what}"),
        Kind::Names(what) => format!("name of a {what}, or a list"),
        Kind::List(item, low, high) if low == high => format!("list of {low}: {}", takes(item)),
        Kind::List(item, _, _) => format!("list: {}", takes(item)),
        Kind::OneOrList(item, what) => format!("{}; or a list, one for each {what}", takes(item)),
        Kind::Cells(item) => format!("{}; or a list, one for each source; or a matrix, rows = targets", takes(item)),
        Kind::Distribution(unit) => format!("{unit}; or a distribution"),
        Kind::Table([]) => "table".to_owned(),
        Kind::Table(keys) => {
            format!("table: {}", keys.iter().map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", "))
        }
        Kind::Either(kinds) => kinds.iter().map(takes).collect::<Vec<_>>().join("; or "),
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
