//! Files of edges.
//!
//! `/edges/<population>` has `source_node_id` and `target_node_id`, whose attribute `node_population` names the
//! populations they are of, `edge_type_id`, `edge_group_id` and `edge_group_index`, and groups as files of nodes have. The
//! optional indices are not needed, since all edges are read.

use super::attribute::{Attribute, Members, Value};
use super::hdf5::Hdf5;
use super::types::Types;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// A population of edges, in the order of the file.
#[derive(Debug)]
pub struct EdgePopulation {
    name: String,
    file: Arc<Hdf5>,
    at: String,
    source: String,
    target: String,
    members: Members,
    types: Arc<Types>,
}

/// Reads every population of a file.
///
/// # Errors
/// A file cannot be read, or is not what the format says.
pub fn read_edges(edges: &Path, types: Option<&Path>) -> Result<Vec<EdgePopulation>> {
    let file = Arc::new(Hdf5::open(edges)?);
    let types = Arc::new(Types::read(types, "edge_type_id")?);
    let Some(names) = file.groups("edges")? else {
        return Err(file.error("edges", "there is no such group; it is not a SONATA file of edges"));
    };
    names.iter().map(|name| EdgePopulation::read(&file, &types, name)).collect()
}

impl EdgePopulation {
    fn read(file: &Arc<Hdf5>, types: &Arc<Types>, name: &str) -> Result<Self> {
        let at = format!("edges/{name}");
        let end = |which: &str| -> Result<(usize, String)> {
            let path = format!("{at}/{which}_node_id");
            let count = file.length(&path)?;
            // The first files of the format had the attribute `network`.
            let population = match file.text_attribute(&path, "node_population")? {
                Some(population) => Some(population),
                None => file.text_attribute(&path, "network")?,
            };
            let Some(population) = population else {
                return Err(file.error(&path, "it has no attribute `node_population`, which says whose ids these are"));
            };
            Ok((count, population))
        };
        let ((count, source), (targets, target)) = (end("source")?, end("target")?);
        if count != targets {
            return Err(file.error(&at, format!("there are {count} source_node_id, but {targets} target_node_id")));
        }
        if count > u32::MAX as usize {
            return Err(file.error(&at, format!("{count} edges are more than {}", u32::MAX)));
        }
        let members = Members::read(file, &at, "edge", count, types)?;
        Ok(Self { name: name.to_owned(), file: file.clone(), at, source, target, members, types: types.clone() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of edges.
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

    /// Line of the types table that describes an edge.
    pub fn types_line(&self, edge: usize) -> Option<usize> {
        self.types.line(self.members.types[edge])
    }

    /// Number that stands for the type of an edge; edges of one type share it.
    pub fn type_of(&self, edge: usize) -> u32 {
        self.members.types[edge]
    }

    /// Population of nodes that send.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Population of nodes that receive.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Number of edges.
    pub fn count(&self) -> usize {
        self.members.count()
    }

    /// Ids of the nodes that send.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn sources(&self) -> Result<Vec<u64>> {
        self.file.indices(&format!("{}/source_node_id", self.at))
    }

    /// Ids of the nodes that receive.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn targets(&self) -> Result<Vec<u64>> {
        self.file.indices(&format!("{}/target_node_id", self.at))
    }

    /// A property, if any edge has it.
    ///
    /// # Errors
    /// A column cannot be read.
    pub fn attribute(&self, name: &str) -> Result<Option<Attribute>> {
        self.members.attribute(&self.file, &self.at, "", name, Some(&self.types))
    }

    /// A parameter that the file gives for each edge, if it does.
    ///
    /// # Errors
    /// A column cannot be read.
    pub fn parameter(&self, name: &str) -> Result<Option<Attribute>> {
        self.members.attribute(&self.file, &self.at, "dynamics_params", name, None)
    }

    /// Names of the parameters that the file gives for each edge.
    ///
    /// # Errors
    /// The groups cannot be listed.
    pub fn parameter_names(&self) -> Result<Vec<String>> {
        self.members.names(&self.file, &self.at, "dynamics_params")
    }

    /// The value of a property of an edge.
    pub fn value<'a>(&self, attribute: &'a Attribute, edge: usize) -> Option<Value<'a>> {
        self.members.value(attribute, edge)
    }

    /// The text of a property of the edge, if the property is there and the value is a text.
    pub fn text<'a>(&self, attribute: Option<&'a Attribute>, edge: usize) -> Option<&'a str> {
        self.value(attribute?, edge)?.text
    }
}
