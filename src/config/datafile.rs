//! The data files a configuration refers to: text tables, and matrices in NPY.
//!
//! Text tables have one row a line, values between commas or white space, `"` around values that contain a comma,
//! and `#` before comments. Errors are full sentences that name file and line.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Which column of a table is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    Name(String),
    /// Counted from 1.
    Number(usize),
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Number(number) => write!(f, "number {number}"),
        }
    }
}

/// Calls `row` for each row with its line number and values. With `header` the first row is taken as names and
/// returned; without, it is taken so only if its values are not all numbers.
fn rows(
    path: &Path,
    header: bool,
    mut row: impl FnMut(usize, &[Cow<'_, str>], &[String]) -> Result<(), String>,
) -> Result<Vec<String>, String> {
    let file = File::open(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let mut names: Vec<String> = Vec::new();
    let mut first = true;
    let mut comma = false;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = String::new();
    let mut number = 0;
    loop {
        line.clear();
        let read = reader.read_line(&mut line).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        if read == 0 {
            return Ok(names);
        }
        number += 1;
        let text = line.trim_end_matches(['\n', '\r']).trim_start_matches('\u{feff}');
        if text.trim().is_empty() || text.trim_start().starts_with('#') {
            continue;
        }
        if first {
            comma = text.contains(',');
        }
        let values = split(text, comma).map_err(|message| format!("{}, line {number}: {message}", path.display()))?;
        if first {
            first = false;
            if header || values.iter().any(|value| value.parse::<f64>().is_err()) {
                names = values.iter().map(|value| value.to_string()).collect();
                continue;
            }
        }
        row(number, &values, &names)?;
    }
}

fn split(line: &str, comma: bool) -> Result<Vec<Cow<'_, str>>, String> {
    if !comma {
        let line = line.split('#').next().unwrap_or(line);
        return Ok(line.split_whitespace().map(Cow::Borrowed).collect());
    }
    if !line.contains('"') {
        return Ok(line.split(',').map(|value| Cow::Borrowed(value.trim())).collect());
    }
    let mut values = Vec::new();
    let mut value = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                value.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(Cow::Owned(std::mem::take(&mut value).trim().to_owned())),
            c => value.push(c),
        }
    }
    if quoted {
        return Err("a quotation mark is not closed".to_owned());
    }
    values.push(Cow::Owned(value.trim().to_owned()));
    Ok(values)
}

fn position(path: &Path, names: &[String], column: &Column, width: usize) -> Result<usize, String> {
    match column {
        Column::Number(number) if (1..=width).contains(number) => Ok(number - 1),
        Column::Number(number) => Err(format!("`{}` has {width} columns; there is no column {number}", path.display())),
        Column::Name(name) => names.iter().position(|n| n == name).ok_or_else(|| {
            let near = crate::error::did_you_mean(name, names.iter().map(String::as_str))
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            format!("`{}` has no column `{name}`{near}", path.display())
        }),
    }
}

/// Columns of a table with a header, as texts: one vector for each column asked for.
pub(super) fn text_columns(path: &Path, columns: &[Column]) -> Result<Vec<Vec<String>>, String> {
    let mut out = vec![Vec::new(); columns.len()];
    let mut places: Vec<usize> = Vec::new();
    rows(path, true, |line, values, names| {
        if places.is_empty() {
            places = columns.iter().map(|c| position(path, names, c, names.len())).collect::<Result<_, _>>()?;
        }
        for (place, out) in places.iter().zip(&mut out) {
            let value = values.get(*place).ok_or_else(|| {
                format!("{}, line {line}: {} values, but the header has {}", path.display(), values.len(), names.len())
            })?;
            out.push(value.to_string());
        }
        Ok(())
    })?;
    Ok(out)
}

/// One column of numbers: of a text table with or without a header, or of an NPY file.
pub(super) fn number_column(path: &Path, column: &Column) -> Result<Vec<f64>, String> {
    if is_npy(path) {
        let matrix = npy(path)?;
        let place = position(path, &[], column, matrix.columns)?;
        return Ok(matrix.values.iter().skip(place).step_by(matrix.columns.max(1)).copied().collect());
    }
    let mut out = Vec::new();
    let mut place = None;
    rows(path, false, |line, values, names| {
        let at = match place {
            Some(at) => at,
            None => *place.insert(position(path, names, column, values.len())?),
        };
        out.push(number(path, line, values.get(at).map_or("", |v| v))?);
        Ok(())
    })?;
    Ok(out)
}

fn number(path: &Path, line: usize, text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|x| x.is_finite())
        .ok_or_else(|| format!("{}, line {line}: `{text}` is not a number", path.display()))
}

fn identity(path: &Path, line: usize, text: &str) -> Result<u64, String> {
    text.parse::<u64>()
        .ok()
        .or_else(|| text.parse::<f64>().ok().filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x)).map(|x| x as u64))
        .ok_or_else(|| format!("{}, line {line}: `{text}` is not the number of a neuron", path.display()))
}

