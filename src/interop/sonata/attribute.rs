//! Properties of nodes and edges: columns of HDF5 groups, and below them the types table.

use super::hdf5::Hdf5;
use super::types::Types;
use crate::error::Result;
use std::collections::HashMap;

/// The value of one property of one node or edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value<'a> {
    /// As a text, unless the file holds it as a number.
    pub text: Option<&'a str>,
    /// As a number, if it is one.
    pub number: Option<f64>,
}

/// One property of all nodes or edges of a population.
#[derive(Debug)]
pub struct Attribute {
    groups: Vec<Option<Column>>,
    types: Vec<Option<Cell>>,
}

#[derive(Debug)]
enum Column {
    Numbers(Vec<f64>),
    Words { codes: Vec<u32>, words: Vec<String> },
}

#[derive(Debug)]
struct Cell {
    text: String,
    number: Option<f64>,
}

/// Type of an item that has none.
pub(super) const NO_TYPE: u32 = u32::MAX;

/// Which type, group and row of the group each item (node or edge) of a population has.
#[derive(Debug)]
pub(super) struct Members {
    /// Rows of the types table, or [`NO_TYPE`].
    pub(super) types: Vec<u32>,
    /// Group and row in it; without, all items are in the first group, in order.
    rows: Option<(Vec<u32>, Vec<u32>)>,
    /// Names of the groups.
    groups: Vec<String>,
}

impl Members {
    /// Reads which item belongs where. `at` is the population (`nodes/cells`), `kind` is `node` or `edge`.
    pub(super) fn read(file: &Hdf5, at: &str, kind: &str, count: usize, types: &Types) -> Result<Self> {
        let present = file.datasets(at)?;
        let has = |name: &str| present.contains(&format!("{kind}_{name}"));
        let path = |name: &str| format!("{at}/{kind}_{name}");
        let expect = |name: &str, length: usize| {
            if length == count {
                return Ok(());
            }
            Err(file.error(&path(name), format!("it has {length} values, but there are {count} {kind}s")))
        };
        let type_slots = if has("type_id") {
            let ids = file.integers(&path("type_id"))?;
            expect("type_id", ids.len())?;
            type_slots(file, &path("type_id"), &ids, types)?
        } else {
            vec![NO_TYPE; count]
        };
        let all = file.groups(at)?.unwrap_or_default();
        let mut groups: Vec<(u64, String)> =
            all.into_iter().filter_map(|name| name.parse().ok().map(|number| (number, name))).collect();
        groups.sort_unstable();
        if !has("group_id") || !has("group_index") {
            if has("group_id") != has("group_index") {
                let message = format!("`{kind}_group_id` and `{kind}_group_index` belong together; one is missing");
                return Err(file.error(at, message));
            }
            if groups.len() > 1 {
                let message =
                    format!("there are {} groups, but no `{kind}_group_id` says who is in which", groups.len());
                return Err(file.error(at, message));
            }
            return Ok(Self {
                types: type_slots,
                rows: None,
                groups: groups.into_iter().map(|(_, name)| name).collect(),
            });
        }
        let (ids, rows) = (file.indices(&path("group_id"))?, file.indices(&path("group_index"))?);
        expect("group_id", ids.len())?;
        expect("group_index", rows.len())?;
        let mut slots = Vec::with_capacity(count);
        let mut last = (None, 0);
        for (item, id) in ids.iter().enumerate() {
            if last.0 != Some(*id) {
                let Some(slot) = groups.iter().position(|(number, _)| number == id) else {
                    let message = format!("{kind} {item} is in group {id}, which does not exist");
                    return Err(file.error(&path("group_id"), message));
                };
                last = (Some(*id), slot as u32);
            }
            slots.push(last.1);
        }
        let in_order = groups.len() <= 1 && rows.iter().enumerate().all(|(item, row)| *row == item as u64);
        let names = groups.into_iter().map(|(_, name)| name).collect();
        if in_order {
            return Ok(Self { types: type_slots, rows: None, groups: names });
        }
        let mut narrow = Vec::with_capacity(count);
        for (item, row) in rows.into_iter().enumerate() {
            let Ok(row) = u32::try_from(row) else {
                let message = format!("{kind} {item} has row {row} of its group; rows end below 2^32");
                return Err(file.error(&path("group_index"), message));
            };
            narrow.push(row);
        }
        Ok(Self { types: type_slots, rows: Some((slots, narrow)), groups: names })
    }

    /// Puts the items in another order: the new item `i` is the old item `order[i]`.
    pub(super) fn reorder(&mut self, order: &[u32]) {
        let pick = |list: &[u32]| order.iter().map(|i| list[*i as usize]).collect::<Vec<_>>();
        self.types = pick(&self.types);
        self.rows = Some(match &self.rows {
            Some((slots, rows)) => (pick(slots), pick(rows)),
            None => (vec![0; order.len()], order.to_vec()),
        });
    }

