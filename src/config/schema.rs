//! The JSON Schema of the file, written from the key tables and the models' own tables.

use super::keys::{DISTRIBUTION, Key, Kind, Range, TABLES};
use super::neurons::range_of;
use super::tree::parse_default;
use crate::neuron::{self, ModelInfo};
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of configuration files, for editors that complete and check while typing.
pub fn schema() -> Value {
    let mut properties = Map::new();
    for table in &TABLES {
        let mut one = match table.name {
            "paths" => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            "neuron" => neuron_table(table.keys),
            "population" => population_table(table.keys),
            _ => object(table.keys),
        };
        if table.named {
            one = json!({ "type": "object", "additionalProperties": one });
        }
        one["description"] = table.doc.into();
        properties.insert(table.name.into(), one);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tessera configuration",
        "type": "object",
        "properties": properties,
        "required": ["population"],
        "additionalProperties": false,
        "$defs": { "distribution": object(&DISTRIBUTION) },
    })
}

fn object(keys: &[Key]) -> Value {
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({ "type": "object", "properties": properties(keys), "required": required, "additionalProperties": false })
}

fn properties(keys: &[Key]) -> Map<String, Value> {
    keys.iter()
        .map(|key| {
            let mut schema = of_kind(&key.kind);
            schema["description"] = key.doc.into();
            if let Some(default) = key.default {
                schema["default"] = parse_default(default).json();
            }
            (key.name.to_owned(), schema)
        })
        .collect()
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Quantity(unit, range) => quantity(unit, *range),
        Kind::InUnit(range) => quantity("", *range),
        Kind::Integer(low, high) if *high == i64::MAX => json!({ "type": "integer", "minimum": low }),
        Kind::Integer(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Text | Kind::File | Kind::Name(_) => json!({ "type": "string" }),
        Kind::Choice(words) => {
            // Words that are numbers may be written without quotes.
            let numbers = words.iter().filter_map(|word| word.parse::<i64>().ok()).map(Value::from);
            json!({ "enum": words.iter().map(|word| Value::from(*word)).chain(numbers).collect::<Vec<_>>() })
        }
        Kind::Names(_) => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] })
        }
        Kind::List(item, low, high) => {
            let mut list = json!({ "type": "array", "items": of_kind(item), "minItems": low });
            if *high != usize::MAX {
                list["maxItems"] = (*high).into();
            }
            list
        }
        Kind::OneOrList(item, _) => json!({ "anyOf": [of_kind(item), { "type": "array", "items": of_kind(item) }] }),
        Kind::Cells(item) => {
            let one = of_kind(item);
            json!({ "anyOf": [
                one.clone(),
                { "type": "array", "items": one.clone() },
                { "type": "array", "items": { "type": "array", "items": one } },
            ] })
        }
        Kind::Distribution(_) => distribution(),
        Kind::Table([]) => json!({ "type": "object", "additionalProperties": distribution() }),
        Kind::Table(keys) => object(keys),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(of_kind).collect::<Vec<_>>() }),
    }
}

fn quantity(unit: &str, range: Range) -> Value {
    // A text may carry any prefix, so that only plain numbers can be bounded here.
    let mut number = json!({ "type": "number" });
    match range {
        Range::Any => {}
        Range::Positive => number["exclusiveMinimum"] = 0.into(),
        Range::NonNegative => number["minimum"] = 0.into(),
        Range::Between(low, high) => {
            number["minimum"] = low.into();
            number["maximum"] = high.into();
        }
    }
    if !unit.is_empty() {
        number["description"] = unit.into();
    }
    json!({ "anyOf": [number, { "type": "string" }] })
}

fn distribution() -> Value {
    json!({ "anyOf": [{ "type": ["number", "string"] }, { "$ref": "#/$defs/distribution" }] })
}

/// Parameters and options of a model.
fn settings(info: &ModelInfo) -> Map<String, Value> {
    let mut map = Map::new();
    for parameter in info.parameters {
        let plain = quantity(parameter.unit, range_of(parameter.allowed));
        let schema = json!({
            "anyOf": [plain, { "$ref": "#/$defs/distribution" }],
            "description": parameter.doc,
            "default": parameter.default,
        });
        map.insert(parameter.name.into(), schema);
    }
    for option in info.options {
        map.insert(
            option.name.into(),
            json!({ "enum": option.allowed, "default": option.default, "description": option.doc }),
        );
    }
    map
}

fn initial(info: &ModelInfo) -> Value {
    let variables: Map<String, Value> =
        info.variables.iter().map(|variable| (variable.name.to_owned(), distribution())).collect();
    json!({ "type": "object", "properties": variables, "additionalProperties": false })
}

fn neuron_table(keys: &[Key]) -> Value {
    let variants: Vec<Value> = neuron::registry()
        .iter()
        .map(|info| {
            let mut properties = properties(keys);
            properties.insert("model".into(), json!({ "const": info.name, "description": info.doc }));
            properties.insert("initial".into(), initial(info));
            properties.extend(settings(info));
            json!({ "type": "object", "properties": properties, "required": ["model"], "additionalProperties": false })
        })
        .collect();
    json!({ "oneOf": variants })
}

fn population_table(keys: &[Key]) -> Value {
    let mut table = object(keys);
    // Which model a population has stands in another table, so that the settings of all models are allowed here.
    for info in neuron::registry() {
        for (name, _) in settings(info) {
            table["properties"][&name] =
                json!({ "anyOf": [{ "type": ["number", "string"] }, { "$ref": "#/$defs/distribution" }] });
        }
    }
    table
}
