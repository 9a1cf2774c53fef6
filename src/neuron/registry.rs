//! The models that come with the library: their descriptions, and how one is built from named values.

use super::dynamics::out_of_range_message;
use super::{NeuronModel, Parameter, Variable};
use crate::error::did_you_mean;
use std::sync::Arc;

/// An option of a model that is not a number, for example its integration method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelOption {
    /// Name, for example `integrator`.
    pub name: &'static str,
    /// Texts it takes.
    pub allowed: &'static [&'static str],
    /// Text where the user gives none.
    pub default: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
}

/// Description of a model, for configuration and documentation.
#[derive(Debug, Clone, Copy)]
pub struct ModelInfo {
    /// Name as configuration files use it.
    pub name: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
    /// Parameters, in the order of [`NeuronModel::parameters`].
    pub parameters: &'static [Parameter],
    /// State variables that neurons with default values have.
    pub variables: &'static [Variable],
    /// Options that are not numbers.
    pub options: &'static [ModelOption],
    /// The paper the model goes back to.
    pub reference: &'static str,
    /// Whether neurons of the model only send spikes.
    pub is_source: bool,
    /// What the model needs besides numbers and options, if anything; [`build`](Self::build) then refuses.
    pub needs: Option<&'static str>,
    pub(super) make: Make,
}

/// How a model is made from its description, named values and options.
pub(super) type Make = fn(&ModelInfo, &[(&str, f64)], &[(&str, &str)]) -> Built;

/// A model, or every fault of what it was to be built from: the key and a sentence.
pub type Built = Result<Arc<dyn NeuronModel>, Vec<(String, String)>>;

impl ModelInfo {
    /// Builds the model with the named values and options; what is not named keeps its default.
    ///
    /// # Errors
    /// Every unknown name (with the nearest known one), every value out of its range and every unknown option text.
    /// Combinations that depend on the time step are left to [`NeuronModel::check`].
    ///
    /// ```
    /// let info = tessera::neuron::find("lif_psc_exp").unwrap();
    /// assert!(info.build(&[("tau_m", 20.0)], &[]).is_ok());
    /// let faults = info.build(&[("tau_mm", 20.0)], &[]).unwrap_err();
    /// assert!(faults[0].1.contains("did you mean `tau_m`"));
    /// ```
    pub fn build(&self, values: &[(&str, f64)], options: &[(&str, &str)]) -> Built {
        (self.make)(self, values, options)
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> =
            self.parameters.iter().map(|p| p.name).chain(self.options.iter().map(|o| o.name)).collect();
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None if known.is_empty() => "; it has none".to_owned(),
            None => format!("; it has {}", known.join(", ")),
        };
        format!("model `{}` has no parameter or option `{name}`{hint}", self.name)
    }
}

/// A model that can be built from named values: implemented by the macro `parameters!`.
pub(super) trait Named: NeuronModel + Default + 'static {
    /// The field of that name.
    fn field(&mut self, name: &str) -> Option<&mut f64>;
    /// Sets an option; false if the option does not take that text.
    fn choose(&mut self, option: &str, text: &str) -> bool;
}

/// The `make` of every model that needs numbers and options only.
pub(super) fn make<M: Named>(info: &ModelInfo, values: &[(&str, f64)], options: &[(&str, &str)]) -> Built {
    let mut model = M::default();
    let mut faults = Vec::new();
    for (name, value) in values {
        match (model.field(name), info.parameters.iter().find(|p| p.name == *name)) {
            (Some(field), Some(parameter)) if parameter.allowed.contains(*value) => *field = *value,
            (Some(_), Some(parameter)) => {
                faults.push((name.to_string(), out_of_range_message(*value, parameter.unit, parameter.allowed)));
            }
            _ => faults.push((name.to_string(), info.unknown(name))),
        }
    }
    for (name, text) in options {
        match info.options.iter().find(|o| o.name == *name) {
            None => faults.push((name.to_string(), info.unknown(name))),
            Some(option) if !model.choose(name, text) => {
                let hint = did_you_mean(text, option.allowed.iter().copied())
                    .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                let allowed = option.allowed.join(", ");
                faults.push((name.to_string(), format!("`{text}` is unknown; allowed are {allowed}{hint}")));
            }
            Some(_) => {}
        }
    }
    if faults.is_empty() { Ok(Arc::new(model)) } else { Err(faults) }
}

