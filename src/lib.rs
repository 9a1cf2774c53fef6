//! Tessera: a spiking-neural simulation engine.

#![deny(unsafe_code)]

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
pub mod plot;
pub mod rng;
pub mod scaling;
pub mod storage;
pub mod synapse;
