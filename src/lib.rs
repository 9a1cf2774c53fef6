//! Tessera simulates networks of spiking neurons, from a file (`tessera run`) or from Rust, and trains networks of layers.
//!
//! A network is described as plain data ([`NetworkSpec`](model::NetworkSpec)), made concrete
//! ([`BrainModel`](model::BrainModel)), laid out for a number of threads and stepped
//! ([`Simulation`](engine::Simulation)), and watched by recorders ([`Recorder`](engine::Recorder)). The same network
//! and seed give the same spikes with any number of threads and on every instruction set.
//!
//! ```
//! use tessera::prelude::*;
//!
//! fn main() -> Result<()> {
//!     let mut net = NetworkSpec::default();
//!     let neuron = || LifPscDelta { tau_m: 20.0, e_l: 0.0, v_reset: 0.0, v_th: 20.0, ..Default::default() };
//!     let exc = net.population("exc", 800, neuron())?;
//!     let inh = net.population("inh", 200, neuron())?;
//!     for target in [exc, inh] {
//!         let excitation = StaticSynapse { weight: 0.5, delay: 1.5 }; // mV, ms
//!         let inhibition = StaticSynapse { weight: Distribution::normal(-2.5, 0.25), delay: 1.5 };
//!         net.project(exc, target, ConnectionRule::FixedIndegree { n: 80 }, excitation)?;
//!         net.project(inh, target, ConnectionRule::FixedIndegree { n: 20 }, inhibition)?;
//!     }
//!     let input = |weight| StimulusKind::Poisson { weight, receptor: None };
//!     net.stimulate("to_exc", exc, 4_000.0, input(0.5))?; // Hz to each neuron
//!     net.stimulate("to_inh", inh, 4_000.0, input(0.5))?;
//!
//!     let model = BrainModel::build(&net, 42)?; // the seed
//!     let mut sim = Simulation::new(model, SimOptions { dt: 0.1, threads: 2, ..Default::default() })?;
//!     let spikes = sim.record(SpikeRecorder::of(["exc"]))?;
//!     sim.run(200.0)?; // ms
//!     println!("{:.1} Hz", sim.recorder(&spikes).mean_rate_hz());
//!     # assert!((5.0..100.0).contains(&sim.recorder(&spikes).mean_rate_hz()));
//!     Ok(())
//! }
//! ```
//!
//! | to | see |
//! |---|---|
//! | describe a network | [`model`], and the models in [`neuron`] |
//! | run it, record spikes and state | [`engine`] |
//! | read it from a file | [`config`] |
//! | write and read result files | [`storage`], [`interop`] |
//! | draw results | [`plot`] |
//! | measure scaling | [`scaling`] |
//! | compute with tensors and gradients | [`tensor`], on a [`Device`](compute::Device) |
//! | build and train networks of layers | [`nn`], [`optim`], [`precision`], [`quant`] |
//! | write a neuron model of your own | [`neuron::NeuronModel`], `examples/own_neuron_model.rs` |
//!
//! How the parts fit together is told in `ARCHITECTURE.md`, why they are as they are in `docs/decisions`.

#![deny(unsafe_code)]

pub mod bench;
pub mod claims;
pub mod cli;
pub mod compute;
pub mod config;
pub mod engine;
pub mod error;
pub mod interop;
pub mod lattice;
pub mod metrics;
pub mod model;
pub mod neuron;
pub mod nn;
pub mod op_bench;
pub mod optim;
pub mod plot;
pub mod precision;
pub mod quant;
pub mod rng;
pub mod scaling;
pub mod sparse;
pub mod storage;
pub mod synapse;
pub mod tensor;

/// What describing and running a network in Rust takes: `use tessera::prelude::*;`
pub mod prelude {
    pub use crate::config::RunSpec;
    pub use crate::engine::{
        Figures, Outcome, Precision, Progress, Recorder, SimOptions, Simulation, Spike, SpikeRecorder, StateRecording,
    };
    pub use crate::error::{Error, Result};
    pub use crate::lattice::{Box4, Cell, Lattice4, Position};
    pub use crate::model::{
        BrainModel, ConnectionRule, DelaySpec, DistanceKernel, DistanceRule, Distribution, Edge, KernelShape,
        NetworkSpec, Placement, PopulationId, Selection, StaticSynapse, StimulusKind,
    };
    pub use crate::neuron::{
        AdEx, Izhikevich, LifCondAlpha, LifCondExp, LifEuler, LifPscAlpha, LifPscDelta, LifPscExp, NeuronModel, Parrot,
        Poisson, SpikeTrain, Variable,
    };
    pub use crate::synapse::WeightBits;
}

/// Compiles and runs the Rust code of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// Compiles and runs the Rust code of the page on the dense layer.
#[cfg(doctest)]
#[doc = include_str!("../docs/dense.md")]
pub struct DensePage;

/// Compiles and runs the Rust code of the page on spiking layers.
#[cfg(doctest)]
#[doc = include_str!("../docs/spiking-layers.md")]
pub struct SpikingLayersPage;
