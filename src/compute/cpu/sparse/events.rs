//! Products of activations that are mostly zero, such as spikes, with a sparse matrix: the rows of active inputs are
//! added up, so the cost is that of the active rows alone.
#![allow(unsafe_code)]

use super::{Cpu, Rows, by_row, split_rows};
use crate::compute::cpu::Parts;
use crate::compute::simd::Real;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Activations that are not zero, sample after sample, in ascending order of inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Events<T> {
    /// Where each sample starts, and the end of the last.
    pub starts: Vec<usize>,
    /// The input of each event.
    pub inputs: Vec<u32>,
    /// Its activation; 1 for a spike.
    pub values: Vec<T>,
    /// Number of inputs.
    pub width: usize,
}

/// Samples that are looked through together.
const SAMPLES: usize = 16;

impl<T: Real> Events<T> {
    /// The elements of `x` (samples x `width`, row-major) that are not zero. NaN counts as an event.
    ///
    /// # Panics
    /// If `x` does not hold whole samples, or inputs are too many to number.
    pub fn of_dense(cpu: &Cpu, x: &[T], width: usize) -> Self {
        assert!(width <= u32::MAX as usize, "inputs can be numbered");
        let samples = x.len().checked_div(width).unwrap_or(0);
        assert_eq!(samples * width, x.len(), "whole samples");
        let blocks = samples.div_ceil(SAMPLES);
        let of_block = |block: usize| block * SAMPLES..((block + 1) * SAMPLES).min(samples);
        let mut counts = vec![0usize; samples];
        {
            let parts = Parts::new(&mut counts);
            cpu.crew.for_each(blocks, &|block| {
                // SAFETY: blocks of samples do not overlap.
                let counts = unsafe { parts.piece(of_block(block)) };
                for (sample, count) in of_block(block).zip(counts) {
                    *count = x[sample * width..(sample + 1) * width].iter().filter(|x| **x != T::ZERO).count();
                }
            });
        }
        let mut starts = Vec::with_capacity(samples + 1);
        let mut total = 0;
        for count in counts {
            starts.push(total);
            total += count;
        }
        starts.push(total);
        let (mut inputs, mut values) = (vec![0u32; total], vec![T::ZERO; total]);
        {
            let (to_inputs, to_values) = (Parts::new(&mut inputs), Parts::new(&mut values));
            cpu.crew.for_each(blocks, &|block| {
                for sample in of_block(block) {
                    let own = starts[sample]..starts[sample + 1];
                    // SAFETY: events of samples do not overlap.
                    let (inputs, values) = unsafe { (to_inputs.piece(own.clone()), to_values.piece(own)) };
                    let found =
                        x[sample * width..(sample + 1) * width].iter().enumerate().filter(|(_, x)| **x != T::ZERO);
                    for (((input, x), to_input), to_value) in found.zip(inputs).zip(values) {
                        (*to_input, *to_value) = (input as u32, *x);
                    }
                }
            });
        }
        Self { starts, inputs, values, width }
    }

    /// One sample in which these inputs are 1: rows may come in any order, and more than once.
    ///
    /// # Panics
    /// If there is no such input.
    pub fn of_spikes(inputs: &[u32], width: usize) -> Self {
        assert!(inputs.iter().all(|input| (*input as usize) < width), "spikes come from inputs that exist");
        let values = vec![T::of(1.0); inputs.len()];
        Self { starts: vec![0, inputs.len()], inputs: inputs.to_vec(), values, width }
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.starts.len() - 1
    }

    /// The same events input by input: for each, the samples in which it is active.
    pub fn by_input(&self, cpu: &Cpu) -> Self {
        let (starts, order) = by_row(cpu, self.width, &self.inputs);
        let mut sample_of = vec![0u32; self.inputs.len()];
        for sample in 0..self.samples() {
            sample_of[self.starts[sample]..self.starts[sample + 1]].fill(sample as u32);
        }
        Self {
            starts,
            inputs: order.iter().map(|event| sample_of[*event]).collect(),
            values: order.iter().map(|event| self.values[*event]).collect(),
            width: self.samples(),
        }
    }
}

/// Number of elements of `x` that are not zero.
pub fn count_events<T: Real>(cpu: &Cpu, x: &[T]) -> usize {
    let total = AtomicUsize::new(0);
    cpu.split(x.len(), 65_536, &|range| {
        let own = x[range].iter().filter(|x| **x != T::ZERO).count();
        total.fetch_add(own, Ordering::Relaxed);
    });
    total.into_inner()
}