    /// Number of items.
    pub(super) fn count(&self) -> usize {
        self.types.len()
    }

    /// Group of an item and its row there.
    fn row(&self, item: usize) -> (usize, usize) {
        match &self.rows {
            None => (0, item),
            Some((slots, rows)) => (slots[item] as usize, rows[item] as usize),
        }
    }

    /// Names of all properties that a group or the types table has. `folder` is a group within each group, or empty.
    pub(super) fn names(&self, file: &Hdf5, at: &str, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for group in &self.groups {
            names.extend(file.datasets(&inside(at, group, folder))?);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Reads a property: the columns of the groups, and what the types table says where there is none.
    pub(super) fn attribute(
        &self,
        file: &Hdf5,
        at: &str,
        folder: &str,
        name: &str,
        types: Option<&Types>,
    ) -> Result<Option<Attribute>> {
        let mut groups = Vec::new();
        for group in &self.groups {
            let place = inside(at, group, folder);
            let present = file.datasets(&place)?.iter().any(|known| known == name);
            groups.push(if present { Some(column(file, &place, name)?) } else { None });
        }
        let cells: Vec<Option<Cell>> = types
            .and_then(|types| types.column(name))
            .map(|cells| cells.iter().map(|cell| cell.as_deref().map(Cell::new)).collect())
            .unwrap_or_default();
        if groups.iter().all(Option::is_none) && cells.is_empty() {
            return Ok(None);
        }
        let attribute = Attribute { groups, types: cells };
        for item in 0..self.count() {
            let (group, row) = self.row(item);
            if let Some(Some(column)) = attribute.groups.get(group)
                && row >= column.length()
            {
                let place = format!("{}/{name}", inside(at, &self.groups[group], folder));
                let message =
                    format!("it has {} values, but item {item} of the population is its row {row}", column.length());
                return Err(file.error(&place, message));
            }
        }
        Ok(Some(attribute))
    }

    /// The value of a property of an item.
    pub(super) fn value<'a>(&self, attribute: &'a Attribute, item: usize) -> Option<Value<'a>> {
        let (group, row) = self.row(item);
        match attribute.groups.get(group) {
            Some(Some(Column::Numbers(values))) => Some(Value { text: None, number: Some(values[row]) }),
            Some(Some(Column::Words { codes, words })) => {
                Some(Value { text: Some(&words[codes[row] as usize]), number: None })
            }
            _ => {
                let cell = attribute.types.get(self.types[item] as usize)?.as_ref()?;
                Some(Value { text: Some(&cell.text), number: cell.number })
            }
        }
    }
}

impl Cell {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), number: text.parse().ok() }
    }
}

impl Column {
    fn length(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Words { codes, .. } => codes.len(),
        }
    }
}

fn inside(at: &str, group: &str, folder: &str) -> String {
    if folder.is_empty() { format!("{at}/{group}") } else { format!("{at}/{group}/{folder}") }
}

/// Rows of the types table for the type of each item.
fn type_slots(file: &Hdf5, place: &str, ids: &[i64], types: &Types) -> Result<Vec<u32>> {
    let Some(table) = types.path() else { return Ok(vec![NO_TYPE; ids.len()]) };
    let mut slots = Vec::with_capacity(ids.len());
    let mut last = (None, NO_TYPE);
    for (item, id) in ids.iter().enumerate() {
        if last.0 != Some(*id) {
            let Some(slot) = types.slot(*id) else {
                let message = format!("item {item} has type {id}, which {} does not list", table.display());
                return Err(file.error(place, message));
            };
            last = (Some(*id), slot);
        }
        slots.push(last.1);
    }
    Ok(slots)
}

/// Reads a column: numbers, texts, or numbers that stand for the texts of `@library`.
fn column(file: &Hdf5, group: &str, name: &str) -> Result<Column> {
    let path = format!("{group}/{name}");
    let library = format!("{group}/@library");
    if file.datasets(&library)?.iter().any(|known| known == name) {
        let words = file.texts(&format!("{library}/{name}"))?;
        let codes = file.indices(&path)?;
        let mut narrow = Vec::with_capacity(codes.len());
        for (row, code) in codes.into_iter().enumerate() {
            if code >= words.len() as u64 {
                let message = format!("row {row} is {code}, but the library has {} texts", words.len());
                return Err(file.error(&path, message));
            }
            narrow.push(code as u32);
        }
        return Ok(Column::Words { codes: narrow, words });
    }
    if !file.holds_texts(&path)? {
        return Ok(Column::Numbers(file.numbers(&path)?));
    }
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut words = Vec::new();
    let codes = file
        .texts(&path)?
        .into_iter()
        .map(|text| {
            *known.entry(text).or_insert_with_key(|text| {
                words.push(text.clone());
                words.len() as u32 - 1
            })
        })
        .collect();
    Ok(Column::Words { codes, words })
}
