//! Normalisation by the moments of rows or columns. Sums in double precision, one element after the other.

use crate::compute::backend::{Affine, Arg, Moments, NormGrad};
use crate::compute::cpu::Cpu;
use crate::compute::dtype::Element;
use crate::compute::memory::Buffer;

fn size(x: &Arg<'_>) -> [usize; 2] {
    [x.layout.shape.rows(), x.layout.shape.last()]
}

fn maybe<T: Element>(column: Option<&[T]>, c: usize, other: f64) -> f64 {
    column.map_or(other, |column| column[c].to_f64())
}

pub(super) fn rows<T: Element>(
    _: &Cpu,
    x: Arg<'_>,
    affine: Affine<'_>,
    eps: f64,
    out: &mut Buffer,
    mut stats: Option<[&mut Buffer; 2]>,
) {
    let [_, cols] = size(&x);
    let weight = affine.weight.as_ref().map(Arg::dense::<T>);
    let bias = affine.bias.as_ref().map(Arg::dense::<T>);
    let rows = x.dense::<T>().chunks_exact(cols).zip(out.as_mut_slice::<T>().chunks_exact_mut(cols));
    for (r, (x, out)) in rows.enumerate() {
        let mean = x.iter().map(|x| x.to_f64()).sum::<f64>() / cols as f64;
        let var = x.iter().map(|x| (x.to_f64() - mean) * (x.to_f64() - mean)).sum::<f64>() / cols as f64;
        let rstd = 1.0 / (var + eps).sqrt();
        if let Some([means, rstds]) = &mut stats {
            means.as_mut_slice::<T>()[r] = T::of_f64(mean);
            rstds.as_mut_slice::<T>()[r] = T::of_f64(rstd);
        }
        for (c, (x, out)) in x.iter().zip(out).enumerate() {
            *out = T::of_f64((x.to_f64() - mean) * rstd * maybe(weight, c, 1.0) + maybe(bias, c, 0.0));
        }
    }
}

pub(super) fn column_moments<T: Element>(_: &Cpu, x: Arg<'_>, mean: &mut Buffer, var: &mut Buffer) {
    let [rows, cols] = size(&x);
    let x = x.dense::<T>();
    let mut sums = vec![0.0; cols];
    for (i, x) in x.iter().enumerate() {
        sums[i % cols] += x.to_f64();
    }
    let mut squares = vec![0.0; cols];
    for (i, x) in x.iter().enumerate() {
        let x = x.to_f64() - sums[i % cols] / rows as f64;
        squares[i % cols] += x * x;
    }
    for c in 0..cols {
        mean.as_mut_slice::<T>()[c] = T::of_f64(sums[c] / rows as f64);
        var.as_mut_slice::<T>()[c] = T::of_f64(squares[c] / rows as f64);
    }
}

/// Moments as (mean, 1/standard deviation).
fn factors<T: Element>(moments: &Moments<'_>) -> Vec<[f64; 2]> {
    let (mean, var) = (moments.mean.dense::<T>(), moments.var.dense::<T>());
    mean.iter().zip(var).map(|(mean, var)| [mean.to_f64(), 1.0 / (var.to_f64() + moments.eps).sqrt()]).collect()
}

pub(super) fn columns<T: Element>(
    _: &Cpu,
    x: Arg<'_>,
    moments: Moments<'_>,
    affine: Affine<'_>,
    rectify: bool,
    out: &mut Buffer,
) {
    let [_, cols] = size(&x);
    let factors = factors::<T>(&moments);
    let weight = affine.weight.as_ref().map(Arg::dense::<T>);
    let bias = affine.bias.as_ref().map(Arg::dense::<T>);
    for (i, (x, out)) in x.dense::<T>().iter().zip(out.as_mut_slice::<T>()).enumerate() {
        let c = i % cols;
        let [mean, rstd] = factors[c];
        let y = (x.to_f64() - mean) * rstd * maybe(weight, c, 1.0) + maybe(bias, c, 0.0);
        *out = T::of_f64(if rectify && y < 0.0 { 0.0 } else { y });
    }
}

/// With x̂ the normalised input and g = dy weight, over the n elements that share moments:
/// dx = (g - (Σ g + x̂ Σ g x̂) / n) / standard deviation; without the sums where the moments are given.
fn grad<T: Element>(
    columns: bool,
    x: Arg<'_>,
    factors: &[[f64; 2]],
    weight: Option<Arg<'_>>,
    dy: Arg<'_>,
    through_moments: bool,
    grad: NormGrad<'_>,
) {
    let [rows, cols] = size(&x);
    let (x, dy) = (x.dense::<T>(), dy.dense::<T>());
    let weight = weight.as_ref().map(Arg::dense::<T>);
    let group = |i: usize| if columns { i % cols } else { i / cols };
    let normal = |i: usize| {
        let [mean, rstd] = factors[group(i)];
        (x[i].to_f64() - mean) * rstd
    };
    if let Some(dx) = grad.dx {
        let len = if columns { rows } else { cols } as f64;
        let mut sums = vec![[0.0; 2]; factors.len()];
        if through_moments {
            for (i, dy) in dy.iter().enumerate() {
                let g = dy.to_f64() * maybe(weight, i % cols, 1.0);
                let sums = &mut sums[group(i)];
                sums[0] += g;
                sums[1] += g * normal(i);
            }
        }
        for (i, dx) in dx.as_mut_slice::<T>().iter_mut().enumerate() {
            let [sum, along] = sums[group(i)];
            let g = dy[i].to_f64() * maybe(weight, i % cols, 1.0) - (sum + normal(i) * along) / len;
            *dx = T::of_f64(g * factors[group(i)][1]);
        }
    }
    let mut affine = vec![[0.0; 2]; cols];
    for (i, dy) in dy.iter().enumerate() {
        affine[i % cols][0] += dy.to_f64() * normal(i);
        affine[i % cols][1] += dy.to_f64();
    }
    for (to, i) in [(grad.dweight, 0), (grad.dbias, 1)] {
        if let Some(to) = to {
            to.as_mut_slice::<T>().iter_mut().zip(&affine).for_each(|(to, sums)| *to = T::of_f64(sums[i]));
        }
    }
}

pub(super) fn rows_grad<T: Element>(
    _: &Cpu,
    x: Arg<'_>,
    [mean, rstd]: [Arg<'_>; 2],
    weight: Option<Arg<'_>>,
    dy: Arg<'_>,
    to: NormGrad<'_>,
) {
    let (mean, rstd) = (mean.dense::<T>(), rstd.dense::<T>());
    let factors: Vec<[f64; 2]> = mean.iter().zip(rstd).map(|(mean, rstd)| [mean.to_f64(), rstd.to_f64()]).collect();
    grad::<T>(false, x, &factors, weight, dy, true, to);
}

pub(super) fn columns_grad<T: Element>(
    _: &Cpu,
    x: Arg<'_>,
    moments: Moments<'_>,
    weight: Option<Arg<'_>>,
    dy: Arg<'_>,
    through_moments: bool,
    to: NormGrad<'_>,
) {
    grad::<T>(true, x, &factors::<T>(&moments), weight, dy, through_moments, to);
}
