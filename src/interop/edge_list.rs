//! Lists of synapses by other tools.

use super::table::{Records, Separator};
use super::{Faults, npy, parse_index, parse_number};
use crate::error::{Error, Result, did_you_mean};
use std::path::Path;

/// A synapse as a file has it, with the file's own numbers for the neurons.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawEdge {
    /// Neuron that sends.
    pub source: u64,
    /// Neuron that receives.
    pub target: u64,
    /// Weight, if the file has one for this synapse.
    pub weight: Option<f64>,
    /// Delay, if the file has one for this synapse; ms unless the reader of the edge says otherwise.
    pub delay: Option<f64>,
}

/// Names of the columns, each with its other name; the first two are needed.
const COLUMNS: [[&str; 2]; 4] = [["source", "pre"], ["target", "post"], ["weight", "weight"], ["delay", "delay"]];

/// Reads a list of synapses.
///
/// - `.npy`: an array of shape N x 2, 3 or 4 (source, target, weight, delay) of integers or floating-point numbers, or
///   a structured one with fields of these names.
/// - `.csv`: a table whose header names the columns `source` (or `pre`), `target` (or `post`), and perhaps `weight` and
///   `delay`, in any order. Other columns are passed over, unless their name looks like a misspelling of one of these.
/// - anything else: two to four numbers a line (source, target, weight, delay), separated by spaces or tabs, with or
///   without a header line that names them.
///
/// Empty lines and lines that begin with `#` are passed over. An empty cell for weight or delay means none.
///
/// # Errors
/// The file cannot be read, columns are missing, or lines are not what they should be: all are named, up to 20.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<RawEdge>> {
    let path = path.as_ref();
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => read_npy(path),
        Some("csv") => read_text(path, true),
        _ => read_text(path, false),
    }
}

/// Where each of [`COLUMNS`] stands.
type Places = [Option<usize>; 4];

fn read_text(path: &Path, needs_header: bool) -> Result<Vec<RawEdge>> {
    let mut records = Records::open(path)?;
    let mut edges = Vec::new();
    let given = (!needs_header).then_some(Separator::Space);
    let Some((line, separator)) = records.header(given)? else {
        return Ok(edges);
    };
    let mut faults = Faults::new(path);
    let first = records.cells[0].as_str();
    if !needs_header && first.contains([',', ';']) {
        let message = format!("line {line} is not separated by spaces or tabs; tables by commas have names in `.csv`");
        return Err(Error::format(path, message));
    }
    let has_header = parse_number(first).is_none();
    let places = match (has_header, needs_header) {
        (true, _) => named(path, &records.cells.iter().map(String::as_str).collect::<Vec<_>>())?,
        (false, false) => positional(path, records.cells.len())?,
        (false, true) => {
            let message =
                format!("line {line} begins with a number; a header that names source and target is expected");
            return Err(Error::format(path, message));
        }
    };
    let columns = records.cells.len();
    if !has_header {
        edges.extend(edge(&records.cells, &places, line, &mut faults));
    }
    while let Some(line) = records.next(separator)? {
        if records.cells.len() != columns {
            faults.add(line, format!("{} numbers are found; {columns} are expected", records.cells.len()));
        } else if let Some(edge) = edge(&records.cells, &places, line, &mut faults) {
            edges.push(edge);
        }
    }
    faults.check()?;
    Ok(edges)
}

fn edge(cells: &[String], places: &Places, line: usize, faults: &mut Faults) -> Option<RawEdge> {
    let mut neuron = |column: usize| {
        let cell = cells[places[column]?].as_str();
        let id = parse_index(cell);
        if id.is_none() {
            let name = COLUMNS[column][0];
            faults.add(line, format!("the {name} is `{cell}`; a whole number from 0 on is expected"));
        }
        id
    };
    let (source, target) = (neuron(0), neuron(1));
    let mut property = |column: usize| match places[column].map(|place| cells[place].as_str()) {
        None | Some("") => Some(None),
        Some(cell) => {
            let number = parse_number(cell);
            if number.is_none() {
                let name = COLUMNS[column][0];
                faults.add(line, format!("the {name} is `{cell}`; a finite number is expected"));
            }
            number.map(Some)
        }
    };
    let (weight, delay) = (property(2), property(3));
    Some(RawEdge { source: source?, target: target?, weight: weight?, delay: delay? })
}

/// Columns in their usual order.
fn positional(path: &Path, count: usize) -> Result<Places> {
    if !(2..=4).contains(&count) {
        let message = format!("it has {count} columns; two to four are expected: source, target, weight, delay");
        return Err(Error::format(path, message));
    }
    Ok([0, 1, 2, 3].map(|i| (i < count).then_some(i)))
}

/// Columns by name.
fn named(path: &Path, names: &[&str]) -> Result<Places> {
    let known = || COLUMNS.iter().flatten().copied();
    let lower: Vec<String> = names.iter().map(|n| n.to_lowercase()).collect();
    let places = COLUMNS.map(|own| lower.iter().position(|n| own.contains(&n.as_str())));
    for (place, name) in lower.iter().enumerate() {
        if places.contains(&Some(place)) {
            continue;
        }
        if known().any(|k| k == name) {
            return Err(Error::format(path, format!("column `{name}` is there twice, or under both of its names")));
        }
        if let Some(meant) = did_you_mean(name, known()) {
            let message = format!("column `{name}` is not known (did you mean `{meant}`?)");
            return Err(Error::format(path, message));
        }
    }
    if places[0].is_none() || places[1].is_none() {
        let found = names.join(", ");
        let message = format!("columns `source` (or `pre`) and `target` (or `post`) are expected; found: {found}");
        return Err(Error::format(path, message));
    }
    Ok(places)
}

