//! Lists of synapses by other tools.

use super::npz::Npz;
use super::records::{Header, Records};
use super::{Faults, npy, npz, parse_index, parse_number};
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
/// - `.npz`: one-dimensional arrays of those names, or a sparse matrix of SciPy (`scipy.sparse.save_npz` of a CSR, CSC or
///   COO matrix): row `i` and column `j` are a synapse from `i` to `j` with the element as its weight.
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
    if npy::is_named(path) {
        read_npy(path)
    } else if npz::is_named(path) {
        read_npz(path)
    } else {
        read_text(path)
    }
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

fn read_npz(path: &Path) -> Result<Vec<RawEdge>> {
    let mut file = Npz::open(path)?;
    let names = file.names();
    let has = |name: &str| names.iter().any(|n| n == name);
    if has("data") && (has("indptr") || has("row")) {
        return read_sparse(path, &mut file, has("indptr"));
    }
    let places = named(path, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut columns = [None, None, None, None];
    for (column, place) in columns.iter_mut().zip(places) {
        if let Some(place) = place {
            *column = Some(vector(path, &mut file, &names[place])?);
        }
    }
    edges(path, "row", columns.each_ref().map(Option::as_ref))
}

/// An array with one axis of plain numbers.
fn vector(path: &Path, file: &mut Npz<'_>, name: &str) -> Result<npy::Array> {
    let array = file.array(name)?;
    if array.shape().len() != 1 || !array.fields().is_empty() {
        let message =
            format!("array `{name}`: its shape is {:?}; one axis of plain numbers is expected", array.shape());
        return Err(Error::format(path, message));
    }
    Ok(array)
}

/// Synapses from columns of equal length: source, target, weight, delay. `what` a message calls one of them.
fn edges(path: &Path, what: &str, columns: [Option<&npy::Array>; 4]) -> Result<Vec<RawEdge>> {
    let count = columns[0].map_or(0, npy::Array::len);
    for (column, own) in columns.iter().zip(COLUMNS) {
        if let Some(column) = column.filter(|c| c.len() != count) {
            let message = format!("there are {count} of `{}` and {} of `{}`", COLUMNS[0][0], column.len(), own[0]);
            return Err(Error::format(path, message));
        }
    }
    let wrong = |index: usize, column: usize, found: npy::Number, expected: &str| {
        let name = COLUMNS[column][0];
        Error::format(path, format!("{what} {}: the {name} is {found}; {expected} is expected", index + 1))
    };
    let mut edges = Vec::with_capacity(count);
    for index in 0..count {
        let neuron = |column: usize| {
            let found = columns[column].map_or(npy::Number::Unsigned(0), |c| c.number(index, 0));
            found.to_index().ok_or_else(|| wrong(index, column, found, "a whole number from 0 on"))
        };
        let property = |column: usize| match columns[column].map(|c| c.number(index, 0)) {
            Some(found) if !found.to_f64().is_finite() => Err(wrong(index, column, found, "a finite number")),
            found => Ok(found.map(npy::Number::to_f64)),
        };
        let (source, target) = (neuron(0)?, neuron(1)?);
        edges.push(RawEdge { source, target, weight: property(2)?, delay: property(3)?, line: index + 1 });
    }
    Ok(edges)
}

/// A sparse matrix as SciPy keeps it: compressed rows or columns, or coordinates.
fn read_sparse(path: &Path, file: &mut Npz<'_>, compressed: bool) -> Result<Vec<RawEdge>> {
    let data = vector(path, file, "data")?;
    if !compressed {
        let (row, column) = (vector(path, file, "row")?, vector(path, file, "col")?);
        return edges(path, "element", [Some(&row), Some(&column), Some(&data), None]);
    }
    let (indices, starts) = (vector(path, file, "indices")?, vector(path, file, "indptr")?);
    let by_rows = match file.text("format")?.as_str() {
        "csr" => true,
        "csc" => false,
        other => {
            let message = format!("it is a sparse matrix of the format `{other}`; csr, csc and coo are read");
            return Err(Error::format(path, message));
        }
    };
    let lines = starts.len().saturating_sub(1);
    let of_line = edges(path, "element", [Some(&indices), Some(&indices), Some(&data), None])?;
    let mut found = Vec::with_capacity(of_line.len());
    for line in 0..lines {
        let bound = |k: usize| starts.number(k, 0).to_index().map(|at| at as usize);
        let elements = match (bound(line), bound(line + 1)) {
            (Some(from), Some(to)) if from <= to => of_line.get(from..to),
            _ => None,
        };
        let Some(elements) = elements else {
            return Err(Error::format(path, format!("`indptr` at {line} does not fit {} elements", of_line.len())));
        };
        for element in elements {
            let line = line as u64;
            let (source, target) = if by_rows { (line, element.target) } else { (element.target, line) };
            found.push(RawEdge { source, target, ..*element });
        }
    }
    Ok(found)
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

    /// A ZIP archive without compression, as `numpy.savez` makes it.
    fn npz(folder: &tempfile::TempDir, arrays: &[(&str, Vec<u8>)]) -> std::path::PathBuf {
        use std::io::Write;
        let path = folder.path().join("e.npz");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (name, bytes) in arrays {
            let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn array<T>(folder: &tempfile::TempDir, values: &[T]) -> Vec<u8>
    where
        T: npyz::Serialize + npyz::AutoSerialize + Copy,
    {
        let path = folder.path().join("a.npy");
        npy::write(&path, &[values.len()], values).unwrap();
        std::fs::read(path).unwrap()
    }

    fn text_array(text: &str) -> Vec<u8> {
        let header = format!("{{'descr': '|S3', 'fortran_order': False, 'shape': (), }}{}\n", " ".repeat(12));
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), text.as_bytes()].concat()
    }

    #[test]
    fn archives_of_arrays() {
        let folder = tempfile::tempdir().unwrap();
        let (pre, post) = (array(&folder, &[1u32, 2]), array(&folder, &[7i64, 8]));
        let delay = array(&folder, &[1.5, 2.0]);
        let path = npz(&folder, &[("post", post.clone()), ("delay", delay.clone()), ("pre", pre.clone())]);
        assert_eq!(read(&path).unwrap(), [raw(1, 7, None, Some(1.5), 1), raw(2, 8, None, Some(2.0), 2)]);
        let path = npz(&folder, &[("post", post), ("pre", array(&folder, &[1u32]))]);
        assert!(read(&path).unwrap_err().to_string().contains("there are 1 of `source` and 2 of `target`"));
        let path = npz(&folder, &[("pre", pre.clone()), ("pots", pre)]);
        assert!(read(&path).unwrap_err().to_string().contains("did you mean `post`"));
        std::fs::write(&path, b"PK nothing").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("it is not an NPZ file"));
    }

    #[test]
    fn sparse_matrices_of_scipy() {
        let folder = tempfile::tempdir().unwrap();
        let of = |format: &str, starts: &[i32]| {
            let parts = [
                ("indices", array(&folder, &[1i32, 2, 0])),
                ("indptr", array(&folder, starts)),
                ("format", text_array(format)),
                ("shape", array(&folder, &[3i64, 3])),
                ("data", array(&folder, &[0.5, -1.0, 2.0])),
            ];
            read(npz(&folder, &parts))
        };
        let rows = [(0, 1, 0.5), (0, 2, -1.0), (2, 0, 2.0)];
        let expected = |transposed: bool| -> Vec<RawEdge> {
            let edge = |(k, (i, j, w)): (usize, &(u64, u64, f64))| {
                let (source, target) = if transposed { (*j, *i) } else { (*i, *j) };
                raw(source, target, Some(*w), None, k + 1)
            };
            rows.iter().enumerate().map(edge).collect()
        };
        assert_eq!(of("csr", &[0, 2, 2, 3]).unwrap(), expected(false));
        assert_eq!(of("csc", &[0, 2, 2, 3]).unwrap(), expected(true));
        assert!(of("bsr", &[0, 2, 2, 3]).unwrap_err().to_string().contains("csr, csc and coo are read"));
        assert!(of("csr", &[0, 2, 1, 3]).unwrap_err().to_string().contains("`indptr` at 1"));
        assert!(of("csr", &[0, 2, 2, 9]).unwrap_err().to_string().contains("`indptr` at 2"));
        let parts = [
            ("row", array(&folder, &[4i32])),
            ("col", array(&folder, &[5i32])),
            ("format", text_array("coo")),
            ("shape", array(&folder, &[9i64, 9])),
            ("data", array(&folder, &[3.0f32])),
        ];
        assert_eq!(read(npz(&folder, &parts)).unwrap(), [raw(4, 5, Some(3.0), None, 1)]);
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
