//! Coefficients of the weights, in the order in which the tiles of the products read them.

use super::transform::{COEFFICIENTS, tap_coefficients};
use super::{odd_lines, row_of};
use crate::compute::cpu::conv::tile::{VECS, lanes};
use crate::compute::cpu::conv::transpose::transpose;
use crate::compute::cpu::lanes::{Float, Kernel, Path, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};

/// Most lanes of a vector.
const MOST_LANES: usize = 16;

/// Which way the weights are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// From input to output channels.
    Forward,
    /// From output to input channels, taps turned by half a circle: the gradient of the input.
    Back,
}

/// How the coefficients lie: for each of the 36, panels of at most two vectors of outputs, each with a row for every
/// input. Inputs and outputs are those of the pass, see [`Turn`].
#[derive(Debug, Clone, Copy)]
pub(super) struct WeightPanels {
    pub inputs: usize,
    pub outputs: usize,
    /// Elements of a vector.
    pub lanes: usize,
    /// Elements from one coefficient to the next.
    pub step: usize,
}

impl WeightPanels {
    pub fn new<T: Float>(path: Path, inputs: usize, outputs: usize) -> Self {
        let lanes = lanes::<T>(path);
        Self { inputs, outputs, lanes, step: odd_lines::<T>(inputs * row_of(outputs, lanes)) }
    }

    /// Elements of all coefficients.
    pub fn len(&self) -> usize {
        COEFFICIENTS * self.step
    }

    pub fn count(&self) -> usize {
        self.outputs.div_ceil(VECS * self.lanes)
    }

    /// First output, number of vectors and first element (within a coefficient) of a panel.
    pub fn panel(&self, index: usize) -> (usize, usize, usize) {
        let first = index * VECS * self.lanes;
        (first, (self.outputs - first).div_ceil(self.lanes).min(VECS), first * self.inputs)
    }
}

/// Computes the coefficients of `weights` (`[3, 3, c, o]`); see [`WeightPanels`].
pub(super) fn transform<T: Float>(cpu: &Cpu, weights: &[T], turn: Turn, panels: &WeightPanels, to: &mut [T]) {
    assert!(to.len() >= panels.len() && weights.len() == 9 * panels.inputs * panels.outputs, "lengths of weights");
    let blocks = panels.inputs.div_ceil(panels.lanes);
    let vectors = panels.outputs.div_ceil(panels.lanes);
    let to = Parts::new(to);
    cpu.crew.for_each(blocks * vectors, &|unit| {
        let (vector, block) = (unit / blocks, unit % blocks);
        dispatch(cpu.isa, Block { weights, turn, panels, to, vector, block });
    });
}

/// A vector of inputs times a vector of outputs.
struct Block<'a, T> {
    weights: &'a [T],
    turn: Turn,
    panels: &'a WeightPanels,
    to: Parts<'a, T>,
    vector: usize,
    block: usize,
}

impl<T: Float> Kernel<T> for Block<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let WeightPanels { inputs, outputs, step, .. } = *self.panels;
        let (input, output) = (self.block * V::LANES, self.vector * V::LANES);
        let (rows, count) = ((inputs - input).min(V::LANES), (outputs - output).min(V::LANES));
        let tap_len = inputs * outputs;
        let mut turned = [[[T::ZERO; MOST_LANES]; MOST_LANES]; 9];
        // Where the first of these rows begins in each tap, and elements from row to row.
        let mut starts = [self.weights.as_ptr(); 9];
        let (row_step, channels) = if self.turn == Turn::Forward { (outputs, count) } else { (MOST_LANES, V::LANES) };
        for tap in 0..9 {
            // SAFETY: rows and columns that exist, as `transform` has checked.
            unsafe {
                match self.turn {
                    Turn::Forward => starts[tap] = starts[tap].add(tap * tap_len + input * outputs + output),
                    Turn::Back => {
                        let from = starts[tap].add((8 - tap) * tap_len + output * inputs + input);
                        let to = turned[tap].as_flattened_mut().as_mut_ptr();
                        transpose::<V>(from, inputs, count, rows, to, MOST_LANES);
                        starts[tap] = to;
                    }
                }
            }
        }
        let (first, vectors, at) = self.panels.panel(self.vector / VECS);
        let width = vectors * V::LANES;
        for row in 0..rows {
            let at = at + (input + row) * width + output - first;
            // SAFETY: within each coefficient, every row of a panel has room for its vectors, and this vector of these rows
            // is this block's alone.
            unsafe {
                let mut taps = [V::zero(); 9];
                for (tap, start) in taps.iter_mut().zip(&starts) {
                    *tap = V::load_first(start.add(row * row_step), channels);
                }
                tap_coefficients(&taps, self.to.as_mut_ptr().add(at), step);
            }
        }
    }
}