/// `out[s] = ` the sum of the rows of `a` whose inputs are active in sample `s`, times their activation; `out` is
/// samples x `a.cols`. Rows are added in the order of the events.
///
/// # Panics
/// If sizes do not fit or a column is out of range.
pub fn add_rows<T: Real>(cpu: &Cpu, events: &Events<T>, a: Rows<'_, T>, out: &mut [T]) {
    a.check();
    let (samples, cols) = (events.samples(), a.cols);
    assert_eq!((events.width, out.len()), (a.rows(), samples * cols), "sizes of a product");
    let parts = Parts::new(out);
    let workers = cpu.crew.size();
    let mean = if a.rows() == 0 { 0.0 } else { a.columns.len() as f64 / a.rows() as f64 };
    if workers == 1 || samples >= 2 * workers || (mean * events.inputs.len() as f64) < 8_000.0 || cols < 128 {
        split_rows(cpu, &events.starts, mean + 1.0, &|range| {
            for sample in range {
                // SAFETY: samples do not overlap, and go to one worker each.
                let out = unsafe { parts.piece(sample * cols..(sample + 1) * cols) };
                one_sample(events, a, sample, 0..cols, out);
            }
        });
        return;
    }
    // Few samples: workers share out the columns, on whole cache lines.
    let each = cols.div_ceil(workers).next_multiple_of(16);
    cpu.crew.run(&|worker| {
        let own = (worker * each).min(cols)..((worker + 1) * each).min(cols);
        for sample in 0..samples {
            // SAFETY: columns of workers do not overlap.
            let out = unsafe { parts.piece(sample * cols + own.start..sample * cols + own.end) };
            one_sample(events, a, sample, own.clone(), out);
        }
    });
}

/// The part of one sample's sum that falls into `own` columns.
#[inline]
fn one_sample<T: Real>(events: &Events<T>, a: Rows<'_, T>, sample: usize, own: Range<usize>, out: &mut [T]) {
    out.fill(T::ZERO);
    let of_sample = events.starts[sample]..events.starts[sample + 1];
    for (input, activation) in events.inputs[of_sample.clone()].iter().zip(&events.values[of_sample]) {
        let elements = a.starts[*input as usize]..a.starts[*input as usize + 1];
        let (mut columns, mut values) = (&a.columns[elements.clone()], &a.values[elements]);
        if own.len() != a.cols {
            let from = columns.partition_point(|column| (*column as usize) < own.start);
            let to = columns.partition_point(|column| (*column as usize) < own.end);
            (columns, values) = (&columns[from..to], &values[from..to]);
        }
        for (column, value) in columns.iter().zip(values) {
            out[*column as usize - own.start] += *activation * *value;
        }
    }
}

/// Gradient of the stored values of `a` in [`add_rows`]: `out[e]` is the sum over the samples in which the row of
/// element `e` is active of activation times `dy` (samples x `a.cols`) at its column. `by_input` are the events input by
/// input; the values of `a` are not read.
///
/// # Panics
/// If sizes do not fit or a column is out of range.
pub fn rows_gradient<T: Real>(cpu: &Cpu, by_input: &Events<T>, a: Rows<'_, T>, dy: &[T], out: &mut [T]) {
    a.check();
    let cols = a.cols;
    assert_eq!(by_input.samples(), a.rows(), "sizes of a product");
    assert_eq!((dy.len(), out.len()), (by_input.width * cols, a.columns.len()), "sizes of a product");
    let parts = Parts::new(out);
    let rows = a.rows();
    let work = by_input.inputs.len() as f64 / rows.max(1) as f64;
    split_rows(cpu, a.starts, 0.7 * work + 0.1, &|range| {
        for row in range {
            let elements = a.starts[row]..a.starts[row + 1];
            // SAFETY: the elements of rows do not overlap.
            let out = unsafe { parts.piece(elements.clone()) };
            out.fill(T::ZERO);
            let active = by_input.starts[row]..by_input.starts[row + 1];
            let columns = &a.columns[elements];
            for (sample, activation) in by_input.inputs[active.clone()].iter().zip(&by_input.values[active]) {
                let dy = &dy[*sample as usize * cols..(*sample as usize + 1) * cols];
                for (out, column) in out.iter_mut().zip(columns) {
                    *out += *activation * dy[*column as usize];
                }
            }
        }
    });
}
