//! NPY files, NumPy's format for one array.

use crate::claims::check_npy_header;
use crate::error::{Error, Result};
use npyz::{DType, Endianness, NpyFile, Order, TypeChar, TypeStr, WriterBuilder};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// An array of real numbers or truth values, or of records of them, of any shape.
#[derive(Debug, Clone)]
pub struct Array {
    shape: Vec<usize>,
    order: Order,
    fields: Vec<Field>,
    /// Bytes of an element.
    stride: usize,
    /// Invariant, checked when the file is read: `shape.product() * stride` bytes.
    bytes: Vec<u8>,
}

/// Where a field of an element lies, and how it is encoded.
#[derive(Debug, Clone)]
struct Field {
    name: String,
    offset: usize,
    kind: Kind,
    size: usize,
    big: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Signed,
    Unsigned,
    Float,
}

/// A number of an array, as exact as the file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A signed integer.
    Signed(i64),
    /// An unsigned integer or a truth value (0 or 1).
    Unsigned(u64),
    /// A floating-point number.
    Float(f64),
}

impl Number {
    /// The nearest floating-point number.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Signed(n) => n as f64,
            Self::Unsigned(n) => n as f64,
            Self::Float(n) => n,
        }
    }

    /// The number as an index, if it is a whole one and not negative.
    pub fn to_index(self) -> Option<u64> {
        match self {
            Self::Signed(n) => u64::try_from(n).ok(),
            Self::Unsigned(n) => Some(n),
            Self::Float(n) => super::whole(n),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signed(n) => n.fmt(f),
            Self::Unsigned(n) => n.fmt(f),
            Self::Float(n) => n.fmt(f),
        }
    }
}

impl Array {
    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the fields of a structured array; none for an array of plain numbers.
    pub fn fields(&self) -> Vec<&str> {
        self.fields.iter().filter(|f| !f.name.is_empty()).map(|f| f.name.as_str()).collect()
    }

    /// A field (0 for plain numbers) of an element, elements being counted with the last axis running fastest.
    ///
    /// # Panics
    /// There is no such element or field.
    pub fn number(&self, element: usize, field: usize) -> Number {
        let Field { offset, kind, size, big, .. } = self.fields[field];
        let start = self.place(element) * self.stride + offset;
        let mut raw = [0; 8];
        raw[..size].copy_from_slice(&self.bytes[start..start + size]);
        if big {
            raw[..size].reverse();
        }
        let unsigned = u64::from_le_bytes(raw);
        match kind {
            Kind::Unsigned => Number::Unsigned(unsigned),
            Kind::Signed => {
                // Shifting up and back spreads the sign of a shorter number.
                let unused = 64 - 8 * size as u32;
                Number::Signed((unsigned << unused).cast_signed() >> unused)
            }
            Kind::Float if size == 4 => Number::Float(f64::from(f32::from_bits(unsigned as u32))),
            Kind::Float => Number::Float(f64::from_bits(unsigned)),
        }
    }

    /// Where an element lies in the file.
    fn place(&self, element: usize) -> usize {
        if self.order == Order::C || self.shape.len() < 2 {
            return element;
        }
        // In a Fortran array the first axis runs fastest.
        let (mut rest, mut place, mut below) = (element, 0, self.len());
        for &length in self.shape.iter().rev() {
            below /= length;
            place += (rest % length) * below;
            rest /= length;
        }
        place
    }

    /// All plain numbers, the last axis running fastest.
    pub fn to_f64(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.number(i, 0).to_f64()).collect()
    }

    /// All plain numbers rounded to 32 bits, the last axis running fastest.
    pub fn to_f32(&self) -> Vec<f32> {
        (0..self.len()).map(|i| self.number(i, 0).to_f64() as f32).collect()
    }
}

/// Reads an array of real numbers, truth values, or records of them.
///
/// # Errors
/// The file cannot be read, is not in NPY format or shorter than it says, or holds something else (text, complex
/// numbers, Python objects, half precision).
pub fn read(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    parse(path, "", BufReader::with_capacity(256 * 1024, file))
}

