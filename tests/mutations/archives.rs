//! Archives of arrays: damaged as they are, and put together of damaged arrays.

use super::guard::Cases;
use super::mutate::{self, Draw};
use super::{npy_header, readers, times};
use std::io::Write;
use std::path::Path;

type Arrays = Vec<(&'static str, Vec<u8>)>;

/// An array with one axis, as NumPy writes it. `kind` is its type.
fn array(kind: &str, length: usize, values: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({length},), }}");
    header += &" ".repeat(64 - (header.len() + 11) % 64);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

fn integers(values: &[i32]) -> Vec<u8> {
    array("<i4", values.len(), &values.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>())
}

fn numbers(values: &[f64]) -> Vec<u8> {
    array("<f8", values.len(), &values.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>())
}

/// Columns of synapses.
fn columns() -> Arrays {
    vec![("pre", integers(&[1, 2, 0])), ("post", integers(&[7, 8, 9])), ("delay", numbers(&[1.5, 2.0, 0.5]))]
}

/// A sparse matrix as SciPy keeps it, whose format is a text without axes.
fn sparse() -> Arrays {
    let mut format = array("|S3", 0, b"csr");
    let at = format.windows(4).position(|w| w == b"(0,)").unwrap();
    format[at..at + 4].copy_from_slice(b"()  ");
    vec![
        ("indices", integers(&[1, 2, 0])),
        ("indptr", integers(&[0, 2, 2, 3])),
        ("format", format),
        ("shape", integers(&[3, 3])),
        ("data", numbers(&[0.5, -1.0, 2.0])),
    ]
}

fn pack(arrays: &Arrays) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        archive.start_file(format!("{name}.npy"), options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Good archives.
pub fn seeds() -> [(&'static str, Vec<u8>); 2] {
    [("columns.npz", pack(&columns())), ("sparse.npz", pack(&sparse()))]
}

/// Archives with damage anywhere, arrays with damage in sound archives, and traps.
pub fn cases(cases: &mut Cases, folder: &Path) {
    let path = folder.join("list.npz");
    for (name, arrays) in [("columns", columns()), ("sparse", sparse())] {
        let whole = pack(&arrays);
        std::fs::write(&path, &whole).unwrap();
        let good = readers::archive(&path);
        assert_eq!(good.refusals, [""; 0], "{name} is sound");
        for number in 0..times(80) {
            let mut draw = Draw::new(name, number);
            let (changed, how) = if number % 2 == 0 {
                mutate::bytes(&mut draw, &whole)
            } else {
                let mut changed = arrays.clone();
                let at = draw.below(changed.len());
                let header = draw.below(2) == 0;
                let damage = if header { npy_header } else { mutate::bytes };
                let (bytes, how) = damage(&mut draw, &changed[at].1);
                changed[at].1 = bytes;
                (pack(&changed), format!("array {}: {how}", changed[at].0))
            };
            std::fs::write(&path, changed).unwrap();
            cases.case(&format!("{name}.npz {number}: {how}"), folder, || readers::archive(&path));
        }
    }
    // Zeros shrink to a thousandth.
    let traps: [(&str, Arrays, &str); 4] = [
        (
            "many zeros",
            vec![("pre", array("<i4", 1 << 26, &vec![0; 1 << 20])), ("post", integers(&[1]))],
            "array `pre`",
        ),
        (
            "starts that go back",
            {
                let mut arrays = sparse();
                arrays[1].1 = integers(&[0, 3, 0, 3]);
                arrays
            },
            "`indptr` at 1",
        ),
        (
            "starts below 0",
            {
                let mut arrays = sparse();
                arrays[1].1 = integers(&[-1, i32::MIN, i32::MAX, 3]);
                arrays
            },
            "`indptr` at 0",
        ),
        ("arrays within", vec![("pre", pack(&columns())), ("post", integers(&[1]))], "array `pre`"),
    ];
    for (label, arrays, part) in traps {
        std::fs::write(&path, pack(&arrays)).unwrap();
        let label = format!("archive: {label}");
        let said = cases.case(&label, folder, || readers::archive(&path));
        cases.expect(&label, &said, part);
    }
}
