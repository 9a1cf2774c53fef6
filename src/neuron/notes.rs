//! What a user may want to know about parameter values that are valid.

use super::NeuronModel;
use super::dynamics::refractory_steps;

/// Remarks on values (in the model's order) that are allowed but not taken literally at time step `dt` (ms), each a
/// parameter's name and a sentence: at present refractory times that are not a whole number of steps.
///
/// ```
/// use tessera::neuron::{LifPscExp, NeuronModel, notes};
/// let model = LifPscExp { t_ref: 0.25, ..LifPscExp::default() };
/// assert_eq!(notes(&model, &model.values(), 0.1)[0].1, "0.25 ms is not a multiple of the time step; 0.3 ms is used");
/// ```
pub fn notes(model: &dyn NeuronModel, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
    let t_ref = model.parameters().iter().zip(values).find(|(parameter, _)| parameter.name == "t_ref");
    let Some((parameter, t_ref)) = t_ref else { return Vec::new() };
    let Some(steps) = refractory_steps(*t_ref, dt) else { return Vec::new() };
    let used = f64::from(steps) * dt;
    if (t_ref - used).abs() <= 1e-9 * t_ref.abs().max(dt) {
        return Vec::new();
    }
    // Twelve digits hide the rounding of the product.
    let shown = (used * 1e12).round() / 1e12;
    vec![(parameter.name, format!("{t_ref} ms is not a multiple of the time step; {shown} ms is used"))]
}
