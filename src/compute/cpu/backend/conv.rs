//! Convolutions: from buffers to slices.

use crate::compute::backend::{Arg, ConvShape};
use crate::compute::cpu::conv::{Activation, conv_forward, conv_input_gradient, conv_weight_gradient};
use crate::compute::cpu::lanes::Float;
use crate::compute::cpu::{Cpu, gemm};
use crate::compute::dtype::Element;
use crate::compute::memory::Buffer;

pub(super) fn forward<T: Element + Float + gemm::Real>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: Arg<'_>,
    weight: Arg<'_>,
    bias: Option<Arg<'_>>,
    activation: gemm::Activation,
    out: &mut Buffer,
) {
    let activation = match activation {
        gemm::Activation::Identity => Activation::Identity,
        gemm::Activation::Relu => Activation::Relu,
        other => unreachable!("front ends do not ask a convolution for {other:?}"),
    };
    let bias = bias.as_ref().map(Arg::dense::<T>);
    conv_forward::<T>(cpu, shape, x.dense(), weight.dense(), bias, activation, out.as_mut_slice());
}

pub(super) fn input_grad<T: Element + Float + gemm::Real>(
    cpu: &Cpu,
    shape: &ConvShape,
    dy: Arg<'_>,
    weight: Arg<'_>,
    dx: &mut Buffer,
) {
    conv_input_gradient::<T>(cpu, shape, dy.dense(), weight.dense(), dx.as_mut_slice());
}

pub(super) fn weight_grad<T: Element + Float + gemm::Real>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: Arg<'_>,
    dy: Arg<'_>,
    dw: &mut Buffer,
    db: Option<&mut Buffer>,
) {
    let db = db.map(Buffer::as_mut_slice::<T>);
    conv_weight_gradient::<T>(cpu, shape, x.dense(), dy.dense(), dw.as_mut_slice(), db);
}
