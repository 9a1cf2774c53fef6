//! Optimizers: how parameters change given their gradients.
//!
//! A [`Method`] is an update equation with its hyperparameters, as plain data: [`Sgd`], [`Adam`], [`AdamW`], [`Lion`],
//! [`RmsProp`], with the equations and defaults of torch. [`Method::over`] makes an [`Optimizer`] of it, which steps all
//! parameters in one pass over memory: gradients are scaled, clipped and applied, and state and parameters written, while
//! an element is in registers.
//!
//! ```
//! use tessera::compute::Device;
//! use tessera::nn::{InitRng, Linear, Module};
//! use tessera::optim::{AdamW, Clip, Method, Optimizer, Schedule};
//! use tessera::tensor::Tensor;
//!
//! let device = Device::cpu();
//! let model = Linear::new(4, 1, &device, &mut InitRng::new(1))?;
//! let x = Tensor::new(&[0.1f32, 0.2, 0.3, 0.4], [1, 4], &device)?;
//! let mut optimizer = AdamW { lr: 0.05, ..AdamW::default() }.over(model.parameters())?;
//! optimizer.set_clip(Clip::norm(1.0))?;
//! let schedule = Schedule::Cosine { steps: 100, floor: 0.0 };
//! for step in 0..100 {
//!     optimizer.set_lr_factor(schedule.at(step))?;
//!     let loss = model.forward(&x)?.add_scalar(-2.0)?.square()?.mean_all()?;
//!     optimizer.step(&loss.backward()?)?;
//! }
//! assert!((model.forward(&x)?.item()? - 2.0).abs() < 0.1);
//! # Ok::<(), tessera::error::Error>(())
//! ```
//!
//! A step is the same bits for any number of threads. [`Schedule`] says how learning rates change over time,
//! [`LossScale`] keeps gradients of 16-bit training in range, and [`OptimizerState`] is what has to be saved to go on.

mod adam;
mod clip;
mod fused;
mod group;
mod lion;
mod loss_scale;
mod method;
mod optimizer;
mod rmsprop;
mod schedule;
mod sgd;
mod slot;
mod state;

pub use adam::{Adam, AdamW};
pub use clip::{Clip, NonFinite};
pub use fused::Fused;
pub use group::ParamGroup;
pub use lion::Lion;
pub use loss_scale::{LossScale, LossScaleState};
pub use method::Method;
pub use optimizer::{Optimizer, StepOptions, StepReport};
pub use rmsprop::RmsProp;
pub use schedule::Schedule;
pub use sgd::Sgd;
pub use state::OptimizerState;
