//! Which NEST model a neuron model of the library corresponds to, and what its parameters are called there.

use crate::neuron::{NeuronModel, find};

/// A model of NEST with the same equations as one of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Template {
    /// Name of the model here.
    pub(super) model: &'static str,
    /// SONATA's `model_template`.
    pub(super) template: &'static str,
    /// Names of NEST, in the order of the model's parameters.
    pub(super) parameters: &'static [&'static str],
    /// State variables that NEST lets be set: the name here and there. All others start at 0.
    pub(super) initial: &'static [(&'static str, &'static str)],
}

const V_M: &[(&str, &str)] = &[("v_m", "V_m")];
const PSC: &[&str] = &["C_m", "tau_m", "E_L", "V_th", "V_reset", "t_ref", "tau_syn_ex", "tau_syn_in", "I_e"];
const COND: &[&str] =
    &["C_m", "g_L", "E_L", "E_ex", "E_in", "V_th", "V_reset", "t_ref", "tau_syn_ex", "tau_syn_in", "I_e"];

static TEMPLATES: [Template; 7] = [
    Template { model: "lif_psc_exp", template: "nest:iaf_psc_exp", parameters: PSC, initial: V_M },
    Template { model: "lif_psc_alpha", template: "nest:iaf_psc_alpha", parameters: PSC, initial: V_M },
    Template {
        model: "lif_psc_delta",
        template: "nest:iaf_psc_delta",
        parameters: &["C_m", "tau_m", "E_L", "V_th", "V_reset", "t_ref", "I_e"],
        initial: V_M,
    },
    Template { model: "lif_cond_exp", template: "nest:iaf_cond_exp", parameters: COND, initial: V_M },
    Template { model: "lif_cond_alpha", template: "nest:iaf_cond_alpha", parameters: COND, initial: V_M },
    Template {
        model: "izhikevich",
        template: "nest:izhikevich",
        parameters: &["a", "b", "c", "d", "V_th", "I_e"],
        initial: &[("v_m", "V_m"), ("u", "U_m")],
    },
    Template {
        model: "adex",
        template: "nest:aeif_cond_exp",
        parameters: &[
            "C_m",
            "g_L",
            "E_L",
            "E_ex",
            "E_in",
            "V_th",
            "Delta_T",
            "V_peak",
            "V_reset",
            "a",
            "b",
            "tau_w",
            "t_ref",
            "tau_syn_ex",
            "tau_syn_in",
            "I_e",
        ],
        initial: &[("v_m", "V_m"), ("w", "w")],
    },
];

/// Name of the constant current in all these models of NEST.
pub(super) const CURRENT: &str = "I_e";

/// Names of the models that have a counterpart, for messages.
pub(super) fn known() -> String {
    let mut names: Vec<&str> = TEMPLATES.iter().map(|t| t.model).collect();
    names.push("spike_train");
    names.join(", ")
}

/// The counterpart of a model. A model of the user's own has none, whatever its name.
pub(super) fn of(model: &dyn NeuronModel) -> Option<&'static Template> {
    let info = find(model.name())?;
    let library = info.parameters == model.parameters();
    TEMPLATES.iter().find(|t| library && t.model == model.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_and_initial_value_has_a_name_in_nest() {
        for template in &TEMPLATES {
            let info = find(template.model).unwrap();
            assert_eq!(info.parameters.len(), template.parameters.len(), "{}", template.model);
            for (parameter, nest) in info.parameters.iter().zip(template.parameters) {
                // The same letters, but for a threshold that has another role.
                let same = parameter.name.eq_ignore_ascii_case(nest);
                assert!(same || (template.model, parameter.name, *nest) == ("izhikevich", "v_peak", "V_th"));
            }
            assert!(template.parameters.contains(&CURRENT));
            for (name, _) in template.initial {
                assert!(info.variables.iter().any(|v| v.name == *name), "{} {name}", template.model);
            }
            let model = info.build(&[], &[]).unwrap();
            assert_eq!(of(&*model).unwrap().template, template.template);
        }
        assert!(of(&*find("lif_euler").unwrap().build(&[], &[]).unwrap()).is_none());
    }
}
