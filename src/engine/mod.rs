//! The simulation engine: a network is cut into shards, laid out in final records, and stepped by a crew of threads.

mod calendar;
mod connectivity;
mod connectivity_csr;
mod connectivity_image;
mod digest;
mod fingerprint;
mod inactive;
mod lay_out;
mod machine;
mod options;
mod partition;
mod pathways;
mod recorder;
mod routing;
mod shard;
mod simulation;
mod snapshot;
mod state;
mod stimulus;

pub use connectivity::{Connectivity, StoredWeights, Synapse};
pub use connectivity_csr::SynapseSelection;
pub(crate) use connectivity_image::{ConnectivityShape, words_of};
pub use digest::{Digest, DigestState};
pub use inactive::{Inactive, InactiveFigures, StateCompressor};
pub use options::{Precision, SimOptions};
pub(crate) use partition::Partition;
pub use recorder::{Layout, PopulationLayout, Recorder, Spike, SpikeRecorder, StateRecording, StateSample};
pub use simulation::{Figures, Outcome, Progress, RecorderHandle, Simulation};
pub use snapshot::{Counters, PopulationState, ProcessState, Snapshot, StateColumn};
