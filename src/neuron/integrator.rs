//! Integration methods of the models that have no closed form.

use super::registry::choice;

choice! {
    /// How a model without a closed form is integrated.
    pub enum Integrator {
        /// Exponential Euler: relaxes exactly toward the equilibrium that holds with everything that depends on the
        /// state frozen at its value at the start of the step.
        ExponentialEuler = "exponential_euler",
        /// The classical fourth-order Runge-Kutta method, one step of it per time step.
        Rk4 = "rk4",
    }
}
