//! Lists of synapses by other tools.

use super::records::{Header, Records};
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
    /// Line of the file, or row of the array, in which it stands, counted from 1.
    pub line: usize,
}

/// Names of the columns, each with its other names; the first two are needed.
const COLUMNS: [&[&str]; 4] = [
    &["source", "pre", "from", "source_id"],
    &["target", "post", "to", "target_id"],
    &["weight", "syn_weight"],
    &["delay"],
];

/// Reads a list of synapses.
///
/// - `.npy`: an array of shape N x 2, 3 or 4 (source, target, weight, delay) of integers or floating-point numbers, or
///   a structured one with fields of these names.
/// - anything else: values between commas, semicolons, or spaces and tabs. A header line, which is one if it does not
///   begin with a number, names the columns `source` (or `pre`, `from`, `source_id`), `target` (or `post`, `to`,
///   `target_id`), and perhaps `weight` (or `syn_weight`) and `delay`, in any order. Other columns are passed over,
///   unless their name looks like a misspelling of one that is not there. Without a header there are two to four numbers
///   a line: source, target, weight, delay.
///
/// Empty lines, lines that begin with `#`, and what follows a `#` after a space where spaces separate are passed over. An
/// empty cell for weight or delay means none.
///
/// # Errors
/// The file cannot be read, columns are missing, or lines are not what they should be: all are named, up to 20.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<RawEdge>> {
    let path = path.as_ref();
    if npy::is_named(path) { read_npy(path) } else { read_text(path) }
}

/// Where each of [`COLUMNS`] stands.
type Places = [Option<usize>; 4];

fn read_text(path: &Path) -> Result<Vec<RawEdge>> {
    let mut records = Records::open(path)?;
    let mut edges = Vec::new();
    if records.width() == 0 {
        return Ok(edges);
    }
    let places = match records.names(Header::Maybe) {
        Some(names) => named(path, &names.iter().map(String::as_str).collect::<Vec<_>>())?,
        None => positional(path, records.width())?,
    };
    let mut faults = Faults::new(path);
    while let Some(line) = records.next(&mut faults)? {
        edges.extend(edge(&records.cells, &places, line, &mut faults));
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
    Some(RawEdge { source: source?, target: target?, weight: weight?, delay: delay?, line })
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
    let lower: Vec<String> = names.iter().map(|n| n.to_lowercase()).collect();
    let places = COLUMNS.map(|own| lower.iter().position(|n| own.contains(&n.as_str())));
    for (place, name) in lower.iter().enumerate() {
        if places.contains(&Some(place)) {
            continue;
        }
        if COLUMNS.iter().any(|own| own.contains(&name.as_str())) {
            return Err(Error::format(path, format!("column `{name}` is there twice, or under several of its names")));
        }
        let absent = COLUMNS.iter().zip(places).filter(|(_, place)| place.is_none());
        if let Some(meant) = did_you_mean(name, absent.flat_map(|(own, _)| own.iter().copied())) {
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
        Error::format(path, format!("row {}: the {name} is {found}; {expected} is expected", index + 1))
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
        edges.push(RawEdge { source, target, weight: property(2)?, delay: property(3)?, line: index + 1 });
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

    fn raw(source: u64, target: u64, weight: Option<f64>, delay: Option<f64>, line: usize) -> RawEdge {
        RawEdge { source, target, weight, delay, line }
    }

    #[test]
    fn lines_of_numbers() {
        let edges = text("e.txt", "# larva\n29 8419602 9.0\n 29\t9469519  1.0 \n\n").unwrap();
        assert_eq!(edges, [raw(29, 8_419_602, Some(9.0), None, 2), raw(29, 9_469_519, Some(1.0), None, 3)]);
        assert_eq!(text("e.txt", "1 2\n").unwrap(), [raw(1, 2, None, None, 1)]);
        assert_eq!(text("e.tsv", "1\t2 -3\t4\n").unwrap(), [raw(1, 2, Some(-3.0), Some(4.0), 1)]);
        assert_eq!(text("e.txt", "post pre\n1 2 # here\n").unwrap(), [raw(2, 1, None, None, 2)]);
        let large = [raw(u64::MAX, 0, None, None, 1), raw(720_575_940_624_547_622, 3, None, None, 2)];
        assert_eq!(text("e.txt", "18446744073709551615 0\n720575940624547622 3\n").unwrap(), large);
        assert_eq!(text("e.txt", "# nothing\n").unwrap(), []);
        for (name, content) in [("e.csv", "1,2,3\n"), ("e.txt", "1,2,3\n"), ("e.csv", "1; 2; 3\n")] {
            assert_eq!(text(name, content).unwrap(), [raw(1, 2, Some(3.0), None, 1)]);
        }
    }

    #[test]
    fn tables_with_columns_in_any_order() {
        let edges = text("e.csv", "delay,Post,kind,weight,pre\n1.5,2,\"a,b\",-3,1\n,5,c,,4\n").unwrap();
        assert_eq!(edges, [raw(1, 2, Some(-3.0), Some(1.5), 2), raw(4, 5, None, None, 3)]);
        assert_eq!(text("a.csv", "weight,post,pre\n0.5,2,1\n").unwrap(), [raw(1, 2, Some(0.5), None, 2)]);
        let edges = text("e.txt", "source_id target_id syn_weight source_type\n1 2 3 4\n").unwrap();
        assert_eq!(edges, [raw(1, 2, Some(3.0), None, 2)]);
        assert_eq!(text("e.csv", "from,to\n1,2\n").unwrap(), [raw(1, 2, None, None, 2)]);
    }

    #[test]
    fn faults_name_file_and_line() {
        let error = text("e.txt", "1 2 3\n1 -2 3\n# x\n1 2\nx 2 nan\n").unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[0].contains("e.txt:2: the target is `-2`"), "{error}");
        assert!(lines[1].contains("e.txt:4: 2 cells are found; 3 are expected, as in line 1"), "{error}");
        assert!(lines[2].contains("e.txt:5: the source is `x`") && lines[3].contains("weight is `nan`"), "{error}");
        for (name, content, part) in [
            ("e.csv", "source,target,wieght\n1,2,3\n", "did you mean `weight`?"),
            ("e.csv", "source,weight\n1,2\n", "`target` (or `post`) are expected"),
            ("e.csv", "pre,source,target\n1,2,3\n", "twice"),
            ("a.csv", "1,2\n1,x\n", "a.csv:2: the target is `x`; a whole number from 0 on is expected"),
            ("e.csv", "1,2,3,4,5\n", "5 columns"),
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
        assert_eq!(read(&path).unwrap(), [raw(1, 2, Some(0.25), None, 1), raw(3, 4, Some(-1.0), None, 2)]);
        npy::write(&path, &[1, 2], &[u64::MAX, 2]).unwrap();
        assert_eq!(read(&path).unwrap(), [raw(u64::MAX, 2, None, None, 1)]);
        npy::write(&path, &[1, 2], &[1.5, 2.0]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("row 1: the source is 1.5"));
        npy::write(&path, &[4], &[1, 2, 3, 4]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("its shape is [4]"));
    }
}
