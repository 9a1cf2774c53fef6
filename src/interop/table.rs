//! Tables of text with a header line: coordinates, lists of ids, properties of neurons.

use super::records::{Header, Records};
use super::{Faults, npy, parse_index, parse_number};
use crate::error::{Error, Fault, Result, did_you_mean};
use std::path::{Path, PathBuf};

/// Which column of a table is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The one of this name.
    Name(String),
    /// The one at this place, counted from 1.
    Number(usize),
}

/// A table held in memory, by columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    path: PathBuf,
    names: Vec<String>,
    /// One column a name, all of the same length.
    columns: Vec<Vec<String>>,
    /// Line of each row.
    lines: Vec<usize>,
}

/// Reads a table of text whose first line names the columns.
///
/// Cells are separated by commas, semicolons, tabs or spaces, whichever of these the header has first in this order.
/// A cell in double quotes may hold separators, line ends, and quotes written twice. Empty lines and lines that begin
/// with `#` are passed over.
///
/// # Errors
/// The file cannot be read or has no header, or rows have another number of cells than it.
pub fn read_columns(path: impl AsRef<Path>) -> Result<Table> {
    let path = path.as_ref();
    let mut records = Records::open(path)?;
    let names = header(path, &mut records)?;
    let mut columns = vec![Vec::new(); names.len()];
    let (mut lines, mut faults) = (Vec::new(), Faults::new(path));
    while let Some(line) = records.next(&mut faults)? {
        lines.push(line);
        for (column, cell) in columns.iter_mut().zip(&mut records.cells) {
            column.push(std::mem::take(cell));
        }
    }
    faults.check()?;
    Ok(Table { path: path.to_owned(), names, columns, lines })
}

/// Reads some columns of a table as [`read_columns`] does, as they stand: one list for each of `columns`. The other
/// columns take no memory.
///
/// # Errors
/// Those of [`read_columns`], or there is no such column.
pub fn text_columns(path: impl AsRef<Path>, columns: &[Column]) -> Result<Vec<Vec<String>>> {
    let path = path.as_ref();
    let mut records = Records::open(path)?;
    let names = header(path, &mut records)?;
    let places: Vec<usize> =
        columns.iter().map(|column| place(path, Some(&names), names.len(), column)).collect::<Result<_>>()?;
    let mut texts = vec![Vec::new(); columns.len()];
    let mut faults = Faults::new(path);
    while records.next(&mut faults)?.is_some() {
        for (place, texts) in places.iter().zip(&mut texts) {
            texts.push(records.cells[*place].clone());
        }
    }
    faults.check()?;
    Ok(texts)
}

/// Reads one column of finite numbers: of an NPY array with one or two axes where the name ends in `.npy`, else of a
/// table. The table may be without header where the column is meant by its place: its first line is one then if it does
/// not begin with a number.
///
/// # Errors
/// The file cannot be read, there is no such column, or it holds something else than finite numbers.
pub fn number_column(path: impl AsRef<Path>, column: &Column) -> Result<Vec<f64>> {
    let path = path.as_ref();
    let mut numbers: Vec<f64> = Vec::new();
    if npy::is_named(path) {
        let matrix = npy::read_matrix(path)?;
        let place = place(path, None, matrix.columns, column)?;
        numbers.extend(matrix.values.iter().skip(place).step_by(matrix.columns.max(1)));
        if let Some(row) = numbers.iter().position(|n| !n.is_finite()) {
            let message = format!("row {} is {}; a finite number is expected", row + 1, numbers[row]);
            return Err(Error::format(path, message));
        }
        return Ok(numbers);
    }
    let mut records = Records::open(path)?;
    if records.width() == 0 {
        return Ok(numbers);
    }
    let names = records.names(match column {
        Column::Name(_) => Header::Always,
        Column::Number(_) => Header::Maybe,
    });
    let place = place(path, names.as_deref(), records.width(), column)?;
    let shown = names.map_or_else(|| format!("column {}", place + 1), |names| format!("column `{}`", names[place]));
    let mut faults = Faults::new(path);
    while let Some(line) = records.next(&mut faults)? {
        let cell = &records.cells[place];
        match parse_number(cell) {
            Some(number) => numbers.push(number),
            None => faults.add(line, format!("{shown} is `{cell}`; a finite number is expected")),
        }
    }
    faults.check()?;
    Ok(numbers)
}

