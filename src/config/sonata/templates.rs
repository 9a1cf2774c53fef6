//! NEST's models under their names in SONATA files, and what the parameters of NEST are called here.
//!
//! Defaults are those of NEST 3.10: a file that gives no value means these, also where the models here have others.

/// What a parameter of a NEST model is here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// A parameter of the model.
    Parameter(&'static str),
    /// The initial value of a state variable.
    State(&'static str),
    /// Something the model here does not have: only this value, which switches it off, is allowed.
    Only(f64),
    /// A bound on the potential, which is not kept here: only values so low that they never matter are allowed.
    NoBound,
    /// Nothing that changes a spike here, for example a time constant of plasticity, which no supported synapse has.
    NoEffect,
}

/// A parameter of a NEST model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Its name in NEST.
    pub(super) nest: &'static str,
    /// What it is here.
    pub(super) role: Role,
    /// Value in NEST where nothing is given.
    pub(super) default: f64,
}

/// A NEST model.
#[derive(Debug)]
pub(super) struct Template {
    /// Its name in NEST.
    pub(super) nest: &'static str,
    /// The model here.
    pub(super) model: &'static str,
    /// Options of the model here that come nearest to NEST.
    pub(super) options: &'static [(&'static str, &'static str)],
    /// Parameters.
    pub(super) keys: &'static [Key],
    /// State variables that can be recorded: name in NEST, name here.
    pub(super) recordables: &'static [(&'static str, &'static str)],
}

const fn parameter(nest: &'static str, name: &'static str, default: f64) -> Key {
    Key { nest, role: Role::Parameter(name), default }
}

const fn state(nest: &'static str, variable: &'static str, default: f64) -> Key {
    Key { nest, role: Role::State(variable), default }
}

const fn only(nest: &'static str, value: f64) -> Key {
    Key { nest, role: Role::Only(value), default: value }
}

const V_MIN: Key = Key { nest: "V_min", role: Role::NoBound, default: f64::MIN };

const fn no_effect(nest: &'static str) -> Key {
    Key { nest, role: Role::NoEffect, default: 0.0 }
}

/// Parameters that every neuron of NEST has; they matter to plastic synapses only.
pub(super) const OF_ALL: &[Key] = &[
    no_effect("tau_minus"),
    no_effect("tau_minus_triplet"),
    no_effect("tau_Ca"),
    no_effect("beta_Ca"),
    no_effect("Ca"),
    no_effect("post_trace"),
    no_effect("archiver_length"),
    no_effect("t_spike"),
    no_effect("node_uses_wfr"),
    only("frozen", 0.0),
    only("ignore_and_spike", 0.0),
    no_effect("ignore_and_spike_interval"),
    no_effect("ignore_and_spike_offset"),
];

