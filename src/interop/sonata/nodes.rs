//! Files of nodes.
//!
//! `/nodes/<population>` has `node_type_id`, `node_id` (without it, nodes are numbered from 0), `node_group_id` and
//! `node_group_index`, and groups `0`, `1`, ... with a column a property; `<group>/dynamics_params` has columns of
//! parameters. A property that is no column is looked up in the types table.

use super::attribute::{Attribute, Members, Value};
use super::hdf5::Hdf5;
use super::types::Types;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// A population of nodes, in the order of their ids.
#[derive(Debug)]
pub struct NodePopulation {
    name: String,
    file: Arc<Hdf5>,
    at: String,
    ids: Vec<u64>,
    in_order: bool,
    members: Members,
    types: Arc<Types>,
}

/// Most nodes of a population.
const MOST_NODES: usize = u32::MAX as usize;

/// Reads every population of a file.
///
/// # Errors
/// A file cannot be read, or is not what the format says.
pub fn read_nodes(nodes: &Path, types: Option<&Path>) -> Result<Vec<NodePopulation>> {
    let file = Arc::new(Hdf5::open(nodes)?);
    let types = Arc::new(Types::read(types, "node_type_id")?);
    let Some(names) = file.groups("nodes")? else {
        return Err(file.error("nodes", "there is no such group; it is not a SONATA file of nodes"));
    };
    names.iter().map(|name| NodePopulation::read(&file, &types, name)).collect()
}

impl NodePopulation {
    fn read(file: &Arc<Hdf5>, types: &Arc<Types>, name: &str) -> Result<Self> {
        let at = format!("nodes/{name}");
        let present = file.datasets(&at)?;
        let has = |name: &str| present.iter().any(|known| known == name);
        let Some(counted) = ["node_id", "node_type_id", "node_group_index"].into_iter().find(|name| has(name)) else {
            return Err(file.error(&at, "it has neither `node_id` nor `node_type_id`; one a node is expected"));
        };
        let count = file.length(&format!("{at}/{counted}"))?;
        if count > MOST_NODES {
            return Err(file.error(&at, format!("{count} nodes are more than {MOST_NODES}")));
        }
        let mut members = Members::read(file, &at, "node", count, types)?;
        let mut ids =
            if has("node_id") { file.indices(&format!("{at}/node_id"))? } else { (0..count as u64).collect() };
        if !ids.is_sorted() {
            let mut order: Vec<u32> = (0..count as u32).collect();
            order.sort_by_key(|i| ids[*i as usize]);
            ids = order.iter().map(|i| ids[*i as usize]).collect();
            members.reorder(&order);
        }
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(file.error(&format!("{at}/node_id"), format!("node {} is there twice", pair[0])));
        }
        let in_order = ids.iter().enumerate().all(|(i, id)| *id == i as u64);
        Ok(Self { name: name.to_owned(), file: file.clone(), at, ids, in_order, members, types: types.clone() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of nodes.
    pub fn file(&self) -> &Path {
        self.file.path()
    }

    /// Path of the population inside the file.
    pub fn place(&self) -> &str {
        &self.at
    }

    /// The table of types, if there is one.
    pub fn types_file(&self) -> Option<&Path> {
        self.types.path()
    }

    /// Line of the types table that describes a node.
    pub fn types_line(&self, node: usize) -> Option<usize> {
        self.types.line(self.members.types[node])
    }

    /// Number that stands for the type of a node; nodes of one type share it.
    pub fn type_of(&self, node: usize) -> u32 {
        self.members.types[node]
    }

    /// Ids of the nodes, ascending.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Whether the ids are 0, 1, 2 and so on.
    pub fn is_numbered_from_zero(&self) -> bool {
        self.in_order
    }

    /// Place of a node among [`ids`](Self::ids).
    pub fn place_of(&self, id: u64) -> Option<usize> {
        if self.in_order {
            return usize::try_from(id).ok().filter(|place| *place < self.ids.len());
        }
        self.ids.binary_search(&id).ok()
    }

    /// A property, if any node has it.
    ///
    /// # Errors
    /// A column cannot be read.
    pub fn attribute(&self, name: &str) -> Result<Option<Attribute>> {
        self.members.attribute(&self.file, &self.at, "", name, Some(&self.types))
    }

    /// A parameter that the file gives for each node, if it does.
    ///
    /// # Errors
    /// A column cannot be read.
    pub fn parameter(&self, name: &str) -> Result<Option<Attribute>> {
        self.members.attribute(&self.file, &self.at, "dynamics_params", name, None)
    }

    /// Names of the parameters that the file gives for each node.
    ///
    /// # Errors
    /// The groups cannot be listed.
    pub fn parameter_names(&self) -> Result<Vec<String>> {
        self.members.names(&self.file, &self.at, "dynamics_params")
    }

    /// Names of all properties.
    ///
    /// # Errors
    /// The groups cannot be listed.
    pub fn attribute_names(&self) -> Result<Vec<String>> {
        let mut names = self.members.names(&self.file, &self.at, "")?;
        names.extend(self.types.names().map(str::to_owned));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The value of a property of the node at a place among [`ids`](Self::ids).
    pub fn value<'a>(&self, attribute: &'a Attribute, node: usize) -> Option<Value<'a>> {
        self.members.value(attribute, node)
    }

    /// The text of a property of the node at a place among [`ids`](Self::ids), if the property is there and the value is a text.
    pub fn text<'a>(&self, attribute: Option<&'a Attribute>, node: usize) -> Option<&'a str> {
        self.value(attribute?, node)?.text
    }
}