/// Reads an array of a file; `at` says where in the file it stands, for messages. The buffer of `content` holds a whole
/// header (128 KiB).
pub(super) fn parse(path: &Path, at: &str, mut content: impl BufRead) -> Result<Array> {
    let wrong = |message: String| Error::format(path, format!("{at}{message}"));
    let checked = check_npy_header(&mut content).map_err(|e| Error::io(path, "read", e))?;
    let file = checked
        .and_then(|()| NpyFile::new(content).map_err(|e| e.to_string()))
        .map_err(|e| wrong(format!("it is not an NPY file: {e}")))?;
    let (dtype, order) = (file.dtype(), file.order());
    let fields = fields_of(&dtype).ok_or_else(|| {
        wrong(format!("it holds {}; real numbers of 1 to 8 bytes are expected, float64 for example", dtype.descr()))
    })?;
    let stride = dtype.num_bytes().unwrap_or(0);
    let shape: Option<Vec<usize>> = file.shape().iter().map(|&n| usize::try_from(n).ok()).collect();
    // Axes of no length hide the others, which readers take for counts all the same.
    let counted =
        |axes: &[usize], least: usize| axes.iter().try_fold(stride, |n, &axis| n.checked_mul(axis.max(least)));
    let sizes = shape.as_ref().and_then(|axes| Some((counted(axes, 0)?, counted(axes, 1)?)));
    let (Some(shape), Some((expected, _))) = (shape, sizes) else {
        return Err(wrong(format!("its shape is {:?}, which no memory can hold", file.shape())));
    };
    let mut bytes = Vec::new();
    file.into_inner().read_to_end(&mut bytes).map_err(|e| Error::io(path, "read", e))?;
    if bytes.len() < expected {
        return Err(wrong(format!("it has {} bytes of numbers; its shape {shape:?} takes {expected}", bytes.len())));
    }
    bytes.truncate(expected);
    Ok(Array { shape, order, fields, stride, bytes })
}

/// Whether a file is one in NPY format by its name.
pub(super) fn is_named(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"))
}

/// A matrix of numbers, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// The `rows * columns` numbers, those of the first row first.
    pub values: Vec<f64>,
}

/// Reads an array of plain numbers with one or two axes; one with a single axis becomes one column.
///
/// # Errors
/// Those of [`read`], or the array has fields or another number of axes.
pub fn read_matrix(path: impl AsRef<Path>) -> Result<Matrix> {
    let path = path.as_ref();
    let array = read(path)?;
    let (rows, columns) = match (array.shape(), array.fields().is_empty()) {
        (&[rows], true) => (rows, 1),
        (&[rows, columns], true) => (rows, columns),
        (shape, true) => {
            let message = format!("its shape is {shape:?}, which has {} axes; one or two are expected", shape.len());
            return Err(Error::format(path, message));
        }
        (_, false) => {
            let found = array.fields().join(", ");
            return Err(Error::format(path, format!("it holds records of {found}; plain numbers are expected")));
        }
    };
    Ok(Matrix { rows, columns, values: array.to_f64() })
}

fn fields_of(dtype: &DType) -> Option<Vec<Field>> {
    match dtype {
        DType::Plain(plain) => Some(vec![field(String::new(), 0, plain)?]),
        DType::Record(records) => {
            let mut offset = 0;
            let mut fields = Vec::with_capacity(records.len());
            for record in records {
                let DType::Plain(plain) = &record.dtype else { return None };
                // Structured types with gaps describe them as unnamed raw bytes.
                if plain.type_char() != TypeChar::RawData {
                    fields.push(field(record.name.clone(), offset, plain)?);
                }
                offset = plain.num_bytes().and_then(|bytes| bytes.checked_add(offset))?;
            }
            // Gaps alone hold no numbers.
            (!fields.is_empty()).then_some(fields)
        }
        DType::Array(..) => None,
    }
}

fn field(name: String, offset: usize, plain: &TypeStr) -> Option<Field> {
    let size = plain.num_bytes()?;
    let kind = match (plain.type_char(), size) {
        (TypeChar::Int, 1 | 2 | 4 | 8) => Kind::Signed,
        (TypeChar::Uint, 1 | 2 | 4 | 8) | (TypeChar::Bool, 1) => Kind::Unsigned,
        (TypeChar::Float, 4 | 8) => Kind::Float,
        _ => return None,
    };
    Some(Field { name, offset, kind, size, big: plain.endianness() == Endianness::Big })
}

