//! Lists of positions by other tools.

use super::records::{Header, Records};
use super::{Faults, parse_number};
use crate::error::{Error, Result};
use crate::lattice::{AXES, Position};
use std::path::Path;

/// Reads a list of positions, one a line, um.
///
/// A header line names the columns `x`, `y`, `z`, `w` in any order; other columns are passed over. Without one there are
/// one to four numbers a line in this order. Axes that are not there are 0. Values stand between commas, semicolons, or
/// spaces and tabs.
///
/// # Errors
/// The file cannot be read, has none of these columns, or lines are not what they should be: all are named, up to 20.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Position>> {
    let path = path.as_ref();
    let mut records = Records::open(path)?;
    let mut positions = Vec::new();
    let width = records.width();
    if width == 0 {
        return Ok(positions);
    }
    let places: [Option<usize>; 4] = match records.names(Header::Maybe) {
        Some(names) => {
            let places = AXES.map(|axis| names.iter().position(|name| name.eq_ignore_ascii_case(axis)));
            if places.iter().all(Option::is_none) {
                let message = format!("columns of {} are expected; found: {}", AXES.join(", "), names.join(", "));
                return Err(Error::format(path, message));
            }
            places
        }
        None if width > AXES.len() => {
            let message = format!("it has {width} columns without names; one to four are expected: x, y, z, w");
            return Err(Error::format(path, message));
        }
        None => std::array::from_fn(|axis| (axis < width).then_some(axis)),
    };
    let mut faults = Faults::new(path);
    while let Some(line) = records.next(&mut faults)? {
        let mut position = [0.0; 4];
        for (axis, place) in places.iter().enumerate() {
            let Some(place) = place else { continue };
            let cell = &records.cells[*place];
            // Positions have 32 bits, in which a number that is finite with 64 may be infinite.
            match parse_number(cell).map(|number| number as f32).filter(|number| number.is_finite()) {
                Some(number) => position[axis] = number,
                None => faults.add(line, format!("{} is `{cell}`; a finite number is expected", AXES[axis])),
            }
        }
        positions.push(position);
    }
    faults.check()?;
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str) -> Result<Vec<Position>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.txt");
        std::fs::write(&path, content).unwrap();
        read(path)
    }

    #[test]
    fn positions_by_name_or_order() {
        assert_eq!(text("1 2 3\n4 5 6\n").unwrap(), [[1.0, 2.0, 3.0, 0.0], [4.0, 5.0, 6.0, 0.0]]);
        assert_eq!(text("w,x\n1,2\n").unwrap(), [[2.0, 0.0, 0.0, 1.0]]);
        assert_eq!(text("id\tcell type\tX\n7\tKC\t-0.5\n").unwrap(), [[-0.5, 0.0, 0.0, 0.0]]);
        assert!(text("# none\n").unwrap().is_empty());
    }

    #[test]
    fn faults_name_file_and_line() {
        let error = text("x,y\n1,2\n1,here\n1e39,0\n1\n").unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert!(
            lines[0].contains("p.txt:3: y is `here`; a finite number") && lines[1].contains("x is `1e39`"),
            "{error}"
        );
        assert!(lines[2].contains("p.txt:5: 1 cells are found; 2 are expected, as in line 1"), "{error}");
        assert!(text("id,n\n1,2\n").unwrap_err().to_string().contains("found: id, n"));
        assert!(text("1 2 3 4 5\n").unwrap_err().to_string().contains("5 columns without names"));
    }
}
