//! Claims of the header of an NPY file.

use std::io::{self, BufRead};

/// Longest header read, bytes. NumPy itself reads 10,000 unless told otherwise.
const LONGEST: usize = 1 << 16;
/// Deepest brackets read: those of records of arrays are four deep.
const DEEPEST: usize = 6;

/// Whether the header at the beginning of a file can be read in little memory and time: it is a Python expression, whose
/// parser takes a stack frame for every bracket and may try each of them twice. `file` stands at the beginning, and does
/// so afterwards; its buffer must hold a whole header (128 KiB).
///
/// # Errors
/// The file cannot be read. The result within says what is wrong with the header, as a part of a sentence.
pub fn check_npy_header(file: &mut impl BufRead) -> io::Result<Result<(), String>> {
    let bytes = file.fill_buf()?;
    let (start, length) = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, 0, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, 0, a, b, c, d, ..] => {
            (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        // The reader says what is wrong with other beginnings.
        _ => return Ok(Ok(())),
    };
    if length > LONGEST {
        return Ok(Err(format!("its header claims {length} bytes; at most {LONGEST} are read")));
    }
    let Some(text) = bytes.get(start..start + length) else {
        return Ok(Err(format!("it is cut within its header of {length} bytes")));
    };
    Ok(check_text(text))
}

/// Whether brackets outside quotes are few deep, and the product of all numbers there, which are lengths of axes, is one
/// that the parser can compute.
fn check_text(text: &[u8]) -> Result<(), String> {
    let (mut depth, mut quote, mut escaped) = (0usize, None, false);
    let (mut number, mut product) = (Some(0u64), Some(1u64));
    for byte in text {
        if quote.is_none() && byte.is_ascii_digit() {
            number = number.and_then(|n| n.checked_mul(10)?.checked_add(u64::from(byte - b'0')));
        } else {
            product = product.zip(number).and_then(|(product, n)| product.checked_mul(n.max(1)));
            if product.is_none() {
                return Err("the axes in its header count more values than any file holds".to_owned());
            }
            number = Some(0);
        }
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(q), _) if q == byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("its header has brackets more than {DEEPEST} deep"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: u8, length: u32, text: &str) -> Result<(), String> {
        let mut bytes = vec![0x93, b'N', b'U', b'M', b'P', b'Y', version, 0];
        bytes.extend(&length.to_le_bytes()[..if version == 1 { 2 } else { 4 }]);
        bytes.extend(text.as_bytes());
        check_npy_header(&mut io::BufReader::with_capacity(1 << 17, &bytes[..])).unwrap()
    }

    #[test]
    fn headers_that_cost_much_are_refused() {
        let good = "{'descr': [('a(((((((((', '<f4', (2, 3)), (\"it's\", '|u1')], 'shape': (7,), }\n";
        for version in [1, 2, 3] {
            assert_eq!(check(version, good.len() as u32, good), Ok(()));
        }
        assert!(check(2, u32::MAX, good).unwrap_err().contains("4294967295 bytes"));
        assert!(check(1, 2000, good).unwrap_err().contains("it is cut"));
        let deep = "[".repeat(7) + &"]".repeat(7);
        assert!(check(1, deep.len() as u32, &deep).unwrap_err().contains("more than 6 deep"));
        let large = "{'a': (4294967296, 0, 4294967295), 'b': '99999999999999999999'}";
        assert_eq!(check(1, large.len() as u32, large), Ok(()));
        for large in ["(4294967296, 0, 4294967296) ", "(18446744073709551616,)"] {
            assert!(check(1, large.len() as u32, large).unwrap_err().contains("more values than any file"), "{large}");
        }
        assert!(check(9, 3, "").is_ok() && check_npy_header(&mut &b"x"[..]).unwrap().is_ok());
    }
}