/// Positions: columns x, y, z, w by name, or in this order without a header; absent ones are 0.
pub(super) fn positions(path: &Path) -> Result<Vec<[f32; 4]>, String> {
    let mut out = Vec::new();
    let mut places: Option<[Option<usize>; 4]> = None;
    rows(path, false, |line, values, names| {
        let places = match &places {
            Some(places) => places,
            None => {
                let found: [Option<usize>; 4] = std::array::from_fn(|axis| {
                    if names.is_empty() {
                        (axis < values.len()).then_some(axis)
                    } else {
                        names.iter().position(|n| n.eq_ignore_ascii_case(crate::lattice::AXES[axis]))
                    }
                });
                if found.iter().all(Option::is_none) {
                    return Err(format!("`{}` has no column x, y, z or w", path.display()));
                }
                places.insert(found)
            }
        };
        let mut position = [0.0; 4];
        for (axis, place) in places.iter().enumerate() {
            if let Some(place) = place {
                position[axis] = number(path, line, values.get(*place).map_or("", |v| v))? as f32;
            }
        }
        out.push(position);
        Ok(())
    })?;
    Ok(out)
}

/// One synapse as a file names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct EdgeRow {
    pub(super) source: u64,
    pub(super) target: u64,
    pub(super) weight: Option<f64>,
    pub(super) delay: Option<f64>,
    /// Line of the file, or row of the matrix.
    pub(super) line: usize,
}

/// A list of edges: text with or without a header, or an NPY matrix with 2 to 4 columns.
pub(super) fn edges(path: &Path) -> Result<Vec<EdgeRow>, String> {
    if is_npy(path) {
        let matrix = npy(path)?;
        if !(2..=4).contains(&matrix.columns) {
            return Err(format!("`{}` has {} columns; 2 to 4 are expected", path.display(), matrix.columns));
        }
        let id = |x: f64, row: usize| {
            if x.fract() == 0.0 && (0.0..9e15).contains(&x) {
                Ok(x as u64)
            } else {
                Err(format!("{}, row {row}: `{x}` is not the number of a neuron", path.display()))
            }
        };
        return (matrix.values.chunks_exact(matrix.columns).enumerate())
            .map(|(i, row)| {
                Ok(EdgeRow {
                    source: id(row[0], i + 1)?,
                    target: id(row[1], i + 1)?,
                    weight: row.get(2).copied(),
                    delay: row.get(3).copied(),
                    line: i + 1,
                })
            })
            .collect();
    }
    const NAMES: [&[&str]; 4] = [
        &["source", "pre", "from", "source_id"],
        &["target", "post", "to", "target_id"],
        &["weight", "syn_weight"],
        &["delay"],
    ];
    let mut out = Vec::new();
    let mut places: Option<[Option<usize>; 4]> = None;
    rows(path, false, |line, values, names| {
        let places = match &places {
            Some(places) => places,
            None => {
                let found: [Option<usize>; 4] = std::array::from_fn(|k| {
                    if names.is_empty() {
                        (k < values.len()).then_some(k)
                    } else {
                        names.iter().position(|n| NAMES[k].iter().any(|known| n.eq_ignore_ascii_case(known)))
                    }
                });
                if found[0].is_none() || found[1].is_none() {
                    return Err(format!(
                        "`{}` needs the columns source and target (or pre and post); it has {}",
                        path.display(),
                        names.join(", ")
                    ));
                }
                places.insert(found)
            }
        };
        let value = |k: usize| places[k].map(|at| values.get(at).map_or("", |v| v));
        out.push(EdgeRow {
            source: identity(path, line, value(0).unwrap_or_default())?,
            target: identity(path, line, value(1).unwrap_or_default())?,
            weight: value(2).map(|text| number(path, line, text)).transpose()?,
            delay: value(3).map(|text| number(path, line, text)).transpose()?,
            line,
        });
        Ok(())
    })?;
    Ok(out)
}

/// Spikes: the first column is a time in ms, the second a neuron; in order of time afterwards.
pub(super) fn spikes(path: &Path) -> Result<Vec<(f64, u64)>, String> {
    let mut out = Vec::new();
    if is_npy(path) {
        let matrix = npy(path)?;
        if matrix.columns != 2 {
            return Err(format!("`{}` has {} columns; 2 (time, neuron) are expected", path.display(), matrix.columns));
        }
        out.extend(matrix.values.chunks_exact(2).map(|row| (row[0], row[1] as u64)));
    } else {
        rows(path, false, |line, values, _| {
            if values.len() < 2 {
                return Err(format!("{}, line {line}: a time (ms) and a neuron are expected", path.display()));
            }
            out.push((number(path, line, &values[0])?, identity(path, line, &values[1])?));
            Ok(())
        })?;
    }
    if let Some((time, _)) = out.iter().find(|(time, _)| *time < 0.0) {
        return Err(format!("`{}` has a spike at {time} ms; times are 0 or above", path.display()));
    }
    out.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    Ok(out)
}

