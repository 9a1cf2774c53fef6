//! The memory of a simulation by part: bytes counted, not guessed.

use super::machine::Shards;
use super::recorder::Spike;
use super::simulation::Simulation;
use crate::compute::Device;
use crate::compute::records::SourceRow;
use crate::compute::simd::Real;
use crate::metrics::MemorySnapshot;

/// Names of the parts of [`Simulation::memory`] and of the estimate of `tessera check`.
pub mod part {
    /// State variables and refractory counters of neurons.
    pub const STATE: &str = "neuron state";
    /// Parameters that differ between neurons, and constants derived from them.
    pub const PARAMETERS: &str = "neuron parameters";
    /// Positions of neurons on the lattice or in space.
    pub const POSITIONS: &str = "positions";
    /// What stimuli keep for neurons, and their events.
    pub const STIMULI: &str = "stimuli";
    /// Synapse records with the heads that list their segments.
    pub const SYNAPSES: &str = "synapses";
    /// Tables from each neuron to its synapses.
    pub const INDEX: &str = "source index";
    /// Synapses of procedural projections on their way, and the tables they are drawn from.
    pub const PROCEDURAL: &str = "procedural synapses";
    /// Segments on their way, by step of arrival.
    pub const CALENDAR: &str = "calendar";
    /// Sums of the weights that arrive in a step.
    pub const ROWS: &str = "input rows";
    /// Tiles and lists that a step works in.
    pub const BUFFERS: &str = "work buffers";
    /// Spikes and samples between shards and recorders, and spikes of the longest delay.
    pub const LOGS: &str = "logs";
    /// What recorders keep in memory.
    pub const RECORDERS: &str = "recorders";
    /// Lists of synapses in the description of the network.
    pub const DESCRIPTION: &str = "edge lists";
    /// Synapse records in a mapped model file.
    pub const MODEL_FILE: &str = "model file pages";
    /// Blocks of the pool of tensors.
    pub const POOL: &str = "tensor pool";
}

impl Simulation {
    /// The memory of the simulation by part, as of now, under a name for the time. Buffers and logs count with the room
    /// they keep, which is that of their fullest time. The names of the parts are in [`part`].
    pub fn memory(&mut self, name: &str) -> MemorySnapshot {
        let mut memory = MemorySnapshot::new(name);
        self.machine.add_memory(&mut memory);
        for population in self.model.populations() {
            memory.add(part::PARAMETERS, population.param_bytes() as u64);
            memory.add(part::POSITIONS, population.position_bytes() as u64);
        }
        memory.add(part::DESCRIPTION, self.model.edge_bytes() as u64);
        let collected = self.collected.spikes.capacity() * size_of::<(u64, u32)>()
            + self.collected.samples.iter().map(|samples| samples.capacity() * 4).sum::<usize>();
        let spikes = (self.batch.capacity() + self.in_flight.capacity()) * size_of::<Spike>();
        memory.add(part::LOGS, (collected + spikes) as u64);
        memory.add(part::RECORDERS, self.recorders.iter().map(|recorder| recorder.bytes() as u64).sum());
        if let Some(pool) = Device::cpu_pool_figures() {
            memory.add(part::POOL, pool.bytes_in_use + pool.bytes_held);
        }
        memory
    }
}

impl<T: Real> Shards<T> {
    pub(super) fn add_memory(&mut self, memory: &mut MemorySnapshot) {
        let mut first = true;
        for worker in &mut self.shards {
            for shard in worker.get_mut().unwrap_or_else(|e| e.into_inner()) {
                for slice in &shard.slices {
                    let values: usize = slice.columns.iter().map(|column| column.len() * size_of::<T>()).sum();
                    memory.add(part::STATE, (values + slice.refractory.len() * 2) as u64);
                    memory.add(part::PARAMETERS, slice.stepper.bytes() as u64);
                    memory.add(part::STIMULI, slice.stimuli.iter().map(|s| s.bytes(first) as u64).sum());
                }
                for pathway in &shard.pathways {
                    let (arena, rows) = (&pathway.store.arena, &pathway.store.rows);
                    let records = arena.written_bytes() as u64;
                    if arena.is_lent() {
                        memory.add_mapped(part::MODEL_FILE, records);
                    } else {
                        memory.add(part::SYNAPSES, records);
                    }
                    memory.add(part::INDEX, (rows.len() * size_of::<SourceRow>()) as u64);
                    memory.add(part::CALENDAR, pathway.calendar.bytes() as u64);
                }
                memory.add(part::ROWS, shard.rows.bytes() as u64);
                memory.add(part::BUFFERS, shard.scratch.bytes() as u64);
                let log = shard.log.capacity() * size_of::<(u64, u32)>() + shard.samples.capacity() * 4;
                memory.add(part::LOGS, log as u64);
                first = false;
            }
        }
        if let Some(procedural) = &self.procedural {
            memory.add(part::PROCEDURAL, procedural.bytes());
        }
        for mailbox in &mut self.mailboxes {
            let spikes = mailbox.list_mut(0).capacity() + mailbox.list_mut(1).capacity();
            memory.add(part::LOGS, (spikes * 4) as u64);
        }
    }
}