fn read_npy(path: &Path) -> Result<Vec<RawEdge>> {
    let array = npy::read(path)?;
    let fields = array.fields();
    // A structured array has a record a row, a plain one as many numbers as columns.
    let (places, row) = match (array.shape(), fields.is_empty()) {
        ([_], false) => (named(path, &fields)?, 1),
        (&[_, columns], true) => (positional(path, columns)?, columns),
        (shape, _) => {
            let message = format!(
                "its shape is {shape:?}; N x 2, N x 3, N x 4, or N records with source and target are expected"
            );
            return Err(Error::format(path, message));
        }
    };
    let structured = !fields.is_empty();
    let rows = array.shape()[0];
    let number = |index: usize, place: usize| {
        if structured { array.number(index, place) } else { array.number(index * row + place, 0) }
    };
    let mut edges = Vec::with_capacity(rows);
    let wrong = |index: usize, column: usize, found: npy::Number, expected: &str| {
        let name = COLUMNS[column][0];
        Error::format(path, format!("the {name} of edge {index} is {found}; {expected} is expected"))
    };
    for index in 0..rows {
        let neuron = |column: usize| {
            let found = number(index, places[column].unwrap_or(column));
            found.to_index().ok_or_else(|| wrong(index, column, found, "a whole number from 0 on"))
        };
        let property = |column: usize| match places[column].map(|place| number(index, place)) {
            Some(found) if !found.to_f64().is_finite() => Err(wrong(index, column, found, "a finite number")),
            found => Ok(found.map(npy::Number::to_f64)),
        };
        let (source, target) = (neuron(0)?, neuron(1)?);
        edges.push(RawEdge { source, target, weight: property(2)?, delay: property(3)? });
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, content: &str) -> Result<Vec<RawEdge>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read(path)
    }

    fn raw(source: u64, target: u64, weight: Option<f64>, delay: Option<f64>) -> RawEdge {
        RawEdge { source, target, weight, delay }
    }

    #[test]
    fn lines_of_numbers() {
        let edges = text("e.txt", "# larva\n29 8419602 9.0\n 29\t9469519  1.0 \n\n").unwrap();
        assert_eq!(edges, [raw(29, 8_419_602, Some(9.0), None), raw(29, 9_469_519, Some(1.0), None)]);
        assert_eq!(text("e.txt", "1 2\n").unwrap(), [raw(1, 2, None, None)]);
        assert_eq!(text("e.tsv", "1\t2 -3\t4\n").unwrap(), [raw(1, 2, Some(-3.0), Some(4.0))]);
        assert_eq!(text("e.txt", "post pre\n1 2\n").unwrap(), [raw(2, 1, None, None)]);
        assert_eq!(text("e.txt", "18446744073709551615 0\n").unwrap(), [raw(u64::MAX, 0, None, None)]);
        assert_eq!(text("e.txt", "# nothing\n").unwrap(), []);
    }

    #[test]
    fn tables_with_columns_in_any_order() {
        let edges = text("e.csv", "delay,Post,kind,weight,pre\n1.5,2,\"a,b\",-3,1\n,5,c,,4\n").unwrap();
        assert_eq!(edges, [raw(1, 2, Some(-3.0), Some(1.5)), raw(4, 5, None, None)]);
    }

    #[test]
    fn faults_name_file_and_line() {
        let error = text("e.txt", "1 2 3\n1 -2 3\n# x\n1 2\nx 2 nan\n").unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[0].contains("e.txt:2: the target is `-2`"), "{error}");
        assert!(lines[1].contains("e.txt:4: 2 numbers are found; 3 are expected"), "{error}");
        assert!(lines[2].contains("e.txt:5: the source is `x`") && lines[3].contains("weight is `nan`"), "{error}");
        for (name, content, part) in [
            ("e.csv", "source,target,wieght\n1,2,3\n", "did you mean `weight`?"),
            ("e.csv", "source,weight\n1,2\n", "`target` (or `post`) are expected"),
            ("e.csv", "pre,source,target\n1,2,3\n", "twice"),
            ("e.csv", "1,2,3\n", "a header that names"),
            ("e.txt", "1,2,3\n", "tables by commas"),
            ("e.txt", "1 2 3 4 5\n", "5 columns"),
        ] {
            let error = text(name, content).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let many = text("e.txt", &format!("1 2\n{}", "x y\n".repeat(100))).unwrap_err().to_string();
        assert!(many.ends_with("and 180 more faults of this kind"), "{many}");
    }

    #[test]
    fn arrays_of_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.npy");
        npy::write(&path, &[2, 3], &[1.0, 2.0, 0.25, 3.0, 4.0, -1.0]).unwrap();
        assert_eq!(read(&path).unwrap(), [raw(1, 2, Some(0.25), None), raw(3, 4, Some(-1.0), None)]);
        npy::write(&path, &[1, 2], &[u64::MAX, 2]).unwrap();
        assert_eq!(read(&path).unwrap(), [raw(u64::MAX, 2, None, None)]);
        npy::write(&path, &[1, 2], &[1.5, 2.0]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("the source of edge 0 is 1.5"));
        npy::write(&path, &[4], &[1, 2, 3, 4]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("its shape is [4]"));
    }
}
