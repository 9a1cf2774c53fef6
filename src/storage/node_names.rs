//! What neurons are called in SONATA files, where that is not the name of their population and 0, 1, 2, ...

use std::sync::Arc;

/// Names of the nodes of one population of the network, as the SONATA files it was read from have them.
///
/// Nodes of one SONATA population may have several models and so be several populations here; in result files they are
/// one population again, with the ids they had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeNames {
    /// Population of the network.
    pub population: String,
    /// Population in the files.
    pub group: String,
    /// Id in the files of each neuron, in order; each belongs to one neuron of the group.
    pub ids: Arc<[u32]>,
}

/// The names of all populations that have others than their own.
#[derive(Debug, Default)]
pub(super) struct Naming(Vec<NodeNames>);

impl Naming {
    pub(super) fn new(names: &[NodeNames]) -> Self {
        Self(names.to_vec())
    }

    fn of(&self, population: &str) -> Option<&NodeNames> {
        self.0.iter().find(|names| names.population == population)
    }

    /// Name in the files of a population of the network.
    pub(super) fn group<'a>(&'a self, population: &'a str) -> &'a str {
        self.of(population).map_or(population, |names| &names.group)
    }

    /// Ids of the neurons of a population of `size`, if they are not 0, 1, 2, ...
    pub(super) fn ids(&self, population: &str, size: u32) -> Option<Arc<[u32]>> {
        self.of(population).map(|names| names.ids.clone()).filter(|ids| ids.len() == size as usize)
    }
}
