//! Lists of spikes by other tools.

use super::records::{Header, Records};
use super::{Faults, npy, parse_index, parse_number};
use crate::error::{Error, Result};
use std::path::Path;

const TIME: &str = "a number from 0 on, ms,";
const NEURON: &str = "a whole number from 0 on";

/// Reads spikes: the first column is a time (ms), the second the file's own number of a neuron; other columns are passed
/// over. Spikes are in order of time, at equal times of neurons.
///
/// - `.npy`: an array of shape N x 2.
/// - anything else: values between commas, semicolons, or spaces and tabs, with or without a header line, which is one if
///   it does not begin with a number.
///
/// # Errors
/// The file cannot be read, columns are missing, or lines are not what they should be: all are named, up to 20.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(f64, u64)>> {
    let path = path.as_ref();
    let mut spikes = if npy::is_named(path) { read_npy(path)? } else { read_text(path)? };
    spikes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    Ok(spikes)
}

fn read_text(path: &Path) -> Result<Vec<(f64, u64)>> {
    let mut records = Records::open(path)?;
    let mut spikes = Vec::new();
    match records.width() {
        0 => return Ok(spikes),
        1 => return Err(Error::format(path, "it has one column; two are expected: time (ms), neuron")),
        _ => {}
    }
    records.names(Header::Maybe);
    let mut faults = Faults::new(path);
    while let Some(line) = records.next(&mut faults)? {
        let (time, neuron) = (&records.cells[0], &records.cells[1]);
        let read = (parse_number(time).filter(|time| *time >= 0.0), parse_index(neuron));
        if read.0.is_none() {
            faults.add(line, format!("the time is `{time}`; {TIME} is expected"));
        }
        if read.1.is_none() {
            faults.add(line, format!("the neuron is `{neuron}`; {NEURON} is expected"));
        }
        spikes.extend(read.0.zip(read.1));
    }
    faults.check()?;
    Ok(spikes)
}

fn read_npy(path: &Path) -> Result<Vec<(f64, u64)>> {
    let array = npy::read(path)?;
    let (&[rows, 2], true) = (array.shape(), array.fields().is_empty()) else {
        let message = format!("its shape is {:?}; N x 2 (time in ms, neuron) is expected", array.shape());
        return Err(Error::format(path, message));
    };
    let spike = |row: usize| {
        let (time, neuron) = (array.number(2 * row, 0).to_f64(), array.number(2 * row + 1, 0));
        let wrong = |what: &str, found: npy::Number, expected: &str| {
            Error::format(path, format!("row {}: the {what} is {found}; {expected} is expected", row + 1))
        };
        if !(time >= 0.0 && time.is_finite()) {
            return Err(wrong("time", npy::Number::Float(time), TIME));
        }
        Ok((time, neuron.to_index().ok_or_else(|| wrong("neuron", neuron, NEURON))?))
    };
    (0..rows).map(spike).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str) -> Result<Vec<(f64, u64)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.txt");
        std::fs::write(&path, content).unwrap();
        read(path)
    }

    #[test]
    fn spikes_come_in_order_of_time() {
        let expected = [(0.5, 0), (1.5, 2), (1.5, 31)];
        assert_eq!(text("1.5 31\n1.5 2\n0.5 0 # first\n").unwrap(), expected);
        assert_eq!(text("time,neuron,kind\n1.5,31,a\n0.5,0,b\n1.5,2.0,c\n").unwrap(), expected);
        assert!(text("# none\n").unwrap().is_empty());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.npy");
        npy::write(&path, &[3, 2], &[1.5, 31.0, 1.5, 2.0, 0.5, 0.0]).unwrap();
        assert_eq!(read(path).unwrap(), expected);
    }

    #[test]
    fn faults_name_file_and_line() {
        let error = text("1 2\n-1 2\n3 x\n").unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[0].contains("s.txt:2: the time is `-1`; a number from 0 on, ms, is expected"), "{error}");
        assert!(lines[1].contains("s.txt:3: the neuron is `x`; a whole number"), "{error}");
        assert!(text("1\n2\n").unwrap_err().to_string().contains("one column; two are expected"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.npy");
        npy::write(&path, &[2, 2], &[1.5, 31.0, 1.5, 0.5]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("row 2: the neuron is 0.5; a whole number"));
        npy::write(&path, &[1, 2], &[-1.0, 31.0]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("row 1: the time is -1"));
        npy::write(&path, &[2], &[1.5, 31.0]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("its shape is [2]"));
    }
}
