//! Leaky integrate-and-fire neurons over many steps, and their gradients by backpropagation through time.
//!
//! Neurons do not depend on one another, so a scan takes a tile of them through all steps with the state in registers:
//! input is read once and spikes are written once. The backward pass keeps nothing of the forward pass but its input: it
//! steps the tile again, with the potentials in cache, and then walks back over them.
//!
//! Nothing is fused and no sum runs over neurons, so results are the same bits on every instruction set and for any
//! number of workers; forward, they are those of the engine.

mod backward;
mod forward;
mod tile;

use super::Cpu;
use crate::compute::Element;
use crate::compute::lif::{LifArriving, LifGradients, LifOut, LifScan};
use crate::compute::simd::Real;

/// Steps neurons: see [`LifStep`](crate::compute::LifStep).
pub fn forward<T: Real + Element>(cpu: &Cpu, scan: &LifScan<'_>, out: LifOut<'_>) {
    forward::run::<T>(cpu, scan, out);
}

/// Gradients of a scan, with `surrogate` for the derivative of spikes.
///
/// With s the spike, g the surrogate's derivative by the potential, and `dy` for the gradient by y, a step back is
///
/// ```text
/// ds'   = ds + dv * d reset(next) / ds     (the second term only without `detach_reset`)
/// dnext = ds' g + dv * d reset(next) / dnext
/// dv    = held ? dv : dnext decay          dx = dnext          without a synaptic current
/// di    = di fade + dnext from_syn         dx = di (before)    with one
/// ```
///
/// where a held neuron has `dnext = 0`.
pub fn backward<T: Real + Element>(
    cpu: &Cpu,
    scan: &LifScan<'_>,
    surrogate: crate::compute::lif::Surrogate,
    arriving: &LifArriving<'_>,
    gradients: LifGradients<'_>,
) {
    backward::run::<T>(cpu, scan, surrogate, arriving, gradients);
}

/// Fewest neurons worth a worker of their own.
fn grain(steps: usize) -> usize {
    (16_384 / steps.max(1)).max(64)
}
