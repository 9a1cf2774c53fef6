//! Integration methods of the models that have no closed form.

use super::registry::choice;

choice! {
    /// How a model without a closed form is integrated.
    pub enum Integrator {
        /// Exponential Euler: the potential relaxes exactly toward its equilibrium for the step, with conductances at
        /// their mean over the step and everything else frozen at its start.
        ExponentialEuler = "exponential_euler",
        /// The classical fourth-order Runge-Kutta method, one step of it per time step.
        Rk4 = "rk4",
    }
}
