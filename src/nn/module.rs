//! What every layer is.

use super::{Conv2d, Linear, Param, State};
use crate::compute::Activation;
use crate::error::Result;
use crate::tensor::Tensor;

/// Something a module holds under a name.
#[derive(Clone, Copy)]
pub enum Slot<'a> {
    /// Trained.
    Param(&'a Param),
    /// Kept with the parameters, not trained.
    State(&'a State),
    /// A module within.
    Child(&'a dyn Module),
}

/// Layers that other parts of the library know how to take apart, for example to round them to bytes.
#[derive(Clone, Copy)]
pub enum Layer<'a> {
    /// A fully connected layer.
    Linear(&'a Linear),
    /// A convolution of images.
    Conv2d(&'a Conv2d),
    /// Anything else.
    Other,
}

/// What [`Module::visit`] calls for each thing a module holds.
pub type Visitor<'v> = dyn FnMut(&str, Slot<'_>) + 'v;

/// A layer, or a network of layers.
pub trait Module: Send + Sync {
    /// The output for an input.
    ///
    /// # Errors
    /// A shape, element type or device that does not fit; the message names the shapes.
    fn forward(&self, x: &Tensor) -> Result<Tensor>;

    /// Names what it holds, always in the same order. Layers without parameters need not.
    fn visit(&self, visitor: &mut Visitor<'_>) {
        let _ = visitor;
    }

    /// Switches between training and inference, for layers that differ between them; containers pass it on.
    fn set_training(&self, training: bool) {
        self.visit(&mut |_, slot| {
            if let Slot::Child(child) = slot {
                child.set_training(training);
            }
        });
    }

    /// Forgets what it carries from one input to the next, such as membrane potentials; containers pass it on.
    fn reset_state(&self) {
        self.visit(&mut |_, slot| {
            if let Slot::Child(child) = slot {
                child.reset_state();
            }
        });
    }

    /// What it is, where that is one of the layers others take apart.
    fn layer(&self) -> Layer<'_> {
        Layer::Other
    }

    /// The activation it is, if a kernel can apply it while it makes its output.
    fn activation(&self) -> Option<Activation> {
        None
    }

    /// The output after an activation, in one kernel; `None` if it has no such kernel.
    fn forward_activated(&self, x: &Tensor, activation: Activation) -> Option<Result<Tensor>> {
        let _ = (x, activation);
        None
    }

    /// Whether [`Module::forward_rectified`] takes no pass more than [`Module::forward`].
    fn absorbs_relu(&self) -> bool {
        false
    }

    /// The output for max(x, 0).
    ///
    /// # Errors
    /// As [`Module::forward`].
    fn forward_rectified(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(&x.relu()?)
    }

    /// All parameters with dotted names (`0.weight`), its own and those of modules within.
    fn named_parameters(&self) -> Vec<(String, Param)> {
        let mut all = Vec::new();
        collect(&|visitor| self.visit(visitor), "", &mut |name, slot| {
            if let Slot::Param(param) = slot {
                all.push((name.to_owned(), param.clone()));
            }
        });
        all
    }

    /// All parameters.
    fn parameters(&self) -> Vec<Param> {
        self.named_parameters().into_iter().map(|(_, param)| param).collect()
    }

    /// Values of all parameters and other state with dotted names: what is saved and loaded.
    fn named_tensors(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        collect(&|visitor| self.visit(visitor), "", &mut |name, slot| match slot {
            Slot::Param(param) => all.push((name.to_owned(), param.value())),
            Slot::State(state) => all.push((name.to_owned(), state.value())),
            Slot::Child(_) => {}
        });
        all
    }

    /// Number of elements of all parameters.
    fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|param| param.value().len()).sum()
    }
}

/// Calls `found` with everything below, under dotted names.
pub(crate) fn collect(visit: &dyn Fn(&mut Visitor<'_>), prefix: &str, found: &mut Visitor<'_>) {
    visit(&mut |name, slot| {
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        found(&path, slot);
        if let Slot::Child(child) = slot {
            collect(&|visitor| child.visit(visitor), &path, found);
        }
    });
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        (**self).forward(x)
    }
    fn visit(&self, visitor: &mut Visitor<'_>) {
        (**self).visit(visitor);
    }
    fn set_training(&self, training: bool) {
        (**self).set_training(training);
    }
    fn reset_state(&self) {
        (**self).reset_state();
    }
    fn layer(&self) -> Layer<'_> {
        (**self).layer()
    }
    fn activation(&self) -> Option<Activation> {
        (**self).activation()
    }
    fn forward_activated(&self, x: &Tensor, activation: Activation) -> Option<Result<Tensor>> {
        (**self).forward_activated(x, activation)
    }
    fn absorbs_relu(&self) -> bool {
        (**self).absorbs_relu()
    }
    fn forward_rectified(&self, x: &Tensor) -> Result<Tensor> {
        (**self).forward_rectified(x)
    }
}
