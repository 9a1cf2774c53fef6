//! Tables of node types and edge types: text with a header, values apart by spaces, `NULL` for none.

use super::super::table;
use crate::error::{Error, Fault, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What a types table says of each type.
#[derive(Debug, Default)]
pub(super) struct Types {
    path: Option<PathBuf>,
    slots: HashMap<i64, u32>,
    lines: Vec<usize>,
    columns: Vec<(String, Vec<Option<String>>)>,
}

impl Types {
    /// Reads a table whose column `id` numbers the types; without a file there are no types.
    pub(super) fn read(path: Option<&Path>, id: &str) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let table = table::read_columns(path)?;
        let ids = table.text(id)?;
        let mut types = Self { path: Some(path.to_owned()), ..Self::default() };
        let mut faults = Vec::new();
        for (row, text) in ids.iter().enumerate() {
            let line = table.line(row);
            let mut fault = |message: String| {
                faults.push(Fault { file: Some(path.to_owned()), line: Some(line), key: id.to_owned(), message });
            };
            match text.parse::<i64>() {
                Err(_) => fault(format!("`{text}` is not a whole number")),
                Ok(number) => {
                    if let Some(first) = types.slots.insert(number, row as u32) {
                        fault(format!("type {number} stands here and in line {}", table.line(first as usize)));
                    }
                }
            }
            types.lines.push(line);
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        for name in table.names().iter().filter(|name| *name != id) {
            let cells = table.text(name)?.iter().map(|cell| (!is_null(cell)).then(|| cell.clone())).collect();
            types.columns.push((name.clone(), cells));
        }
        Ok(types)
    }

    /// The file, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Place of a type in the table.
    pub(super) fn slot(&self, id: i64) -> Option<u32> {
        self.slots.get(&id).copied()
    }

    /// Line of the file in which a type stands.
    pub(super) fn line(&self, slot: u32) -> Option<usize> {
        self.lines.get(slot as usize).copied()
    }

    /// The cells of a column, one for each type.
    pub(super) fn column(&self, name: &str) -> Option<&[Option<String>]> {
        self.columns.iter().find(|(known, _)| known == name).map(|(_, cells)| cells.as_slice())
    }

    /// Names of the columns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }
}

/// What pandas, with which most of these tables are written, reads as no value.
fn is_null(cell: &str) -> bool {
    matches!(cell, "" | "NULL" | "null" | "NaN" | "nan" | "N/A" | "None")
}