/// An enum whose values users name by a text.
pub(super) trait Choice: Sized + Copy + Default + PartialEq {
    /// All texts, the default's first.
    const TEXTS: &'static [&'static str];
    /// The value of a text.
    fn parse(text: &str) -> Option<Self>;
    /// The text of the value.
    fn text(self) -> &'static str;
}

/// Defines an option's enum: variants with the text that names each. The first is the default.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $(#[$first_meta:meta])* $first:ident = $first_text:literal, $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $($(#[$variant_meta])* $variant,)*
        }
        impl $crate::neuron::registry::Choice for $name {
            const TEXTS: &'static [&'static str] = &[$first_text $(, $text)*];
            fn parse(text: &str) -> Option<Self> {
                match text {
                    $first_text => Some(Self::$first),
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
            fn text(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}
pub(super) use choice;

/// Defines a model's struct from its parameters (documentation, name, unit, default, allowed range) and options:
/// the public fields, the default value, the parameter table and access by name and by order.
macro_rules! parameters {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $unit:literal = $default:expr, $allowed:ident;)*
            $(option $(#[doc = $option_doc:literal])+ $option:ident: $choice:ty;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ #[doc = concat!("(", $unit, ")")] pub $field: f64,)*
            $($(#[doc = $option_doc])+ pub $option: $choice,)*
        }

        impl $name {
            /// The parameters, in the order of the fields.
            pub const PARAMETERS: &'static [$crate::neuron::Parameter] = &[$($crate::neuron::Parameter {
                name: stringify!($field),
                unit: $unit,
                default: $default,
                allowed: $crate::neuron::Allowed::$allowed,
                doc: concat!($($doc),+).trim_ascii(),
            }),*];

            /// The options that are not numbers.
            pub const OPTIONS: &'static [$crate::neuron::ModelOption] = &[$($crate::neuron::ModelOption {
                name: stringify!($option),
                allowed: <$choice as $crate::neuron::registry::Choice>::TEXTS,
                default: <$choice as $crate::neuron::registry::Choice>::TEXTS[0],
                doc: concat!($($option_doc),+).trim_ascii(),
            }),*];

            /// The same model with the parameter values of one neuron, in the order of the fields.
            #[allow(dead_code, unused_mut, unused_variables)]
            fn with(&self, values: &[f64]) -> Self {
                let mut values = values.iter().copied();
                let mut model = self.clone();
                $(model.$field = values.next().expect("one value a parameter");)*
                model
            }

            #[allow(dead_code)]
            fn in_order(&self) -> Vec<f64> {
                vec![$(self.$field),*]
            }

            #[allow(dead_code)]
            fn chosen(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($option), $crate::neuron::registry::Choice::text(self.$option))),*]
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* $($option: <$choice>::default(),)* }
            }
        }

        impl $crate::neuron::registry::Named for $name {
            #[allow(unused_variables)]
            fn field(&mut self, name: &str) -> Option<&mut f64> {
                match name {
                    $(stringify!($field) => Some(&mut self.$field),)*
                    _ => None,
                }
            }
            #[allow(unused_variables)]
            fn choose(&mut self, option: &str, text: &str) -> bool {
                match option {
                    $(stringify!($option) => {
                        let value = <$choice as $crate::neuron::registry::Choice>::parse(text);
                        if let Some(value) = value {
                            self.$option = value;
                        }
                        value.is_some()
                    })*
                    _ => false,
                }
            }
        }
    };
}
pub(super) use parameters;

