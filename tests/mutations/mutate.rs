//! Ways to damage a file.

use rust_hdf5::format::checksum::checksum_metadata;
use serde_json::Value;
use tessera::rng::{Key, Purpose};

/// A source of choices: the same in every run.
pub struct Draw {
    key: Key,
    at: u32,
}

impl Draw {
    /// The choices of case `number` of `name`.
    pub fn new(name: &str, number: usize) -> Self {
        Self { key: Key::named(number as u64, Purpose::Source, name), at: 0 }
    }

    pub fn word(&mut self) -> u64 {
        self.at += 1;
        let [low, high, ..] = self.key.words([self.at, 0, 0, 0]);
        u64::from(high) << 32 | u64::from(low)
    }

    /// A number below `n`, or 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.word() % n.max(1) as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Sizes and addresses that lead astray.
const NUMBERS: [u64; 12] =
    [0, 1, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 1 << 40, 1 << 62, u64::MAX / 8, i64::MAX as u64, u64::MAX];

/// Damages bytes anywhere, more often near the beginning, where the structure of most files is. Says how.
pub fn bytes(draw: &mut Draw, whole: &[u8]) -> (Vec<u8>, String) {
    let mut bytes = whole.to_vec();
    if bytes.is_empty() {
        return (vec![draw.word() as u8], "one byte".into());
    }
    let reach = if draw.below(3) == 0 { bytes.len() } else { bytes.len().min(6144) };
    let at = draw.below(reach);
    let how = match draw.below(9) {
        0 => {
            bytes.truncate(at);
            "cut"
        }
        1 => {
            // At the borders of what files are made of.
            let border = *draw.pick(&[1usize, 8, 48, 96, 512, 1024, 2048, 4096]);
            bytes.truncate(bytes.len() / border * border - draw.below(2).min(bytes.len() / border * border));
            "cut at a border"
        }
        2 => {
            bytes[at] ^= 1 << draw.below(8);
            "bit"
        }
        3 => {
            bytes[at] = *draw.pick(&[0, 1, 0x7f, 0x80, 0xff, b'-', b'"', b'{', b',', b'\n']);
            "byte"
        }
        4 | 5 => {
            let width = *draw.pick(&[2usize, 4, 8, 8]);
            let at = at / width * width + *draw.pick(&[0usize, 0, 0, 1, 2]);
            let number = match draw.below(4) {
                0 => whole.len() as u64,
                1 => draw.below(whole.len()) as u64,
                _ => *draw.pick(&NUMBERS),
            };
            let end = (at + width).min(bytes.len());
            if at < end {
                bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
            "number"
        }
        6 => {
            let end = (at + 1 + draw.below(64)).min(bytes.len());
            let fill = draw.word();
            let kind = draw.below(3);
            for (i, byte) in bytes[at..end].iter_mut().enumerate() {
                *byte = [0, 0xff, (fill >> (i % 8 * 8)) as u8][kind];
            }
            "run"
        }
        7 => {
            let from = draw.below(bytes.len());
            let length = (1 + draw.below(64)).min(bytes.len() - from.max(at));
            bytes.copy_within(from..from + length, at);
            "copy"
        }
        _ => {
            let piece: Vec<u8> = (0..1 + draw.below(9)).map(|_| draw.word() as u8).collect();
            if draw.below(2) == 0 {
                bytes.splice(at..at, piece);
            } else {
                let end = (at + 1 + draw.below(32)).min(bytes.len());
                bytes.drain(at..end);
            }
            "shift"
        }
    };
    (bytes, format!("{how} at {at} of {}", whole.len()))
}

/// Damages a file of HDF5 and then mends its checksums, so that readers come to see the damage. Says how.
pub fn hdf5(draw: &mut Draw, whole: &[u8]) -> (Vec<u8>, String) {
    let blocks = sealed(whole);
    if draw.below(4) == 0 || blocks.is_empty() {
        return bytes(draw, whole);
    }
    let (from, to) = *draw.pick(&blocks);
    let mut changed = whole.to_vec();
    for _ in 0..1 + draw.below(2) {
        let at = from + draw.below(to - from);
        match draw.below(4) {
            0 => changed[at] ^= 1 << draw.below(8),
            1 => changed[at] = *draw.pick(&[0, 1, 2, 3, 4, 0x7f, 0x80, 0xff]),
            _ => {
                let width = *draw.pick(&[2usize, 4, 8]);
                let number = if draw.below(3) == 0 { draw.below(whole.len()) as u64 } else { *draw.pick(&NUMBERS) };
                let end = (at + width).min(to);
                changed[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
        }
    }
    for (from, to) in blocks {
        let sum = checksum_metadata(&changed[from..to]);
        changed[to..to + 4].copy_from_slice(&sum.to_le_bytes());
    }
    (changed, format!("resealed {from}..{to} of {}", whole.len()))
}

/// The stretches of a file that a checksum stands behind: superblock, object headers, heads of indices and heaps.
fn sealed(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut blocks = Vec::new();
    let fits = |from: usize, length: usize| {
        let to = from.checked_add(length)?;
        let sum = bytes.get(to..to.checked_add(4)?)?;
        (checksum_metadata(&bytes[from..to]).to_le_bytes() == sum).then_some((from, to))
    };
    if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        blocks.extend(fits(0, 44));
    }
    for at in 0..bytes.len().saturating_sub(8) {
        let block = match &bytes[at..at + 4] {
            b"OHDR" => {
                let flags = bytes[at + 5];
                let mut body = at + 6 + if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 };
                let width = 1 << (flags & 3);
                let size =
                    bytes.get(body..body + width).map(|b| b.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b)));
                body += width;
                size.and_then(|size| fits(at, usize::try_from(size).ok()?.checked_add(body - at)?))
            }
            b"FAHD" => fits(at, 24),
            b"EAHD" => fits(at, 68),
            b"BTHD" => fits(at, 34),
            b"FRHP" | b"OCHK" | b"FADB" | b"EAIB" | b"EADB" | b"FSHD" | b"BTLF" => {
                // Their length depends on much else: it is found by the checksum.
                (8..2048).find_map(|length| fits(at, length))
            }
            _ => None,
        };
        blocks.extend(block);
    }
    blocks
}

