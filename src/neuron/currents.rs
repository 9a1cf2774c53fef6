//! What models with synaptic currents share: one receptor or two.

use super::registry::choice;
use super::{Polarity, Receptor};

choice! {
    /// How a model with two synaptic time constants keeps its currents.
    pub enum Currents {
        /// In one column and with one receptor if the model's two time constants are equal, else separately.
        Merged = "merged",
        /// In two columns and with two receptors, whatever the time constants.
        Separate = "separate",
    }
}

/// The receptors of a model with synaptic currents.
pub(super) fn current_receptors(merged: bool) -> Vec<Receptor> {
    if merged {
        vec![Receptor { name: "synaptic", unit: "pA", polarity: Polarity::Signed }]
    } else {
        vec![
            Receptor { name: "excitatory", unit: "pA", polarity: Polarity::Excitatory },
            Receptor { name: "inhibitory", unit: "pA", polarity: Polarity::Inhibitory },
        ]
    }
}

/// The fault of neurons whose time constants differ although the model keeps one current, if it is one.
pub(super) fn check_merged(merged: bool, tau_syn_ex: f64, tau_syn_in: f64) -> Option<(&'static str, String)> {
    (merged && tau_syn_ex != tau_syn_in).then(|| {
        let message = format!(
            "{tau_syn_ex} ms differs from tau_syn_in = {tau_syn_in} ms, but the model keeps one current for both since \
             the values shared by all neurons are equal; set the option currents = \"separate\""
        );
        ("tau_syn_ex", message)
    })
}