/// The methods of [`NeuronModel`] that are the same for every model made by `parameters!` with a method
/// `stepper<T: Real>`.
macro_rules! numeric_model {
    ($name:literal) => {
        fn name(&self) -> &str {
            $name
        }
        fn parameters(&self) -> &[$crate::neuron::Parameter] {
            Self::PARAMETERS
        }
        fn values(&self) -> Vec<f64> {
            self.in_order()
        }
        fn options(&self) -> Vec<(&'static str, &'static str)> {
            self.chosen()
        }
        fn stepper_f32(
            &self,
            prepare: &$crate::neuron::Prepare<'_>,
        ) -> $crate::error::Result<Box<dyn $crate::neuron::Stepper<f32>>> {
            self.stepper(prepare)
        }
        fn stepper_f64(
            &self,
            prepare: &$crate::neuron::Prepare<'_>,
        ) -> $crate::error::Result<Box<dyn $crate::neuron::Stepper<f64>>> {
            self.stepper(prepare)
        }
    };
}
pub(super) use numeric_model;

static REGISTRY: &[ModelInfo] = &[
    super::lif_psc_delta::INFO,
    super::lif_psc_exp::INFO,
    super::lif_psc_alpha::INFO,
    super::lif_cond_exp::INFO,
    super::lif_cond_alpha::INFO,
    super::lif_euler::INFO,
    super::izhikevich::INFO,
    super::adex::INFO,
    super::parrot::INFO,
    super::poisson::INFO,
    super::spike_train::INFO,
];

/// All models of the library.
pub fn registry() -> &'static [ModelInfo] {
    REGISTRY
}

/// The model of that name.
pub fn find(name: &str) -> Option<&'static ModelInfo> {
    REGISTRY.iter().find(|info| info.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_model_is_described_and_builds_with_its_defaults() {
        let mut names = HashSet::new();
        for info in registry() {
            assert!(names.insert(info.name), "{} stands twice", info.name);
            assert!(!info.doc.is_empty() && !info.reference.is_empty(), "{}", info.name);
            match (info.build(&[], &[]), info.needs) {
                (Ok(model), None) => {
                    assert_eq!(model.name(), info.name);
                    assert_eq!(model.parameters(), info.parameters);
                    assert_eq!(model.variables(), info.variables);
                    assert_eq!(model.is_source(), info.is_source);
                    let defaults: Vec<f64> = info.parameters.iter().map(|p| p.default).collect();
                    assert_eq!(model.values(), defaults);
                    assert!(info.parameters.iter().all(|p| p.allowed.contains(p.default) && !p.doc.is_empty()));
                    assert_eq!(model.check(&defaults, 0.1), []);
                    let options: Vec<_> = info.options.iter().map(|o| (o.name, o.default)).collect();
                    assert_eq!(model.options(), options);
                }
                (Err(faults), Some(_)) => assert!(!faults.is_empty()),
                (built, needs) => panic!("{}: {built:?}, needs {needs:?}", info.name),
            }
            for option in info.options {
                assert!(option.allowed.contains(&option.default));
                for text in option.allowed {
                    assert!(info.build(&[], &[(option.name, text)]).is_ok(), "{} {text}", info.name);
                }
            }
        }
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let info = find("lif_psc_exp").expect("registered");
        let faults = info
            .build(&[("tau_m", -1.0), ("v_treshold", 1.0), ("c_m", 100.0)], &[("current", "x"), ("currents", "merge")])
            .expect_err("four faults");
        let keys: Vec<&str> = faults.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["tau_m", "v_treshold", "current", "currents"]);
        assert_eq!(faults[0].1, "-1 ms is out of range; allowed is above 0");
        assert!(faults[2].1.contains("did you mean `currents`"));
        assert!(faults[3].1.contains("did you mean `merged`"), "{}", faults[3].1);
    }
}
