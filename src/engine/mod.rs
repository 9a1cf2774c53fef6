//! The simulation engine.

mod recorder;

pub use recorder::{Layout, PopulationLayout, Recorder, Spike, SpikeRecorder, StateRecording, StateSample};
