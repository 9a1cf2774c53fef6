//! Text taken apart into records of cells.

use super::{Faults, begins_number};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// What stands between the cells of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Character(char),
    /// Any number of spaces and tabs.
    Space,
}

impl Separator {
    /// The separator of a table that begins with this line: the first of comma, semicolon and tab that it has, else
    /// spaces. A line of nothing but numbers may mix tabs and spaces, since numbers hold no spaces; names do.
    fn of(line: &str) -> Self {
        // What stands in a comment separates nothing.
        let line = [" #", "\t#"].iter().filter_map(|mark| line.find(mark)).min().map_or(line, |end| &line[..end]);
        let numbers = line.split_whitespace().all(begins_number);
        let found = [',', ';', '\t'].into_iter().find(|&c| line.contains(c));
        found.filter(|&c| c != '\t' || !numbers).map_or(Self::Space, Self::Character)
    }
}

/// Whether the first record names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Always,
    /// Unless its first cell is a number.
    Maybe,
}

/// Reads a table record by record. Empty lines and those that begin with `#` are passed over.
///
/// A cell in double quotes may hold separators, line ends, and quotes written twice.
pub(super) struct Records {
    path: PathBuf,
    reader: BufReader<File>,
    line: String,
    /// Lines read so far.
    lines: usize,
    separator: Separator,
    /// Line of the first record, 0 if there is none.
    first: usize,
    /// Cells of the first record, 0 if there is none.
    width: usize,
    /// Line of the first record while it waits in `cells` for being asked for.
    waiting: Option<usize>,
    /// Cells of the latest record.
    pub(super) cells: Vec<String>,
}

impl Records {
    /// Opens a file and reads its first record, which tells how cells are separated and how many there are.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
        let mut records = Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(256 * 1024, file),
            line: String::new(),
            lines: 0,
            separator: Separator::Space,
            first: 0,
            width: 0,
            waiting: None,
            cells: Vec::new(),
        };
        if let Some(line) = records.next_line()? {
            records.separator = Separator::of(&records.line);
            records.split(line)?;
            (records.first, records.width, records.waiting) = (line, records.cells.len(), Some(line));
        }
        Ok(records)
    }

    /// Cells of the first record, which all others must have; 0 if the file has no record.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Takes the first record as names of the columns, if it is one. To be called before [`Self::next`].
    pub(super) fn names(&mut self, header: Header) -> Option<Vec<String>> {
        if header == Header::Maybe && self.cells.first().is_none_or(|cell| begins_number(cell)) {
            return None;
        }
        self.waiting.take().map(|_| std::mem::take(&mut self.cells))
    }

    /// Reads the next record into `cells`, passing over those of another width than the first, which are faults.
    /// Returns its line, or nothing at the end.
    pub(super) fn next(&mut self, faults: &mut Faults) -> Result<Option<usize>> {
        if self.waiting.is_some() {
            return Ok(self.waiting.take());
        }
        loop {
            let Some(line) = self.next_line()? else { return Ok(None) };
            self.split(line)?;
            let (found, width, first) = (self.cells.len(), self.width, self.first);
            if found == width {
                return Ok(Some(line));
            }
            faults.add(line, format!("{found} cells are found; {width} are expected, as in line {first}"));
        }
    }

    /// Takes the record in `line` apart.
    fn split(&mut self, line: usize) -> Result<()> {
        let mut record = Taking { separator: self.separator, cells: &mut self.cells, count: 0, open: None };
        while !record.take(&self.line) {
            // Only the new line is looked at: a quotation over all lines of a file takes no longer than they do.
            self.line.clear();
            self.lines += 1;
            if read_line(&self.path, &mut self.reader, &mut self.line, self.lines)? == 0 {
                return Err(Error::format(&self.path, format!("a quotation that begins in line {line} does not end")));
            }
        }
        let count = record.count;
        self.cells.truncate(count);
        Ok(())
    }

    /// Reads up to the next line that is neither empty nor a comment.
    fn next_line(&mut self) -> Result<Option<usize>> {
        loop {
            self.line.clear();
            self.lines += 1;
            if read_line(&self.path, &mut self.reader, &mut self.line, self.lines)? == 0 {
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
}

/// Appends the next line, which has this number, to `line`; gives its length, 0 at the end of the file.
fn read_line(path: &Path, reader: &mut BufReader<File>, line: &mut String, number: usize) -> Result<usize> {
    reader.read_line(line).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => Error::format(path, format!("line {number} is not UTF-8 text")),
        _ => Error::io(path, "read", e),
    })
}

/// A record being taken apart into cells, line by line.
struct Taking<'a> {
    separator: Separator,
    cells: &'a mut Vec<String>,
    /// Cells of this record so far; what follows in `cells` is of earlier ones.
    count: usize,
    /// What stands so far in quotes that have not ended.
    open: Option<String>,
}

impl Taking<'_> {
    /// Takes the next line of the record; false if it ends within quotes. Where cells stand apart by spaces, one that
    /// begins with `#` begins a comment.
    fn take(&mut self, line: &str) -> bool {
        let separator = self.separator;
        let is_separator = |c: char| match separator {
            Separator::Character(own) => c == own,
            Separator::Space => c == ' ' || c == '\t',
        };
        let skip: &[char] = if separator == Separator::Space { &[' ', '\t'] } else { &[' '] };
        let record = line.trim_end_matches(['\n', '\r']);
        let mut quoted = self.open.take();
        let mut rest = if quoted.is_some() { record } else { record.trim_start_matches(skip) };
        loop {
            if quoted.is_none() {
                if separator == Separator::Space && rest.starts_with('#') {
                    return true;
                }
                if let Some(inside) = rest.strip_prefix('"') {
                    (quoted, rest) = (Some(String::new()), inside);
                }
            }
            if let Some(mut text) = quoted.take() {
                rest = loop {
                    let Some(end) = rest.find('"') else {
                        text.push_str(rest);
                        text.push_str(&line[record.len()..]);
                        self.open = Some(text);
                        return false;
                    };
                    text.push_str(&rest[..end]);
                    rest = &rest[end + 1..];
                    match rest.strip_prefix('"') {
                        Some(after) => {
                            text.push('"');
                            rest = after;
                        }
                        None => break rest,
                    }
                };
                self.put(&text);
                // Anything between the closing quote and the separator has no meaning.
                rest = &rest[rest.find(is_separator).unwrap_or(rest.len())..];
            } else {
                let end = rest.find(is_separator).unwrap_or(rest.len());
                self.put(rest[..end].trim());
                rest = &rest[end..];
            }
            let Some(first) = rest.chars().next() else { return true };
            rest = rest[first.len_utf8()..].trim_start_matches(skip);
            if rest.is_empty() && separator == Separator::Space {
                return true;
            }
        }
    }

    fn put(&mut self, text: &str) {
        if self.count == self.cells.len() {
            self.cells.push(String::new());
        }
        self.cells[self.count].clear();
        self.cells[self.count].push_str(text);
        self.count += 1;
    }
}
