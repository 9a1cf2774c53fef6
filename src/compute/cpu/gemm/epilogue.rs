//! What is done to a product while it is in cache: bias, activation.

use super::{MatMut, Real};

/// Whether a product replaces the output or is added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    /// C = A B
    Set,
    /// C = C + A B
    Add,
}

/// Numbers added to a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bias<'a, T> {
    /// Nothing is added.
    None,
    /// One number for each column of C.
    PerColumn(&'a [T]),
    /// One number for each row of C.
    PerRow(&'a [T]),
}

impl<T> Bias<'_, T> {
    /// The same bias seen from the transposed output.
    pub(super) fn t(self) -> Self {
        match self {
            Self::None => Self::None,
            Self::PerColumn(bias) => Self::PerRow(bias),
            Self::PerRow(bias) => Self::PerColumn(bias),
        }
    }
}

/// A function applied to every element of a product after the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// max(x, 0); NaN stays NaN
    Relu,
    /// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): Hendrycks & Gimpel (2016), arXiv:1606.08415
    GeluTanh,
}

/// What is done to C = A B (or C + A B) before it is final: `activation(C + bias)`.
#[derive(Debug)]
pub struct Epilogue<'a, T> {
    /// Added to the product.
    pub bias: Bias<'a, T>,
    /// Applied after the bias.
    pub activation: Activation,
    /// Where to keep what the activation was applied to, if that is needed later (for gradients); of the size and
    /// orientation of C.
    pub keep: Option<MatMut<'a, T>>,
}

impl<T> Default for Epilogue<'_, T> {
    fn default() -> Self {
        Self { bias: Bias::None, activation: Activation::Identity, keep: None }
    }
}

impl<'a, T> Epilogue<'a, T> {
    /// Nothing is done.
    pub fn none() -> Self {
        Self::default()
    }

    /// A bias for each column (the bias of a linear layer) and an activation.
    pub fn bias(bias: &'a [T], activation: Activation) -> Self {
        Self { bias: Bias::PerColumn(bias), activation, keep: None }
    }
}

/// Applies an activation to finished numbers.
pub(super) fn activate<T: Real>(activation: Activation, values: &mut [T]) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => values.iter_mut().for_each(|x| *x = if *x < T::ZERO { T::ZERO } else { *x }),
        Activation::GeluTanh => values.iter_mut().for_each(|x| *x = x.gelu_tanh()),
    }
}

/// Bias, `keep` and activation over a whole output that lies by rows or by columns.
pub(super) fn finish<T: Real>(c: &mut MatMut<'_, T>, epilogue: Epilogue<'_, T>) {
    let Epilogue { bias, activation, mut keep } = epilogue;
    for i in 0..c.rows() {
        for j in 0..c.cols() {
            let value = match bias {
                Bias::None => *c.at_mut(i, j),
                Bias::PerColumn(bias) => *c.at_mut(i, j) + bias[j],
                Bias::PerRow(bias) => *c.at_mut(i, j) + bias[i],
            };
            if let Some(keep) = &mut keep {
                *keep.at_mut(i, j) = value;
            }
            let mut value = [value];
            activate(activation, &mut value);
            *c.at_mut(i, j) = value[0];
        }
    }
}