/// Every NEST model that is read.
pub(super) const TEMPLATES: &[Template] = &[
    Template {
        nest: "iaf_psc_alpha",
        model: "lif_psc_alpha",
        options: &[("currents", "separate")],
        keys: &[
            parameter("C_m", "c_m", 250.0),
            parameter("tau_m", "tau_m", 10.0),
            parameter("E_L", "e_l", -70.0),
            parameter("V_th", "v_th", -55.0),
            parameter("V_reset", "v_reset", -70.0),
            parameter("t_ref", "t_ref", 2.0),
            parameter("tau_syn_ex", "tau_syn_ex", 2.0),
            parameter("tau_syn_in", "tau_syn_in", 2.0),
            parameter("I_e", "i_e", 0.0),
            state("V_m", "v_m", -70.0),
            V_MIN,
        ],
        recordables: &[("V_m", "v_m"), ("I_syn_ex", "i_syn_ex"), ("I_syn_in", "i_syn_in")],
    },
    Template {
        nest: "iaf_psc_exp",
        model: "lif_psc_exp",
        options: &[("currents", "separate")],
        keys: &[
            parameter("C_m", "c_m", 250.0),
            parameter("tau_m", "tau_m", 10.0),
            parameter("E_L", "e_l", -70.0),
            parameter("V_th", "v_th", -55.0),
            parameter("V_reset", "v_reset", -70.0),
            parameter("t_ref", "t_ref", 2.0),
            parameter("tau_syn_ex", "tau_syn_ex", 2.0),
            parameter("tau_syn_in", "tau_syn_in", 2.0),
            parameter("I_e", "i_e", 0.0),
            state("V_m", "v_m", -70.0),
            // Escape noise: without a width the threshold is sharp and the rate at it has no effect.
            only("delta", 0.0),
            no_effect("rho"),
        ],
        recordables: &[("V_m", "v_m"), ("I_syn_ex", "i_syn_ex"), ("I_syn_in", "i_syn_in")],
    },
    Template {
        nest: "iaf_psc_delta",
        model: "lif_psc_delta",
        options: &[],
        keys: &[
            parameter("C_m", "c_m", 250.0),
            parameter("tau_m", "tau_m", 10.0),
            parameter("E_L", "e_l", -70.0),
            parameter("V_th", "v_th", -55.0),
            parameter("V_reset", "v_reset", -70.0),
            parameter("t_ref", "t_ref", 2.0),
            parameter("I_e", "i_e", 0.0),
            state("V_m", "v_m", -70.0),
            V_MIN,
            only("refractory_input", 0.0),
        ],
        recordables: &[("V_m", "v_m")],
    },
    Template {
        nest: "iaf_cond_exp",
        model: "lif_cond_exp",
        options: &[("integrator", "rk4")],
        keys: &[
            parameter("C_m", "c_m", 250.0),
            parameter("g_L", "g_l", 16.6667),
            parameter("E_L", "e_l", -70.0),
            parameter("E_ex", "e_ex", 0.0),
            parameter("E_in", "e_in", -85.0),
            parameter("V_th", "v_th", -55.0),
            parameter("V_reset", "v_reset", -60.0),
            parameter("t_ref", "t_ref", 2.0),
            parameter("tau_syn_ex", "tau_syn_ex", 0.2),
            parameter("tau_syn_in", "tau_syn_in", 2.0),
            parameter("I_e", "i_e", 0.0),
            state("V_m", "v_m", -70.0),
            state("g_ex", "g_ex", 0.0),
            state("g_in", "g_in", 0.0),
        ],
        recordables: &[("V_m", "v_m"), ("g_ex", "g_ex"), ("g_in", "g_in")],
    },
    Template {
        nest: "iaf_cond_alpha",
        model: "lif_cond_alpha",
        options: &[("integrator", "rk4")],
        keys: &[
            parameter("C_m", "c_m", 250.0),
            parameter("g_L", "g_l", 16.6667),
            parameter("E_L", "e_l", -70.0),
            parameter("E_ex", "e_ex", 0.0),
            parameter("E_in", "e_in", -85.0),
            parameter("V_th", "v_th", -55.0),
            parameter("V_reset", "v_reset", -60.0),
            parameter("t_ref", "t_ref", 2.0),
            parameter("tau_syn_ex", "tau_syn_ex", 0.2),
            parameter("tau_syn_in", "tau_syn_in", 2.0),
            parameter("I_e", "i_e", 0.0),
            state("V_m", "v_m", -70.0),
            state("g_ex", "g_ex", 0.0),
            state("dg_ex", "dg_ex", 0.0),
            state("g_in", "g_in", 0.0),
            state("dg_in", "dg_in", 0.0),
        ],
        recordables: &[("V_m", "v_m"), ("g_ex", "g_ex"), ("g_in", "g_in")],
    },
    Template {
        nest: "izhikevich",
        model: "izhikevich",
        options: &[],
        keys: &[
            parameter("a", "a", 0.02),
            parameter("b", "b", 0.2),
            parameter("c", "c", -65.0),
            parameter("d", "d", 8.0),
            parameter("V_th", "v_peak", 30.0),
            parameter("I_e", "i_e", 0.0),
            state("V_m", "v_m", -65.0),
            state("U_m", "u", -13.0),
            V_MIN,
            only("consistent_integration", 1.0),
        ],
        recordables: &[("V_m", "v_m"), ("U_m", "u")],
    },
    Template {
        nest: "aeif_cond_exp",
        model: "adex",
        options: &[("integrator", "rk4")],
        keys: &[
            parameter("C_m", "c_m", 281.0),
            parameter("g_L", "g_l", 30.0),
            parameter("E_L", "e_l", -70.6),
            parameter("E_ex", "e_ex", 0.0),
            parameter("E_in", "e_in", -85.0),
            parameter("V_th", "v_th", -50.4),
            parameter("Delta_T", "delta_t", 2.0),
            parameter("V_peak", "v_peak", 0.0),
            parameter("V_reset", "v_reset", -60.0),
            parameter("a", "a", 4.0),
            parameter("b", "b", 80.5),
            parameter("tau_w", "tau_w", 144.0),
            parameter("t_ref", "t_ref", 0.0),
            parameter("tau_syn_ex", "tau_syn_ex", 0.2),
            parameter("tau_syn_in", "tau_syn_in", 2.0),
            parameter("I_e", "i_e", 0.0),
            state("V_m", "v_m", -70.6),
            state("w", "w", 0.0),
            state("g_ex", "g_ex", 0.0),
            state("g_in", "g_in", 0.0),
            no_effect("gsl_error_tol"),
        ],
        recordables: &[("V_m", "v_m"), ("w", "w"), ("g_ex", "g_ex"), ("g_in", "g_in")],
    },
];