/// Writes an array of this shape, the last axis running fastest in `values`. An existing file is replaced.
///
/// # Errors
/// The file cannot be written, or the shape does not fit the number of values.
pub fn write<T>(path: impl AsRef<Path>, shape: &[usize], values: &[T]) -> Result<()>
where
    T: npyz::AutoSerialize + Copy,
{
    let path = path.as_ref();
    if shape.iter().product::<usize>() != values.len() {
        return Err(Error::Usage(format!("{} values do not fill an array of shape {shape:?}", values.len())));
    }
    let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
    let attempt = || {
        let mut file = BufWriter::new(File::create(path)?);
        let options = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut file);
        let mut writer = options.begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()?;
        file.flush()
    };
    attempt().map_err(|e| Error::io(path, "write", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir, descr: &str, fortran: &str, shape: &str, bytes: &[u8]) -> std::path::PathBuf {
        let mut header = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
        header += &" ".repeat((64 - (header.len() + 11) % 64) % 64);
        header.push('\n');
        let mut all = b"\x93NUMPY\x01\x00".to_vec();
        all.extend((header.len() as u16).to_le_bytes());
        all.extend(header.as_bytes());
        all.extend(bytes);
        let path = folder.path().join("a.npy");
        std::fs::write(&path, all).unwrap();
        path
    }

    #[test]
    fn arrays_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write(&path, &[2, 3], &[1.5_f32, -2.0, 3.0, 4.0, 5.0, f32::MAX]).unwrap();
        let array = read(&path).unwrap();
        assert_eq!((array.shape(), array.len(), array.fields().len()), (&[2, 3][..], 6, 0));
        assert_eq!(array.to_f32(), [1.5, -2.0, 3.0, 4.0, 5.0, f32::MAX]);
        write(&path, &[2], &[u64::MAX, 7]).unwrap();
        assert_eq!(read(&path).unwrap().number(0, 0), Number::Unsigned(u64::MAX));
        write::<f64>(&path, &[0, 4], &[]).unwrap();
        assert!(read(&path).unwrap().is_empty());
        assert!(matches!(write(&path, &[3], &[1.0]), Err(Error::Usage(_))));
    }

    #[test]
    fn any_byte_order_width_and_axis_order() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = [-1_i16, 2, -3, 4, 5, 6].iter().flat_map(|n| n.to_be_bytes()).collect();
        let big = read(file(&folder, "'>i2'", "False", "(6,)", &bytes)).unwrap();
        assert_eq!(big.to_f64(), [-1.0, 2.0, -3.0, 4.0, 5.0, 6.0]);
        let fortran = read(file(&folder, "'>i2'", "True", "(2, 3)", &bytes)).unwrap();
        assert_eq!(fortran.to_f64(), [-1.0, -3.0, 5.0, 2.0, 4.0, 6.0]);
        let truth = read(file(&folder, "'|b1'", "False", "(3,)", &[1, 0, 1])).unwrap();
        assert_eq!(truth.to_f64(), [1.0, 0.0, 1.0]);
    }

    #[test]
    fn matrices_in_either_order() {
        let folder = tempfile::tempdir().unwrap();
        let expected = Matrix { rows: 2, columns: 2, values: vec![1.0, 2.0, 3.0, 4.0] };
        for (fortran, values) in [("False", [1.0_f32, 2.0, 3.0, 4.0]), ("True", [1.0, 3.0, 2.0, 4.0])] {
            let bytes: Vec<u8> = values.iter().flat_map(|n| n.to_le_bytes()).collect();
            assert_eq!(read_matrix(file(&folder, "'<f4'", fortran, "(2, 2)", &bytes)).unwrap(), expected);
        }
        let column = read_matrix(file(&folder, "'|u1'", "False", "(2,)", &[7, 8])).unwrap();
        assert_eq!(column, Matrix { rows: 2, columns: 1, values: vec![7.0, 8.0] });
        let error = read_matrix(file(&folder, "'|u1'", "False", "(1, 1, 1)", &[7])).unwrap_err().to_string();
        assert!(error.contains("[1, 1, 1], which has 3 axes"), "{error}");
        let error = read_matrix(file(&folder, "[('a', '|u1')]", "False", "(1,)", &[7])).unwrap_err().to_string();
        assert!(error.contains("records of a"), "{error}");
    }

    #[test]
    fn records_have_fields() {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        for (id, weight) in [(7_u32, -0.5_f64), (u32::MAX, 2.0)] {
            bytes.extend(id.to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(weight.to_le_bytes());
        }
        let path = file(&folder, "[('id', '<u4'), ('', '|V4'), ('w', '<f8')]", "False", "(2,)", &bytes);
        let array = read(path).unwrap();
        assert_eq!(array.fields(), ["id", "w"]);
        assert_eq!(array.number(1, 0), Number::Unsigned(u64::from(u32::MAX)));
        assert_eq!(array.number(0, 1), Number::Float(-0.5));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (descr, shape, part) in [
            ("'<c16'", "(1,)", "<c16"),
            ("'<f2'", "(1,)", "<f2"),
            ("'<f8'", "(3,)", "8 bytes of numbers; its shape [3] takes 24"),
            ("'<f8'", "(9223372036854775807,)", "no memory"),
        ] {
            let error = read(file(&folder, descr, "False", shape, &[0; 8])).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
