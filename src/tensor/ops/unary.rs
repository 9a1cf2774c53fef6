//! Functions of one number, elementwise.

use super::check_float;
use crate::compute::Unary;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

struct UnaryRule {
    op: Unary,
    /// Whichever of input and result the derivative is written in; the other may be freed.
    x: Option<Tensor>,
    y: Option<Tensor>,
}

/// What a derivative needs: (input, result).
fn needs(op: Unary) -> (bool, bool) {
    match op {
        Unary::Affine(..) => (false, false),
        Unary::Sqrt | Unary::Rsqrt | Unary::Recip | Unary::Exp | Unary::Tanh | Unary::Sigmoid => (false, true),
        // The sign of the result is that of the input.
        Unary::Relu => (false, true),
        Unary::Elu(_) => (true, true),
        _ => (true, false),
    }
}

impl Backward for UnaryRule {
    fn name(&self) -> &'static str {
        name(self.op)
    }

    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let dx = match (&self.x, &self.y, self.op) {
            (None, None, Unary::Affine(a, _)) => dy.unary(Unary::Affine(a, 0.0))?,
            (x, y, _) => {
                // Kernels look only at the one the derivative is written in.
                let kept = x.as_ref().or(y.as_ref()).unwrap_or(dy);
                let dy = dy.in_order_of(kept.layout())?;
                let (x, y) = (x.as_ref().unwrap_or(kept), y.as_ref().unwrap_or(kept));
                let device = dy.device();
                Tensor::filled(device, dy.dtype(), kept.layout().dense_like(), |dx| {
                    device.backend().unary_grad(self.op, x.arg(), y.arg(), dy.arg(), dx);
                })?
            }
        };
        Ok(vec![Some(dx)])
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        self.x.iter().chain(&self.y).for_each(visit);
    }
}

fn name(op: Unary) -> &'static str {
    match op {
        Unary::Affine(..) => "affine",
        Unary::Abs => "abs",
        Unary::Square => "square",
        Unary::Sqrt => "sqrt",
        Unary::Rsqrt => "rsqrt",
        Unary::Recip => "recip",
        Unary::Exp => "exp",
        Unary::Ln => "ln",
        Unary::Tanh => "tanh",
        Unary::Sigmoid => "sigmoid",
        Unary::Relu => "relu",
        Unary::LeakyRelu(_) => "leaky_relu",
        Unary::Elu(_) => "elu",
        Unary::GeluTanh => "gelu_tanh",
        Unary::Gelu => "gelu",
        Unary::Silu => "silu",
        Unary::Softplus => "softplus",
        Unary::Clamp(..) => "clamp",
        #[allow(unreachable_patterns)]
        _ => "unary",
    }
}

impl Tensor {
    /// A function of each element. The result keeps the order of the elements in memory.
    ///
    /// # Errors
    /// The element type has no such function.
    pub fn unary(&self, op: Unary) -> Result<Self> {
        let any = matches!(op, Unary::Affine(..) | Unary::Abs | Unary::Square | Unary::Relu | Unary::Clamp(..));
        if !any {
            check_float(name(op), self)?;
        }
        let x = self.dense()?;
        let device = x.device();
        let y = Self::filled(device, x.dtype(), x.layout().dense_like(), |out| {
            device.backend().unary(op, x.arg(), out);
        })?;
        let kept = y.clone();
        Ok(record(&[self], y, || {
            let (of_x, of_y) = needs(op);
            UnaryRule { op, x: of_x.then(|| x.clone()), y: of_y.then_some(kept) }
        }))
    }

    /// Each element times `factor`.
    ///
    /// # Errors
    /// No memory is left.
    pub fn mul_scalar(&self, factor: f64) -> Result<Self> {
        self.unary(Unary::Affine(factor, 0.0))
    }

    /// Each element plus `term`.
    ///
    /// # Errors
    /// No memory is left.
    pub fn add_scalar(&self, term: f64) -> Result<Self> {
        self.unary(Unary::Affine(1.0, term))
    }

    /// Each element held between `low` and `high`.
    ///
    /// # Errors
    /// `low` is above `high`.
    pub fn clamp(&self, low: f64, high: f64) -> Result<Self> {
        if low > high || low.is_nan() || high.is_nan() {
            return Err(Error::op("clamp", format!("the lower bound {low} is above the upper bound {high}")));
        }
        self.unary(Unary::Clamp(low, high))
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
    neg = Unary::Affine(-1.0, 0.0);
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
    /// Hyperbolic tangent.
    tanh = Unary::Tanh;
    /// 1/(1 + e⁻ˣ)
    sigmoid = Unary::Sigmoid;
    /// max(x, 0); derivative 0 at 0.
    relu = Unary::Relu;
    /// The tanh form of GELU (Hendrycks & Gimpel 2016).
    gelu_tanh = Unary::GeluTanh;
    /// GELU, x Φ(x) (Hendrycks & Gimpel 2016).
    gelu = Unary::Gelu;
    /// x / (1 + e⁻ˣ), also called swish.
    silu = Unary::Silu;
    /// ln(1 + eˣ)
    softplus = Unary::Softplus;
}
