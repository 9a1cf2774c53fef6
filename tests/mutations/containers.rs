//! Containers (model files, checkpoints) taken apart and put together again with checksums that are right, whatever they
//! hold.

#![allow(dead_code)] // Each program uses a part.

use super::bundle;
use rust_hdf5::{H5File, H5Group};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// A container in memory.
#[derive(Clone)]
pub struct Contents {
    pub format: String,
    /// The header.
    pub header: Value,
    /// Little-endian bytes of each array.
    pub arrays: BTreeMap<String, Vec<u8>>,
    /// Whether [`write`](Self::write) makes the header say what the arrays are.
    pub honest: bool,
}

fn width(element: &str) -> usize {
    element[1..].parse().expect("a type of the format")
}

impl Contents {
    pub fn read(path: &Path) -> Self {
        let file = H5File::open(path).unwrap();
        let format = file.attr_string("format").unwrap();
        let header: Value = serde_json::from_slice(&file.dataset("header").unwrap().read_raw::<u8>().unwrap()).unwrap();
        let names = header["arrays"].as_object().unwrap().keys();
        let arrays = names.map(|name| (name.clone(), file.dataset(name).unwrap().read_raw_bytes().unwrap())).collect();
        Self { format, header, arrays, honest: true }
    }

    /// The description in the header.
    pub fn description(&mut self) -> &mut Value {
        &mut self.header["description"]
    }

    /// The 8-byte elements of an array.
    pub fn words(&self, array: &str) -> Vec<u64> {
        self.arrays[array].as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()
    }

    /// Replaces an array.
    pub fn put(&mut self, array: &str, element: &str, bytes: Vec<u8>) {
        let length = bytes.len() / width(element);
        self.header["arrays"][array] = json!({ "type": element, "shape": [length], "xxh3": "" });
        self.arrays.insert(array.to_owned(), bytes);
    }

    pub fn put_words(&mut self, array: &str, words: &[u64]) {
        self.put(array, "u8", words.iter().flat_map(|w| w.to_le_bytes()).collect());
    }

    /// The contents that a bundle has: `header.json`, and a file for each array.
    pub fn of_bundle(format: &str, packed: &[u8]) -> Option<Self> {
        let mut arrays: BTreeMap<String, Vec<u8>> = bundle::unpack(packed, "header.json").into_iter().collect();
        let header: Value = serde_json::from_slice(&arrays.remove("header.json")?).ok()?;
        arrays.retain(|name, _| name != "header");
        header.is_object().then(|| Self { format: format.to_owned(), header, arrays, honest: true })
    }

    /// The contents as a bundle.
    pub fn to_bundle(&self) -> Vec<u8> {
        let mut files = vec![("header.json".to_owned(), serde_json::to_vec(&self.header).unwrap())];
        files.extend(self.arrays.iter().map(|(name, bytes)| (name.clone(), bytes.clone())));
        bundle::pack(&files)
    }

    /// Writes the file, unless it has names that cannot stand beside each other. Arrays lie in it as their entry says,
    /// as long as that is possible.
    pub fn write(&self, path: &Path) -> bool {
        let attempt = || -> rust_hdf5::Result<()> {
            let file = H5File::create(path)?;
            file.set_attr_string("creator", "tessera")?;
            file.set_attr_string("format", &self.format)?;
            let mut groups = BTreeSet::new();
            for name in self.arrays.keys() {
                groups.extend(name.match_indices('/').map(|(slash, _)| &name[..slash]));
            }
            for group in groups {
                match group.rsplit_once('/') {
                    None => file.create_group(group).map(drop)?,
                    Some((above, name)) => file.root_group().group(above)?.create_group(name).map(drop)?,
                }
            }
            let mut header = self.header.clone();
            for (name, bytes) in &self.arrays {
                let (group, last) = match name.rsplit_once('/') {
                    None => (file.root_group(), name.as_str()),
                    Some((group, last)) => (file.root_group().group(group)?, last),
                };
                let entry = &header["arrays"][name.as_str()];
                let element = entry["type"].as_str().unwrap_or("u1").to_owned();
                let shape: Option<Vec<usize>> =
                    entry["shape"].as_array().and_then(|s| s.iter().map(|n| n.as_u64().map(|n| n as usize)).collect());
                put(&group, last, &element, shape.as_deref(), bytes)?;
                if self.honest
                    && let Some(entry) = header.pointer_mut("/arrays").and_then(|a| a.get_mut(name))
                    && entry.is_object()
                {
                    entry["xxh3"] = format!("{:016x}", xxh3_64(bytes)).into();
                }
            }
            let text = serde_json::to_vec(&header).expect("values can be written");
            file.set_attr_string("header_xxh3", &format!("{:016x}", xxh3_64(&text)))?;
            file.new_dataset::<u8>().shape([text.len()]).create("header")?.write_raw(&text)?;
            file.close()
        };
        attempt().is_ok()
    }
}

/// Writes an array in the shape asked for, or as a list where it cannot have that.
fn put(group: &H5Group, name: &str, element: &str, shape: Option<&[usize]>, bytes: &[u8]) -> rust_hdf5::Result<()> {
    macro_rules! put {
        ($t:ty) => {{
            let values: Vec<$t> =
                bytes.chunks_exact(size_of::<$t>()).map(|b| <$t>::from_le_bytes(b.try_into().unwrap())).collect();
            let fits = |s: &&[usize]| {
                !s.is_empty() && s.iter().try_fold(1usize, |a, n| a.checked_mul(*n)) == Some(values.len())
            };
            let list = [values.len()];
            let shape = shape.filter(fits).unwrap_or(&list);
            let data = group.new_dataset::<$t>().shape(shape).create(name)?;
            if values.is_empty() { Ok(()) } else { data.write_raw(&values) }
        }};
    }
    match element {
        "u2" => put!(u16),
        "u4" => put!(u32),
        "u8" => put!(u64),
        "f4" => put!(f32),
        "f8" => put!(f64),
        _ => put!(u8),
    }
}
