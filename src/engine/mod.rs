//! The simulation engine: a network is cut into shards, laid out in final records, and stepped by a crew of threads.

mod calendar;
mod connectivity;
mod connectivity_csr;
mod connectivity_image;
mod cut;
mod digest;
mod fingerprint;
mod lay_out;
mod load;
mod locality;
mod machine;
mod options;
mod partition;
mod partition_report;
mod pathways;
mod rebalance;
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
pub(crate) use cut::MOST_SHARDS;
pub use cut::{CutOptions, CutStrategy};
pub use digest::{Digest, DigestState};
pub use locality::Locality;
pub use options::{Precision, SimOptions};
pub(crate) use partition::Partition;
pub use partition_report::{PartitionReport, PartitionShare, Spread};
pub use recorder::{Layout, PopulationLayout, Recorder, Spike, SpikeRecorder, StateRecording, StateSample};
pub use simulation::{Figures, Outcome, Progress, RecorderHandle, Simulation};
pub use snapshot::{Counters, PopulationState, ProcessState, Snapshot, StateColumn};
