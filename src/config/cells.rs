//! Values for pairs of populations: one for all, one for each source, or a matrix with rows = targets.

use super::reader::Section;
use super::tree::{Node, Value};
use std::borrow::Cow;

/// What a key of a projection says for its pairs. The shape is checked while reading.
pub(super) enum Cells<'a> {
    One(&'a Node),
    Sources(Vec<&'a Node>),
    Matrix(Vec<Vec<&'a Node>>),
}

impl<'a> Cells<'a> {
    /// Reads a key; `shape` is (targets, sources).
    pub(super) fn read(section: &Section<'a>, key: &str, shape: (usize, usize)) -> Option<Self> {
        let Some(Cow::Borrowed(node)) = section.get(key) else { return None };
        let Value::List(items) = &node.value else { return Some(Self::One(node)) };
        let (targets, sources) = shape;
        let rows: Vec<&Node> = items.iter().filter(|item| matches!(item.value, Value::List(_))).collect();
        if rows.is_empty() {
            if items.len() == sources {
                return Some(Self::Sources(items.iter().collect()));
            }
            let message = format!(
                "the list has {} values, but there are {sources} sources; give one value, one for each source, or a \
                 matrix with a row for each target",
                items.len()
            );
            section.fault(key, message);
            return None;
        }
        if rows.len() != items.len() || rows.len() != targets {
            let message =
                format!("the matrix has {} rows, but there are {targets} targets; rows are targets", items.len());
            section.fault(key, message);
            return None;
        }
        let mut good = true;
        let mut matrix = Vec::new();
        for (i, row) in rows.into_iter().enumerate() {
            let Value::List(values) = &row.value else { continue };
            if values.len() != sources {
                let message = format!(
                    "row {} of the matrix has {} values, but there are {sources} sources; columns are sources",
                    i + 1,
                    values.len()
                );
                section.ctx.fault(&section.path_of(key), row.place, message);
                good = false;
            }
            matrix.push(values.iter().collect());
        }
        good.then_some(Self::Matrix(matrix))
    }

    /// The value for a pair.
    pub(super) fn at(&self, target: usize, source: usize) -> &'a Node {
        match self {
            Self::One(node) => node,
            Self::Sources(nodes) => nodes[source],
            Self::Matrix(rows) => rows[target][source],
        }
    }

    /// Whether one value holds for all pairs.
    pub(super) fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}