/// Numbers as text that lead astray. None is a size that a large machine could serve.
const WORDS: [&str; 22] = [
    "-1",
    "0",
    "1e400",
    "1e308",
    "-1e308",
    "nan",
    "NaN",
    "-inf",
    "1e-320",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "9223372036854775807",
    "99999999999999999999999",
    "0.5",
    "",
    "true",
    "\"\"",
    "[]",
    "{}",
    "x",
];

/// Damages text by its lines, numbers and words. Says how.
pub fn text(draw: &mut Draw, whole: &str) -> (Vec<u8>, String) {
    let mut lines: Vec<&str> = whole.lines().collect();
    let line = draw.below(lines.len());
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let (changed, how) = match draw.below(10) {
        0 => {
            lines.remove(line.min(lines.len() - 1));
            (joined(&lines), "line dropped")
        }
        1 => {
            lines.insert(line, lines[line]);
            (joined(&lines), "line twice")
        }
        2 => {
            let other = draw.below(lines.len());
            lines.swap(line, other);
            (joined(&lines), "lines swapped")
        }
        3 => {
            let open = *draw.pick(&["[", "{", "{\"a\":", "[[", "(", "\"", "a=[", "a={b="]);
            let deep = open.repeat(*draw.pick(&[1, 100, 5000, 100_000]));
            lines.insert(line, &deep);
            (joined(&lines), "nested")
        }
        4 => {
            let at = whole.char_indices().map(|(i, _)| i).nth(draw.below(whole.chars().count())).unwrap_or(0);
            (whole[..at].to_owned(), "cut")
        }
        5 => {
            let (raw, _) = bytes(draw, whole.as_bytes());
            return (raw, format!("bytes, line {line}"));
        }
        _ => {
            // A word or number is replaced.
            let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
            let mut words = Vec::new();
            let mut start = None;
            for (at, c) in whole.char_indices().chain([(whole.len(), ' ')]) {
                match (is_word(c), start) {
                    (true, None) => start = Some(at),
                    (false, Some(from)) => {
                        words.push((from, at));
                        start = None;
                    }
                    _ => {}
                }
            }
            let numbers: Vec<(usize, usize)> =
                words.iter().copied().filter(|(from, to)| whole[*from..*to].parse::<f64>().is_ok()).collect();
            let of = if draw.below(4) == 0 || numbers.is_empty() { &words } else { &numbers };
            if of.is_empty() {
                return (bytes(draw, whole.as_bytes()).0, "bytes".into());
            }
            let (from, to) = *draw.pick(of);
            let word = if draw.below(5) == 0 {
                let (a, b) = *draw.pick(&words);
                &whole[a..b]
            } else {
                draw.pick(&WORDS)
            };
            return (
                [&whole[..from], word, &whole[to..]].concat().into_bytes(),
                format!("`{}` -> `{word}`", &whole[from..to]),
            );
        }
    };
    (changed.into_bytes(), format!("{how}, line {line}"))
}

/// Replaces a value somewhere in a tree by one of another type or size, or drops or doubles it. Says how.
pub fn json(draw: &mut Draw, root: &mut Value) -> String {
    let mut places = Vec::new();
    collect(root, &mut String::new(), &mut places);
    let place = draw.pick(&places).clone();
    let pick = draw.pick(&places).clone();
    let other = root.pointer(&pick).cloned().unwrap_or_default();
    let value = match draw.below(18) {
        0 => Value::Null,
        1 => true.into(),
        2 => (-1).into(),
        3 => 0.into(),
        4 => 1.into(),
        5 => u64::MAX.into(),
        6 => 4_294_967_295_u64.into(),
        7 => 4_000_000_000_u64.into(),
        8 => 1e308.into(),
        9 => (-1e-300).into(),
        10 => "".into(),
        11 => "../../x/\u{0}".into(),
        12 => Value::Array(Vec::new()),
        13 => Value::Object(serde_json::Map::new()),
        14 => (1u64 << 40).into(),
        15 => match root.pointer(&place).and_then(Value::as_u64) {
            Some(n) => n.wrapping_add(*draw.pick(&[1, 31, 32, 33, u64::MAX])).into(),
            None => 0.5.into(),
        },
        _ => other,
    };
    let shown = value.to_string();
    let shown: String = shown.chars().take(40).collect();
    if let Some(to) = root.pointer_mut(&place) {
        *to = value;
    }
    format!("{place} = {shown}")
}

/// The pointers of all values of a tree, except within long lists, where a few stand for all.
fn collect(value: &Value, at: &mut String, places: &mut Vec<String>) {
    places.push(at.clone());
    let length = at.len();
    let mut visit = |name: &str, value: &Value, places: &mut Vec<String>| {
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        collect(value, at, places);
        at.truncate(length);
    };
    match value {
        Value::Array(items) => items.iter().take(6).enumerate().for_each(|(i, v)| visit(&i.to_string(), v, places)),
        Value::Object(map) => map.iter().for_each(|(name, v)| visit(name, v, places)),
        _ => {}
    }
}
