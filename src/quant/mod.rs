//! Inference with 8-bit integers.
//!
//! A trained network is run on a few calibration batches; the range of what arrives at each linear and convolutional
//! layer is observed, and the network is rebuilt with layers that round their inputs to unsigned bytes (one scale and
//! zero point a layer), multiply them with weights rounded to signed bytes (one scale an output channel), sum exactly in
//! 32 bits and return `f32`. What the rounding costs is reported. After Jacob et al. (2018), arXiv:1712.05877, and
//! Krishnamoorthi (2018), arXiv:1806.08342.

mod convert;
mod layers;
mod observer;

pub use convert::{Loss, QuantReport, QuantisedLayer, accuracy, quantise};
pub use layers::{QuantConv2d, QuantLinear};
pub use observer::{Calibration, Observer};
