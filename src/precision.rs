//! Mixed precision: which operations compute in 16 bits.
//!
//! Parameters stay in `f32` (they are the master weights); within [`autocast`] the operands of products and convolutions
//! are rounded to 16 bits, multiplied with sums in `f32`, and the result is rounded once. Operations that lose too much
//! in 16 bits (normalisation, softmax, losses, large sums) get their 16-bit operands widened. Gradients flow through the
//! roundings, so they arrive at the parameters in `f32`. After Micikevicius et al. (2018), "Mixed precision training",
//! arXiv:1710.03740; `f16` needs a scaled loss, `bf16` does not.

use crate::compute::DType;
use std::cell::Cell;

/// What an operation does to its operands under a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpClass {
    /// Products of matrices, linear maps, convolutions: most of the work, sums kept in `f32`.
    Product,
    /// Normalisation, softmax, losses, sums, means, powers: little work, much to lose.
    Sensitive,
    /// Everything else computes in the type its operands come in; where two differ, in the wider.
    Neutral,
}

/// The types operations compute in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Type of the operands of [`OpClass::Product`].
    pub product: DType,
    /// Type of the operands of [`OpClass::Sensitive`].
    pub sensitive: DType,
}

impl Policy {
    /// Products in `bf16`, the rest as they come.
    pub const BF16: Self = Self { product: DType::Bf16, sensitive: DType::F32 };
    /// Products in `f16`; scale the loss.
    pub const F16: Self = Self { product: DType::F16, sensitive: DType::F32 };

    /// The type operands of a class are converted to; `None` leaves them.
    pub fn operand(self, class: OpClass) -> Option<DType> {
        match class {
            OpClass::Product => Some(self.product),
            OpClass::Sensitive => Some(self.sensitive),
            OpClass::Neutral => None,
        }
    }
}

thread_local! {
    static CURRENT: Cell<Option<Policy>> = const { Cell::new(None) };
}

struct Restore(Option<Policy>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs `work`, usually the forward pass and the loss, under a policy. The backward pass follows the types the forward
/// pass used and may run outside.
///
/// ```
/// use tessera::compute::{DType, Device};
/// use tessera::precision::{Policy, autocast};
/// use tessera::tensor::Tensor;
/// let x = Tensor::ones([4, 8], DType::F32, &Device::cpu())?;
/// let y = autocast(Policy::BF16, || x.matmul(&x.t()?))?;
/// assert_eq!(y.dtype(), DType::Bf16);
/// # Ok::<(), tessera::error::Error>(())
/// ```
pub fn autocast<R>(policy: Policy, work: impl FnOnce() -> R) -> R {
    under(Some(policy), work)
}

/// Runs `work` under a policy or under none.
pub fn under<R>(policy: Option<Policy>, work: impl FnOnce() -> R) -> R {
    let _restore = Restore(CURRENT.replace(policy));
    work()
}

/// The policy of this thread.
#[inline]
pub fn current() -> Option<Policy> {
    CURRENT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_nest_and_survive_panics() {
        autocast(Policy::BF16, || {
            under(None, || assert_eq!(current(), None));
            let unwound = std::panic::catch_unwind(|| autocast(Policy::F16, || panic!("planned")));
            assert!(unwound.is_err());
            assert_eq!(current(), Some(Policy::BF16));
        });
        assert_eq!(current(), None);
    }
}
