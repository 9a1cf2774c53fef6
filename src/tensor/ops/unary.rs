//! Functions of one number, elementwise.

use super::check_float;
use crate::compute::{Unary, UnarySaved};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

struct UnaryRule {
    op: Unary,
    /// Argument or result, whichever the derivative is computed from.
    kept: Option<Tensor>,
}

impl Backward for UnaryRule {
    fn name(&self) -> &'static str {
        name(self.op)
    }

    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let dx = match (&self.kept, self.op) {
            (Some(kept), op) => dy.through(op, kept)?,
            (None, Unary::Neg) => dy.neg()?,
            (None, Unary::Affine { scale, .. }) => dy.mul_scalar(scale)?,
            (None, _) => dy.full_like(0.0)?,
        };
        Ok(vec![Some(dx)])
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        self.kept.iter().for_each(visit);
    }
}

fn name(op: Unary) -> &'static str {
    match op {
        Unary::Neg => "neg",
        Unary::Abs => "abs",
        Unary::Sign => "sign",
        Unary::Square => "square",
        Unary::Sqrt => "sqrt",
        Unary::Rsqrt => "rsqrt",
        Unary::Recip => "recip",
        Unary::Exp => "exp",
        Unary::ExpM1 => "exp_m1",
        Unary::Ln => "ln",
        Unary::Ln1p => "ln_1p",
        Unary::Sin => "sin",
        Unary::Cos => "cos",
        Unary::Tanh => "tanh",
        Unary::Sigmoid => "sigmoid",
        Unary::Erf => "erf",
        Unary::GeluTanh => "gelu_tanh",
        Unary::GeluErf => "gelu",
        Unary::Silu => "silu",
        Unary::Softplus => "softplus",
        Unary::Relu => "relu",
        Unary::LeakyRelu { .. } => "leaky_relu",
        Unary::Elu { .. } => "elu",
        Unary::Clamp { .. } => "clamp",
        Unary::Affine { .. } => "affine",
        Unary::Pow { .. } => "powf",
    }
}

/// Whether integers have the function, too.
fn takes_integers(op: Unary) -> bool {
    matches!(
        op,
        Unary::Neg
            | Unary::Abs
            | Unary::Sign
            | Unary::Square
            | Unary::Relu
            | Unary::Clamp { .. }
            | Unary::Affine { .. }
    )
}

impl Tensor {
    /// A function of each element. The result keeps the order of the elements in memory.
    ///
    /// # Errors
    /// The element type has no such function.
    pub fn unary(&self, op: Unary) -> Result<Self> {
        if !takes_integers(op) {
            check_float(name(op), self)?;
        }
        let x = self.dense()?;
        let device = x.device();
        let y = Self::filled(device, x.dtype(), x.layout().dense_like(), |out| {
            device.backend().unary(op, x.arg(), out);
        })?;
        let result = y.clone();
        Ok(record(&[self], y, || {
            let kept = match op.saved() {
                UnarySaved::Input => Some(x.clone()),
                UnarySaved::Output => Some(result),
                UnarySaved::Nothing => None,
            };
            UnaryRule { op, kept }
        }))
    }

    /// This gradient carried back through a function, given what [`Unary::saved`] names.
    pub(crate) fn through(&self, op: Unary, kept: &Self) -> Result<Self> {
        let dy = self.in_order_of(kept.layout())?;
        let device = dy.device();
        Self::filled(device, dy.dtype(), kept.layout().dense_like(), |dx| {
            device.backend().unary_grad(op, kept.arg(), dy.arg(), dx);
        })
    }

    /// Each element times `factor`.
    ///
    /// # Errors
    /// No memory is left.
    pub fn mul_scalar(&self, factor: f64) -> Result<Self> {
        self.unary(Unary::Affine { scale: factor, shift: 0.0 })
    }

    /// Each element plus `term`.
    ///
    /// # Errors
    /// No memory is left.
    pub fn add_scalar(&self, term: f64) -> Result<Self> {
        self.unary(Unary::Affine { scale: 1.0, shift: term })
    }

    /// Each element to the power of `exponent`.
    ///
    /// # Errors
    /// The elements are integers.
    pub fn powf(&self, exponent: f64) -> Result<Self> {
        self.unary(Unary::Pow { exponent })
    }

    /// Each element held between `low` and `high`.
    ///
    /// # Errors
    /// `low` is above `high`.
    pub fn clamp(&self, low: f64, high: f64) -> Result<Self> {
        if low > high || low.is_nan() || high.is_nan() {
            return Err(Error::op("clamp", format!("the lower bound {low} is above the upper bound {high}")));
        }
        self.unary(Unary::Clamp { low, high })
    }
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident = $op:expr;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// The element type has no such function.
            pub fn $name(&self) -> Result<Self> {
                self.unary($op)
            }
        )*}
    };
}
unary! {
    /// -x
    neg = Unary::Neg;
    /// |x|; derivative 0 at 0.
    abs = Unary::Abs;
    /// x²
    square = Unary::Square;
    /// √x
    sqrt = Unary::Sqrt;
    /// 1/√x
    rsqrt = Unary::Rsqrt;
    /// 1/x
    recip = Unary::Recip;
    /// eˣ
    exp = Unary::Exp;
    /// Natural logarithm.
    ln = Unary::Ln;
    /// eˣ - 1, precise near 0.
    exp_m1 = Unary::ExpM1;
    /// ln(1 + x), precise near 0.
    ln_1p = Unary::Ln1p;
    /// Sine.
    sin = Unary::Sin;
    /// Cosine.
    cos = Unary::Cos;
    /// Error function.
    erf = Unary::Erf;
    /// -1, 0 or 1; derivative 0.
    sign = Unary::Sign;
    /// Hyperbolic tangent.
    tanh = Unary::Tanh;
    /// 1/(1 + e⁻ˣ)
    sigmoid = Unary::Sigmoid;
    /// max(x, 0); derivative 0 at 0.
    relu = Unary::Relu;
    /// The tanh form of GELU (Hendrycks & Gimpel 2016).
    gelu_tanh = Unary::GeluTanh;
    /// GELU, x Φ(x) (Hendrycks & Gimpel 2016).
    gelu = Unary::GeluErf;
    /// x / (1 + e⁻ˣ), also called swish.
    silu = Unary::Silu;
    /// ln(1 + eˣ)
    softplus = Unary::Softplus;
}