/// A matrix, row by row. A vector is a matrix with one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<f64>,
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"))
}

/// Reads an NPY file of numbers with one or two dimensions.
pub(super) fn npy(path: &Path) -> Result<Matrix, String> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let data =
        npyz::NpyFile::new(BufReader::new(file)).map_err(|error| format!("`{shown}` is not an NPY file: {error}"))?;
    let shape: Vec<usize> = data.shape().iter().map(|n| *n as usize).collect();
    let (rows, columns) = match shape[..] {
        [n] => (n, 1),
        [rows, columns] => (rows, columns),
        _ => return Err(format!("`{shown}` has {} dimensions; 1 or 2 are expected", shape.len())),
    };
    let fortran = data.order() == npyz::Order::Fortran;
    let kind = data.dtype().descr();
    let kind = kind.trim_matches('\'').trim_start_matches(['<', '>', '|', '=']).to_owned();
    macro_rules! read {
        ($($name:literal => $number:ty),*) => {
            match kind.as_str() {
                $($name => data.into_vec::<$number>().map(|v| v.into_iter().map(|x| x as f64).collect::<Vec<f64>>()),)*
                other => return Err(format!("`{shown}` holds values of type {other}; numbers are expected")),
            }
        };
    }
    let mut values = read!("f8" => f64, "f4" => f32, "i8" => i64, "i4" => i32, "i2" => i16, "i1" => i8,
                           "u8" => u64, "u4" => u32, "u2" => u16, "u1" => u8)
    .map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    if fortran && columns > 1 {
        values = (0..rows * columns).map(|i| values[i % columns * rows + i / columns]).collect();
    }
    Ok(Matrix { rows, columns, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        File::create(&path).unwrap().write_all(content).unwrap();
        (dir, path)
    }

    #[test]
    fn edges_with_and_without_header() {
        let (_d, path) = file("a.txt", b"# comment\n29 8419602 9.0\n720575940624547622 3 1\n");
        let read = edges(&path).unwrap();
        assert_eq!(read[0], EdgeRow { source: 29, target: 8_419_602, weight: Some(9.0), delay: None, line: 2 });
        assert_eq!(read[1].source, 720_575_940_624_547_622);
        let (_d, path) = file("a.csv", b"weight,post,pre\n0.5,2,1\n");
        let read = edges(&path).unwrap();
        assert_eq!((read[0].source, read[0].target, read[0].weight), (1, 2, Some(0.5)));
        let (_d, path) = file("a.csv", b"1,2\n1,x\n");
        assert!(edges(&path).unwrap_err().ends_with("line 2: `x` is not the number of a neuron"));
    }

    #[test]
    fn quoted_values_and_named_columns() {
        let (_d, path) = file("m.csv", b",class,n\n7,\"a, \"\"b\"\"\",3\n9,c,4\n");
        let read = text_columns(&path, &[Column::Number(1), Column::Name("class".into())]).unwrap();
        assert_eq!(read, [["7", "9"], ["a, \"b\"", "c"]]);
        assert_eq!(number_column(&path, &Column::Name("n".into())).unwrap(), [3.0, 4.0]);
        assert!(text_columns(&path, &[Column::Name("clas".into())]).unwrap_err().contains("did you mean `class`"));
    }

    #[test]
    fn positions_by_name_or_order() {
        let (_d, path) = file("p.txt", b"1 2 3\n4 5 6\n");
        assert_eq!(positions(&path).unwrap(), [[1.0, 2.0, 3.0, 0.0], [4.0, 5.0, 6.0, 0.0]]);
        let (_d, path) = file("p.csv", b"w,x\n1,2\n");
        assert_eq!(positions(&path).unwrap(), [[2.0, 0.0, 0.0, 1.0]]);
    }

    #[test]
    fn matrices_in_either_order() {
        use npyz::WriterBuilder;
        for (order, values) in [(npyz::Order::C, [1.0f32, 2.0, 3.0, 4.0]), (npyz::Order::Fortran, [1.0, 3.0, 2.0, 4.0])]
        {
            let mut bytes = Vec::new();
            let mut writer = npyz::WriteOptions::new()
                .default_dtype()
                .shape(&[2, 2])
                .order(order)
                .writer(&mut bytes)
                .begin_nd()
                .unwrap();
            writer.extend(values).unwrap();
            writer.finish().unwrap();
            let (_d, path) = file("m.npy", &bytes);
            assert_eq!(npy(&path).unwrap(), Matrix { rows: 2, columns: 2, values: vec![1.0, 2.0, 3.0, 4.0] });
        }
    }
}