fn header(path: &Path, records: &mut Records) -> Result<Vec<String>> {
    let empty = || Error::format(path, "it is empty; a header line that names the columns is expected");
    records.names(Header::Always).ok_or_else(empty)
}

/// Where a column stands in a table of `width` columns, with or without names.
fn place(path: &Path, names: Option<&[String]>, width: usize, column: &Column) -> Result<usize> {
    let message = match (column, names) {
        (Column::Number(number), _) if (1..=width).contains(number) => return Ok(number - 1),
        (Column::Number(number), _) => format!("there is no column {number}; there are {width}, counted from 1"),
        (Column::Name(name), None) => format!("there is no column `{name}`; its columns have numbers, 1 to {width}"),
        (Column::Name(name), Some(names)) => match names.iter().position(|n| n == name) {
            Some(place) => return Ok(place),
            None => {
                let hint = did_you_mean(name, names.iter().map(String::as_str));
                let hint = hint.map_or(String::new(), |n| format!(" (did you mean `{n}`?)"));
                format!("there is no column `{name}`{hint}; there are: {}", names.join(", "))
            }
        },
    };
    let mut fault = Fault::new("", message);
    fault.file = Some(path.to_owned());
    Err(Error::Invalid(vec![fault]))
}

impl Table {
    /// Names of the columns. One may be empty, as for the index that some tools write first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Line of the file (1-based) in which a row stands.
    ///
    /// # Panics
    /// There is no such row.
    pub fn line(&self, row: usize) -> usize {
        self.lines[row]
    }

