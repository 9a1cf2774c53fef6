//! Several files in one: what fuzzers change belongs to configurations of many files, and to containers whose checksums
//! have to be right.

#![allow(dead_code)] // Each program uses a part.

/// In front of the name of each file.
const MARK: &[u8] = b"\n--- ";

/// Puts files one behind the other.
pub fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut packed = Vec::new();
    for (name, bytes) in files {
        packed.extend_from_slice(MARK);
        packed.extend_from_slice(name.as_bytes());
        packed.push(b'\n');
        packed.extend_from_slice(bytes);
    }
    packed
}

/// Takes them apart; what stands before the first mark has the name `first`. Names that lead elsewhere are left out.
pub fn unpack(packed: &[u8], first: &str) -> Vec<(String, Vec<u8>)> {
    let mut starts: Vec<usize> =
        packed.windows(MARK.len()).enumerate().filter(|(_, w)| *w == MARK).map(|(i, _)| i).collect();
    starts.push(packed.len());
    let mut files = vec![(first.to_owned(), packed[..starts[0]].to_vec())];
    for pair in starts.windows(2) {
        let part = &packed[pair[0] + MARK.len()..pair[1]];
        let end = part.iter().position(|b| *b == b'\n').unwrap_or(part.len());
        let Ok(name) = std::str::from_utf8(&part[..end]) else { continue };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-');
        let parts = || name.split('/');
        if name.len() < 80 && name.chars().all(plain) && parts().all(|p| !p.is_empty() && p != "." && p != "..") {
            files.push((name.to_owned(), part.get(end + 1..).unwrap_or_default().to_vec()));
        }
    }
    files.retain(|(name, bytes)| !(name == first && bytes.is_empty()));
    files
}
