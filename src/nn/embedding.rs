//! Tables of vectors.

use super::module::{Module, Slot, Visitor};
use super::{Init, InitRng, Param};
use crate::compute::Device;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Maps numbers (`i32`, any shape) to rows of a table: the shape with an axis of the row's length after it.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// [entries, length]
    pub weight: Param,
    /// An entry that stays as it is: no gradient flows to it.
    pub padding: Option<usize>,
}

impl Embedding {
    /// A table of that many entries, drawn as torch does from the standard normal distribution.
    ///
    /// # Errors
    /// No memory is left.
    pub fn new(entries: usize, length: usize, device: &Device, rng: &mut InitRng) -> Result<Self> {
        let weight = Init::Normal(0.0, 1.0).draw([entries, length], (entries, length), rng.key(), device)?;
        Ok(Self { weight: Param::new(&weight), padding: None })
    }

    /// The same, where entry `padding` is zero and stays so.
    ///
    /// # Errors
    /// There is no such entry, or no memory is left.
    pub fn padded(entries: usize, length: usize, padding: usize, device: &Device, rng: &mut InitRng) -> Result<Self> {
        if padding >= entries {
            return Err(Error::op("Embedding", format!("there is no entry {padding} of {entries} for the padding")));
        }
        let drawn = Self::new(entries, length, device, rng)?.weight.value();
        let zero = Tensor::zeros([1, length], drawn.dtype(), device)?;
        let (before, after) = (drawn.narrow(0, 0, padding)?, drawn.narrow(0, padding + 1, entries - padding - 1)?);
        let weight = Tensor::cat(&[&before, &zero, &after], 0)?;
        Ok(Self { weight: Param::new(&weight), padding: Some(padding) })
    }
}

impl Module for Embedding {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let skip = self.padding.and_then(|padding| i32::try_from(padding).ok());
        self.weight.tensor().index_select_but(0, x, skip)
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor("weight", Slot::Param(&self.weight));
    }
}
