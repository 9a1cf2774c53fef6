//! Update equations with their hyperparameters.

use super::fused::Fused;
use super::group::ParamGroup;
use crate::compute::Rule;
use crate::error::{Error, Fault, Result};
use crate::nn::Param;

mod sealed {
    /// A method is a [`Rule`](crate::compute::Rule) of the kernels, so all are the library's own.
    pub trait Sealed {}
}
pub(super) use sealed::Sealed;

/// An update equation with its hyperparameters; plain data.
pub trait Method: Sealed + Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Its name, as saved with its state.
    const NAME: &'static str;

    /// Learning rate.
    fn lr(&self) -> f64;
    /// Sets the learning rate.
    fn set_lr(&mut self, lr: f64);
    /// Weight decay.
    fn weight_decay(&self) -> f64;
    /// Sets the weight decay.
    fn set_weight_decay(&mut self, weight_decay: f64);

    /// All hyperparameters with their names; truth values are 0 and 1.
    fn numbers(&self) -> Vec<(&'static str, f64)>;
    /// Sets a hyperparameter by name; `false` if there is none of that name.
    fn set_number(&mut self, name: &str, value: f64) -> bool;

    /// Names of the tensors it keeps for a parameter, as torch names them.
    fn state_names(&self) -> &'static [&'static str];

    /// What step `step` of a parameter (1 for the first) does with learning rate `lr`.
    fn rule(&self, lr: f64, step: u64) -> Rule;

    /// What is wrong with the hyperparameters.
    fn faults(&self) -> Vec<Fault>;

    /// An optimizer of one group.
    ///
    /// # Errors
    /// As [`Fused::new`].
    fn over(self, params: impl IntoIterator<Item = Param>) -> Result<Fused<Self>>
    where
        Self: Sized,
    {
        Fused::new([ParamGroup::new(params, self)])
    }

    /// Refuses hyperparameters out of range.
    ///
    /// # Errors
    /// All that are, with the ranges allowed.
    fn check(&self) -> Result<()> {
        let faults = self.faults();
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }
}

/// Collects what is wrong with hyperparameters.
pub(super) struct Checker {
    method: &'static str,
    faults: Vec<Fault>,
}

impl Checker {
    pub(super) fn new(method: &'static str) -> Self {
        Self { method, faults: Vec::new() }
    }

    pub(super) fn fault(mut self, name: &str, message: impl Into<String>) -> Self {
        self.faults.push(Fault::new(format!("{}.{name}", self.method), message));
        self
    }

    /// At least 0 and finite.
    pub(super) fn not_negative(self, name: &str, value: f64) -> Self {
        if value >= 0.0 && value.is_finite() {
            return self;
        }
        self.fault(name, format!("{value} is not allowed; it must be at least 0 and finite"))
    }

    /// At least 0 and below 1.
    pub(super) fn share(self, name: &str, value: f64) -> Self {
        if (0.0..1.0).contains(&value) {
            return self;
        }
        self.fault(name, format!("{value} is not allowed; it must be at least 0 and below 1"))
    }

    pub(super) fn faults(self) -> Vec<Fault> {
        self.faults
    }
}

/// The parts of [`Method`] that only list fields: numbers, then truth values.
macro_rules! hyperparameters {
    ($($number:ident),*; $($truth:ident),*) => {
        fn lr(&self) -> f64 {
            self.lr
        }
        fn set_lr(&mut self, lr: f64) {
            self.lr = lr;
        }
        fn weight_decay(&self) -> f64 {
            self.weight_decay
        }
        fn set_weight_decay(&mut self, weight_decay: f64) {
            self.weight_decay = weight_decay;
        }
        fn numbers(&self) -> Vec<(&'static str, f64)> {
            vec![$((stringify!($number), self.$number),)* $((stringify!($truth), f64::from(u8::from(self.$truth))),)*]
        }
        fn set_number(&mut self, name: &str, value: f64) -> bool {
            match name {
                $(stringify!($number) => self.$number = value,)*
                $(stringify!($truth) => self.$truth = value != 0.0,)*
                _ => return false,
            }
            true
        }
    };
}
pub(super) use hyperparameters;