    /// Place of the column of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn place(&self, name: &str) -> Result<usize> {
        place(&self.path, Some(&self.names), self.names.len(), &Column::Name(name.to_owned()))
    }

    /// The cells of a column as they stand.
    ///
    /// # Errors
    /// There is no such column.
    pub fn text(&self, name: &str) -> Result<&[String]> {
        Ok(&self.columns[self.place(name)?])
    }

    /// The cells of a column as finite numbers.
    ///
    /// # Errors
    /// There is no such column, or cells are no finite numbers; all of them are named.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        self.parsed(name, "a finite number", parse_number)
    }

    /// The cells of a column as whole numbers from 0 on.
    ///
    /// # Errors
    /// There is no such column, or cells are no such numbers; all of them are named.
    pub fn indices(&self, name: &str) -> Result<Vec<u64>> {
        self.parsed(name, "a whole number from 0 on", parse_index)
    }

    fn parsed<T>(&self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
        let cells = self.text(name)?;
        let mut faults = Faults::new(&self.path);
        let mut values = Vec::with_capacity(cells.len());
        for (cell, &line) in cells.iter().zip(&self.lines) {
            match parse(cell) {
                Some(value) => values.push(value),
                None => faults.add(line, format!("column `{name}` is `{cell}`; {expected} is expected")),
            }
        }
        faults.check()?;
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        read_columns(path)
    }

    #[test]
    fn quotes_comments_and_line_ends() {
        let t = table("\u{feff}# by hand\nid,name,x\r\n1,\"a, \"\"b\"\"\nc\",0.5\n\n# no\n2,,-1e3\n").unwrap();
        assert_eq!(t.names(), ["id", "name", "x"]);
        assert_eq!(t.text("name").unwrap(), ["a, \"b\"\nc", ""]);
        assert_eq!(t.indices("id").unwrap(), [1, 2]);
        assert_eq!(t.numbers("x").unwrap(), [0.5, -1000.0]);
        assert_eq!((t.rows(), t.line(0), t.line(1)), (2, 3, 7));
    }

    #[test]
    fn separators_are_found_out() {
        for text in ["x y  z\n1 2 3\n  4\t5   6  \n", "x\ty\tz\n1\t2\t3\n4\t5\t6", "x; y; z\n1; 2; 3\n4;5;6\n"] {
            let t = table(text).unwrap();
            assert_eq!(t.numbers("z").unwrap(), [3.0, 6.0], "{text}");
        }
        // An empty cell at the end counts where separators are characters.
        assert_eq!(table("a,b\n1,\n").unwrap().text("b").unwrap(), [""]);
    }

    #[test]
    fn faults_name_line_and_column() {
        let t = table("id,x\n1,2\n-1,nan\n2.5,3\n4.0,inf\n").unwrap();
        let error = t.indices("id").unwrap_err().to_string();
        assert!(
            error.contains("t.csv:3: column `id` is `-1`") && error.contains(":4: column `id` is `2.5`"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 2);
        assert_eq!(t.numbers("x").unwrap_err().to_string().lines().count(), 2);
        let error = t.numbers("idd").unwrap_err().to_string();
        assert!(error.contains("did you mean `id`?"), "{error}");
        let error = table("a,b\n1\n1,2,3\n").unwrap_err().to_string();
        assert!(error.contains(":2: 1 cells") && error.contains(":3: 3 cells"), "{error}");
        assert!(table("a,b\n1,\"2\n").unwrap_err().to_string().contains("line 2 does not end"));
        assert!(table("\n# x\n").is_err());
    }

    /// Writes a file into a folder that lives as long as the pair.
    fn file(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn quoted_values_and_named_columns() {
        let (_folder, path) = file("m.csv", ",class,n\n7,\"a, \"\"b\"\"\",3\n9,c,4\n");
        let read = text_columns(&path, &[Column::Number(1), Column::Name("class".into())]).unwrap();
        assert_eq!(read, [["7", "9"], ["a, \"b\"", "c"]]);
        assert_eq!(number_column(&path, &Column::Name("n".into())).unwrap(), [3.0, 4.0]);
        assert_eq!(number_column(&path, &Column::Number(3)).unwrap(), [3.0, 4.0]);
        let error = text_columns(&path, &[Column::Name("clas".into())]).unwrap_err().to_string();
        assert!(error.contains("m.csv: there is no column `clas` (did you mean `class`?)"), "{error}");
        let error = number_column(&path, &Column::Name("class".into())).unwrap_err().to_string();
        assert!(error.contains("m.csv:2: column `class` is `a, \"b\"`; a finite number"), "{error}");
    }

    #[test]
    fn numbers_need_no_header() {
        let (_folder, path) = file("n.txt", "# neuron current\n0 10\n1\t20 # a comment\n2 -3e1\n");
        assert_eq!(number_column(&path, &Column::Number(2)).unwrap(), [10.0, 20.0, -30.0]);
        let error = number_column(&path, &Column::Number(3)).unwrap_err().to_string();
        assert!(error.contains("no column 3; there are 2"), "{error}");
        let (_folder, path) = file("n.txt", "0 10\n1 x\n");
        let error = number_column(&path, &Column::Number(2)).unwrap_err().to_string();
        assert!(error.contains("n.txt:2: column 2 is `x`"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.npy");
        npy::write(&path, &[2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(number_column(&path, &Column::Number(2)).unwrap(), [2.0, 4.0]);
        assert!(number_column(&path, &Column::Name("x".into())).is_err());
        npy::write(&path, &[2], &[1.0, f64::NAN]).unwrap();
        let error = number_column(&path, &Column::Number(1)).unwrap_err().to_string();
        assert!(error.contains("row 2 is NaN"), "{error}");
    }
}
