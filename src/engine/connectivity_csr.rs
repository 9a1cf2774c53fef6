//! The synapses between two populations as a sparse matrix.

use super::connectivity::Connectivity;
use crate::compute::cpu::Cpu;
use crate::error::Result;
use crate::model::{BrainModel, PopulationId};
use crate::sparse::Csr;
use std::sync::{Mutex, PoisonError};

/// Which synapses between two populations are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SynapseSelection {
    /// Only those onto this receptor of the target; all where `None`.
    pub receptor: Option<usize>,
    /// Only those with this delay in steps; all where `None`.
    pub delay: Option<u32>,
}

/// Source neurons that are read together.
const SOURCES: usize = 256;

/// Rows of consecutive sources: the number of elements of each, and all of them.
#[derive(Default)]
struct Piece {
    counts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Connectivity {
    /// The synapses from population `source` onto population `target` as a matrix, one row for each source neuron and
    /// one column for each target, both numbered within their population. Values are weights as they are stored, in the
    /// receptor's unit and with their sign. Synapses between the same two neurons are added up (exactly, as multiples
    /// of the receptor's unit); a matrix has no delays, so take one for each delay where they matter.
    ///
    /// Spikes of a step times the matrix for delay d are thus what arrives d steps later, as the engine sums it.
    ///
    /// # Errors
    /// If the synapses lie in a file that is damaged.
    ///
    /// # Panics
    /// If there are no such populations, or `model` is not the model this was built for.
    pub fn to_csr(
        &self,
        model: &BrainModel,
        source: PopulationId,
        target: PopulationId,
        which: SynapseSelection,
        cpu: &Cpu,
    ) -> Result<Csr<f64>> {
        let (from, to) = (&model.populations()[source.0], &model.populations()[target.0]);
        let rows = from.size() as usize;
        let pieces: Vec<Mutex<Result<Piece>>> =
            (0..rows.div_ceil(SOURCES)).map(|_| Mutex::new(Ok(Piece::default()))).collect();
        cpu.crew.for_each(pieces.len(), &|at| {
            let sources = at * SOURCES..((at + 1) * SOURCES).min(rows);
            let piece = self.piece(model, sources.map(|row| from.first() + row as u32), target.0, which);
            *pieces[at].lock().unwrap_or_else(PoisonError::into_inner) = piece;
        });
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for piece in pieces {
            let piece = piece.into_inner().unwrap_or_else(PoisonError::into_inner)?;
            for count in piece.counts {
                starts.push(starts[starts.len() - 1] + count);
            }
            columns.extend(piece.columns);
            values.extend(piece.values);
        }
        Csr::new(to.size() as usize, starts, columns, values)
    }

    fn piece(
        &self,
        model: &BrainModel,
        sources: impl Iterator<Item = u32>,
        target: usize,
        which: SynapseSelection,
    ) -> Result<Piece> {
        let mut piece = Piece::default();
        // (column, receptor, weight on the receptor's grid)
        let mut row: Vec<(u32, usize, i64)> = Vec::new();
        for source in sources {
            row.clear();
            self.for_each_record(source, &mut |at, record| {
                let delay = self.delays[usize::from(record.class)];
                let chosen = at.population == target
                    && which.receptor.is_none_or(|receptor| receptor == at.receptor)
                    && which.delay.is_none_or(|wanted| wanted == delay);
                if chosen {
                    row.push((at.neuron, at.receptor, i64::from(record.weight)));
                }
            })?;
            row.sort_unstable_by_key(|(column, receptor, _)| (*column, *receptor));
            let before = piece.columns.len();
            for of_target in row.chunk_by(|a, b| a.0 == b.0) {
                let value = of_target.chunk_by(|a, b| a.1 == b.1).map(|of_receptor| {
                    let sum: i64 = of_receptor.iter().map(|(.., weight)| weight).sum();
                    sum as f64 * self.unit(model, target, of_receptor[0].1)
                });
                piece.columns.push(of_target[0].0);
                piece.values.push(value.sum());
            }
            piece.counts.push(piece.columns.len() - before);
        }
        Ok(piece)
    }
}
