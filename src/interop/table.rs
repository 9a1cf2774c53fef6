//! Tables of text with a header line: coordinates, lists of ids, properties of neurons.

use super::{Faults, parse_index, parse_number};
use crate::error::{Error, Fault, Result, did_you_mean};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// What stands between the cells of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Character(char),
    /// Any number of spaces and tabs.
    Space,
}

impl Separator {
    /// The separator of a table with this header line.
    fn of(header: &str) -> Self {
        let found = [',', ';', '\t'].into_iter().find(|&c| header.contains(c));
        found.map_or(Self::Space, Self::Character)
    }
}

/// Reads a table line by line. Empty lines and those that begin with `#` are passed over.
///
/// A cell in double quotes may hold separators, line ends, and quotes written twice.
pub(super) struct Records<R> {
    path: PathBuf,
    reader: R,
    line: String,
    /// Lines read so far.
    lines: usize,
    /// Cells of the latest record.
    pub(super) cells: Vec<String>,
}

impl Records<BufReader<File>> {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
        let reader = BufReader::with_capacity(256 * 1024, file);
        Ok(Self { path: path.to_owned(), reader, line: String::new(), lines: 0, cells: Vec::new() })
    }
}

impl<R: BufRead> Records<R> {
    /// Reads the first record and takes it apart, by the given separator or the one it seems to have.
    pub(super) fn header(&mut self, given: Option<Separator>) -> Result<Option<(usize, Separator)>> {
        let Some(line) = self.next_line()? else { return Ok(None) };
        let separator = given.unwrap_or_else(|| Separator::of(&self.line));
        self.split(line, separator)?;
        Ok(Some((line, separator)))
    }

    /// Reads the next record into `cells`. Returns its line, or nothing at the end.
    pub(super) fn next(&mut self, separator: Separator) -> Result<Option<usize>> {
        let Some(line) = self.next_line()? else { return Ok(None) };
        self.split(line, separator)?;
        Ok(Some(line))
    }

    /// Takes the record in `line` apart.
    fn split(&mut self, line: usize, separator: Separator) -> Result<()> {
        while !take_apart(self.line.trim_end_matches(['\n', '\r']), separator, &mut self.cells) {
            if self.append_line()? == 0 {
                return Err(Error::format(&self.path, format!("a quotation that begins in line {line} does not end")));
            }
        }
        Ok(())
    }

    /// Reads up to the next line that is neither empty nor a comment.
    fn next_line(&mut self) -> Result<Option<usize>> {
        loop {
            self.line.clear();
            if self.append_line()? == 0 {
                return Ok(None);
            }
            if self.lines == 1 && self.line.starts_with('\u{feff}') {
                self.line.drain(..'\u{feff}'.len_utf8());
            }
            let text = self.line.trim();
            if !text.is_empty() && !text.starts_with('#') {
                return Ok(Some(self.lines));
            }
        }
    }

    fn append_line(&mut self) -> Result<usize> {
        self.lines += 1;
        self.reader.read_line(&mut self.line).map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => {
                Error::format(&self.path, format!("line {} is not UTF-8 text", self.lines))
            }
            _ => Error::io(&self.path, "read", e),
        })
    }
}

/// Takes a record apart into cells; false if it ends within quotes.
fn take_apart(record: &str, separator: Separator, cells: &mut Vec<String>) -> bool {
    let mut count = 0;
    let mut cell_at = |text: &str| {
        if count == cells.len() {
            cells.push(String::new());
        }
        cells[count].clear();
        cells[count].push_str(text);
        count += 1;
    };
    let is_separator = |c: char| match separator {
        Separator::Character(own) => c == own,
        Separator::Space => c == ' ' || c == '\t',
    };
    let skip: &[char] = if separator == Separator::Space { &[' ', '\t'] } else { &[' '] };
    let mut rest = record.trim_start_matches(skip);
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut inside = quoted;
            rest = loop {
                let Some(end) = inside.find('"') else { return false };
                text.push_str(&inside[..end]);
                inside = &inside[end + 1..];
                match inside.strip_prefix('"') {
                    Some(after) => {
                        text.push('"');
                        inside = after;
                    }
                    None => break inside,
                }
            };
            cell_at(&text);
            // Anything between the closing quote and the separator has no meaning.
            rest = &rest[rest.find(is_separator).unwrap_or(rest.len())..];
        } else {
            let end = rest.find(is_separator).unwrap_or(rest.len());
            cell_at(rest[..end].trim());
            rest = &rest[end..];
        }
        let Some(first) = rest.chars().next() else { break };
        rest = rest[first.len_utf8()..].trim_start_matches(skip);
        if rest.is_empty() && separator == Separator::Space {
            break;
        }
    }
    cells.truncate(count);
    true
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
    let Some((_, separator)) = records.header(None)? else {
        return Err(Error::format(path, "it is empty; a header line that names the columns is expected"));
    };
    let names = std::mem::take(&mut records.cells);
    let mut columns = vec![Vec::new(); names.len()];
    let (mut lines, mut faults) = (Vec::new(), Faults::new(path));
    while let Some(line) = records.next(separator)? {
        let found = records.cells.len();
        if found != names.len() {
            faults.add(line, format!("{found} cells are found; the header names {} columns", names.len()));
            continue;
        }
        lines.push(line);
        for (column, cell) in columns.iter_mut().zip(&mut records.cells) {
            column.push(std::mem::take(cell));
        }
    }
    faults.check()?;
    Ok(Table { path: path.to_owned(), names, columns, lines })
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
        self.names.iter().position(|n| n == name).ok_or_else(|| {
            let names = || self.names.iter().map(String::as_str);
            let hint = did_you_mean(name, names()).map_or(String::new(), |n| format!(" (did you mean `{n}`?)"));
            let known = names().collect::<Vec<_>>().join(", ");
            let mut fault = Fault::new("", format!("there is no column `{name}`{hint}; there are: {known}"));
            fault.file = Some(self.path.clone());
            Error::Invalid(vec![fault])
        })
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
}
