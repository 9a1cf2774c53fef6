//! Pictures of results: spikes, rates, distributions, state variables, lattice activity and scaling, as SVG and PNG.
//!
//! Each kind of picture is a plain struct that borrows its data ([`Raster`], [`Rates`], [`Histograms`], [`Traces`],
//! [`LatticeMap`], [`PartitionMap`], [`Scaling`]); its `picture` method lays it out for one [`Size`] and returns a [`Picture`], which is
//! saved in both formats or handed out as text and bytes. The numbers behind them are in [`statistics`].
//!
//! Letters are drawn as outlines of an embedded font, so a picture needs no font on the machine that shows it and
//! looks the same everywhere. The same input gives the same bytes.

mod axes;
mod canvas;
mod colour;
mod font;
mod histograms;
mod lattice;
mod partitions;
mod png;
mod raster;
mod rates;
mod scaling;
mod sheet;
pub mod statistics;
mod svg;
mod timings;
mod traces;

pub use canvas::{Picture, Size};
pub use histograms::Histograms;
pub use lattice::{LatticeActivity, LatticeMap, Slices};
pub use partitions::PartitionMap;
pub use raster::Raster;
pub use rates::Rates;
pub use scaling::{Scaling, ScalingPoint};
pub use statistics::Window;
pub use timings::{TimingRow, Timings};
pub use traces::{Trace, Traces};
