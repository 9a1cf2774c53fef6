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
        while !take_apart(self.line.trim_end_matches(['\n', '\r']), self.separator, &mut self.cells) {
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

/// Takes a record apart into cells; false if it ends within quotes. Where cells stand apart by spaces, one that begins
/// with `#` begins a comment.
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
        if separator == Separator::Space && rest.starts_with('#') {
            break;
        }
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
