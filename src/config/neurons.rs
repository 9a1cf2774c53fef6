//! `[neuron.NAME]`: a model with parameter values, options and initial values.

use super::distribution;
use super::keys::{NEURON, Range};
use super::reader::{Context, Section, unknown};
use super::tree::{Node, Place, Table, join};
use crate::model::Distribution;
use crate::neuron::{self, Allowed, ModelInfo, NeuronModel};
use serde_json::{Map, Value};

/// Something set for a model, and where.
#[derive(Debug, Clone)]
pub(super) struct Setting<T> {
    pub(super) name: String,
    pub(super) value: T,
    pub(super) key: String,
    pub(super) place: Place,
}

/// What one table says about a model.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) info: &'static ModelInfo,
    pub(super) params: Vec<Setting<Distribution>>,
    pub(super) options: Vec<Setting<String>>,
    /// Read once the model is built: which variables there are may depend on its parameters.
    pub(super) initial: Vec<Setting<Node>>,
}

/// A `[neuron]` table; without settings if its model is not known.
#[derive(Debug)]
pub(super) struct NeuronTable {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) settings: Option<Settings>,
}

/// Names of all models.
pub(super) fn model_names() -> Vec<&'static str> {
    neuron::registry().iter().map(|info| info.name).collect()
}

/// Reads every `[neuron]` table.
pub(super) fn read_all(ctx: &Context, root: &Table, resolved: &mut Map<String, Value>) -> Vec<NeuronTable> {
    let mut tables = Vec::new();
    let mut maps = Map::new();
    for (name, section) in Section::all(ctx, root, "neuron", &NEURON) {
        let model = section.text("model");
        let info = model.as_deref().and_then(neuron::find);
        if let (Some(model), None) = (&model, info) {
            section.fault("model", unknown("neuron model", model, model_names()));
        }
        let map = match info {
            Some(info) => {
                let settings = Settings::read(&section, info);
                for parameter in info.parameters {
                    section.resolve(parameter.name, parameter.default);
                }
                for option in info.options {
                    section.resolve(option.name, option.default);
                }
                tables.push(NeuronTable { name: name.clone(), place: section.place, settings: Some(settings) });
                section.finish_with(None, &setting_names(info))
            }
            None => {
                tables.push(NeuronTable { name: name.clone(), place: section.place, settings: None });
                section.table().entries.iter().map(|(key, node)| (key.clone(), node.json())).collect()
            }
        };
        maps.insert(name, map.into());
    }
    if !maps.is_empty() {
        resolved.insert("neuron".into(), maps.into());
    }
    tables
}

/// Names of the parameters and options of a model.
pub(super) fn setting_names(info: &ModelInfo) -> Vec<&'static str> {
    info.parameters.iter().map(|p| p.name).chain(info.options.iter().map(|o| o.name)).collect()
}

/// The range of a parameter, as this layer states it.
pub(super) fn range_of(allowed: Allowed) -> Range {
    match allowed {
        Allowed::Any => Range::Any,
        Allowed::Positive => Range::Positive,
        Allowed::NonNegative => Range::NonNegative,
    }
}

impl Settings {
    /// A model with nothing set.
    pub(super) fn defaults(info: &'static ModelInfo) -> Self {
        Self { info, params: Vec::new(), options: Vec::new(), initial: Vec::new() }
    }

    /// Parameters, options and initial values that a table sets.
    pub(super) fn read(section: &Section<'_>, info: &'static ModelInfo) -> Self {
        let mut settings = Self::defaults(info);
        for parameter in info.parameters {
            let Some(node) = section.table().get(parameter.name) else { continue };
            section.mark(parameter.name);
            let key = section.path_of(parameter.name);
            let range = range_of(parameter.allowed);
            if let Some(value) = distribution::read(section.ctx, node, &key, parameter.unit, range) {
                settings.params.push(Setting { name: parameter.name.to_owned(), value, key, place: node.place });
            }
        }
        for option in info.options {
            let Some(node) = section.table().get(option.name) else { continue };
            section.mark(option.name);
            let key = section.path_of(option.name);
            if let Some(word) = section.ctx.choice(node, &key, option.allowed) {
                settings.options.push(Setting {
                    name: option.name.to_owned(),
                    value: word.to_owned(),
                    key,
                    place: node.place,
                });
            }
        }
        if let Some(node) = section.get("initial") {
            let path = section.path_of("initial");
            for (name, node) in section.ctx.table(&node, &path).map_or(&[][..], |table| &table.entries) {
                let key = join(&path, name);
                settings.initial.push(Setting { name: name.clone(), value: node.clone(), key, place: node.place });
            }
        }
        settings
    }

    /// Initial values, for the state variables that the built model has.
    pub(super) fn initial_of(&self, ctx: &Context, model: &dyn NeuronModel) -> Vec<Setting<Distribution>> {
        let mut out = Vec::new();
        for Setting { name, value: node, key, place } in &self.initial {
            match model.variables().iter().find(|variable| variable.name == name) {
                Some(variable) => {
                    if let Some(value) = distribution::read(ctx, node, key, variable.unit, Range::Any) {
                        out.push(Setting { name: name.clone(), value, key: key.clone(), place: *place });
                    }
                }
                None => {
                    let what = format!("state variable of `{}`", model.name());
                    ctx.fault(
                        key,
                        *place,
                        unknown(&what, name, model.variables().iter().map(|variable| variable.name)),
                    );
                }
            }
        }
        out
    }

    /// These settings with those of `above` laid over them.
    pub(super) fn overlaid(&self, above: &Self) -> Self {
        fn lay<T: Clone>(below: &[Setting<T>], above: &[Setting<T>]) -> Vec<Setting<T>> {
            let mut out: Vec<Setting<T>> =
                below.iter().filter(|s| above.iter().all(|a| a.name != s.name)).cloned().collect();
            out.extend(above.iter().cloned());
            out
        }
        Self {
            info: self.info,
            params: lay(&self.params, &above.params),
            options: lay(&self.options, &above.options),
            initial: lay(&self.initial, &above.initial),
        }
    }
}