impl Template {
    /// The model of that name in NEST.
    pub(super) fn find(nest: &str) -> Option<&'static Self> {
        TEMPLATES.iter().find(|template| template.nest == nest)
    }

    /// The parameter of that name in NEST.
    pub(super) fn key(&self, nest: &str) -> Option<&'static Key> {
        self.keys.iter().chain(OF_ALL).find(|key| key.nest == nest)
    }

    /// The variable here that a name in a report means; `v` and the names here are understood too.
    pub(super) fn variable(&self, name: &str) -> Option<&'static str> {
        let known =
            |(nest, own): &&(&str, &'static str)| name == *nest || name == *own || (name == "v" && *own == "v_m");
        self.recordables.iter().find(known).map(|(_, own)| *own)
    }
}

impl Key {
    /// Why a value cannot be had here, if so.
    pub(super) fn refused(&self, value: f64) -> Option<String> {
        match self.role {
            Role::Only(only) if value != only => {
                Some(format!("{value} is not supported; the model here has no such feature, so only {only} is allowed"))
            }
            Role::NoBound if value > -1e300 => {
                Some(format!("{value} mV is not supported: potentials have no lower bound here; leave it out"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron;

    #[test]
    fn every_template_is_a_model_with_all_its_parameters() {
        for template in TEMPLATES {
            let info = neuron::find(template.model).expect("registered");
            let values: Vec<(&str, f64)> = template
                .keys
                .iter()
                .filter_map(|key| match key.role {
                    Role::Parameter(name) => Some((name, key.default)),
                    _ => None,
                })
                .collect();
            let model = info.build(&values, template.options).unwrap_or_else(|e| panic!("{}: {e:?}", template.nest));
            for parameter in info.parameters {
                assert!(values.iter().any(|(name, _)| *name == parameter.name), "{} {}", template.nest, parameter.name);
            }
            let has = |variable: &str| model.variables().iter().any(|v| v.name == variable);
            for key in template.keys {
                if let Role::State(variable) = key.role {
                    assert!(has(variable), "{} {variable}", template.nest);
                }
                assert_eq!(key.refused(key.default), None);
            }
            assert!(template.recordables.iter().all(|(_, variable)| has(variable)), "{}", template.nest);
            assert_eq!(template.variable("v"), Some("v_m"));
        }
    }
}
