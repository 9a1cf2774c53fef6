//! The simulation engine: a network is cut into shards, laid out in final records, and stepped by a crew of threads.

mod calendar;
mod connectivity;
mod connectivity_csr;
mod connectivity_image;
mod digest;
mod fingerprint;
mod forecast;
mod lay_out;
mod machine;
mod memory;
mod options;
mod partition;
mod pathways;
mod recorder;
mod routing;
mod shard;
mod simulation;
mod snapshot;
mod spike_history;
mod state;
mod step_profile;
mod step_trace;
mod stimulus;

pub use connectivity::{Connectivity, StoredWeights, Synapse};
pub use connectivity_csr::SynapseSelection;
pub(crate) use connectivity_image::{ConnectivityShape, words_of};
pub use digest::{Digest, DigestState};
pub use forecast::{Expected, forecast};
pub use memory::part;
pub use options::{Precision, SimOptions};
pub(crate) use partition::Partition;
pub use recorder::{Layout, PopulationLayout, Recorder, Spike, SpikeRecorder, StateRecording, StateSample};
pub use simulation::{Figures, Outcome, Progress, RecorderHandle, Simulation};
pub use snapshot::{Counters, PopulationState, ProcessState, Snapshot, StateColumn};
pub use spike_history::SpikeHistory;
pub use step_profile::{PhaseProfile, StepProfile, WorkerProfile};
