//! Normalisation by the moments of rows or columns.

use crate::compute::backend::{Affine, Arg, Moments, NormGrad};
use crate::compute::cpu::Cpu;
use crate::compute::cpu::batch_norm::{self, ColumnMoments, column_norm, column_norm_grad};
use crate::compute::cpu::columns::NormGrads;
use crate::compute::cpu::lanes::Float;
use crate::compute::cpu::layer_norm::{layer_norm, layer_norm_grad};
use crate::compute::dtype::Element;
use crate::compute::memory::Buffer;

fn affine_of<'a, T: Element>(affine: &Affine<'a>) -> [Option<&'a [T]>; 2] {
    [&affine.weight, &affine.bias].map(|column| column.as_ref().map(Arg::dense))
}

fn moments_of<'a, T: Element>(moments: &Moments<'a>) -> ColumnMoments<'a, T> {
    ColumnMoments { mean: moments.mean.dense(), var: moments.var.dense(), eps: moments.eps }
}

fn grads_of<'a, T: Element>(grads: NormGrad<'a>) -> NormGrads<'a, T> {
    let [dx, dweight, dbias] = [grads.dx, grads.dweight, grads.dbias].map(|buffer| buffer.map(Buffer::as_mut_slice));
    NormGrads { dx, dweight, dbias }
}

pub(super) fn rows<T: Float + Element>(
    cpu: &Cpu,
    x: Arg<'_>,
    affine: Affine<'_>,
    eps: f64,
    out: &mut Buffer,
    stats: Option<[&mut Buffer; 2]>,
) {
    let stats = stats.map(|stats| stats.map(Buffer::as_mut_slice));
    let cols = x.layout.shape.last();
    layer_norm::<T>(cpu, cols, x.dense(), affine_of(&affine), eps, out.as_mut_slice(), stats);
}

pub(super) fn column_moments<T: Float + Element>(cpu: &Cpu, x: Arg<'_>, mean: &mut Buffer, var: &mut Buffer) {
    let cols = x.layout.shape.last();
    batch_norm::column_moments::<T>(cpu, cols, x.dense(), mean.as_mut_slice(), var.as_mut_slice());
}

pub(super) fn columns<T: Float + Element>(
    cpu: &Cpu,
    x: Arg<'_>,
    moments: Moments<'_>,
    affine: Affine<'_>,
    rectify: bool,
    out: &mut Buffer,
) {
    let (cols, moments) = (x.layout.shape.last(), moments_of(&moments));
    column_norm::<T>(cpu, cols, x.dense(), moments, affine_of(&affine), rectify, out.as_mut_slice());
}

pub(super) fn rows_grad<T: Float + Element>(
    cpu: &Cpu,
    x: Arg<'_>,
    stats: [Arg<'_>; 2],
    weight: Option<Arg<'_>>,
    dy: Arg<'_>,
    to: NormGrad<'_>,
) {
    let weight = weight.as_ref().map(Arg::dense);
    let (cols, stats) = (x.layout.shape.last(), stats.map(|stat| stat.dense()));
    layer_norm_grad::<T>(cpu, cols, x.dense(), stats, weight, dy.dense(), grads_of(to));
}

pub(super) fn columns_grad<T: Float + Element>(
    cpu: &Cpu,
    x: Arg<'_>,
    moments: Moments<'_>,
    weight: Option<Arg<'_>>,
    dy: Arg<'_>,
    through_moments: bool,
    to: NormGrad<'_>,
) {
    let weight = weight.as_ref().map(Arg::dense);
    let (cols, moments) = (x.layout.shape.last(), moments_of(&moments));
    column_norm_grad::<T>(cpu, cols, x.dense(), moments, weight, dy.dense(), through_moments, grads_of(to));
}
