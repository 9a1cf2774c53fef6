//! [`MemorySnapshot`]: the memory of a program by part, at one time, and how it changed since another.

use serde::{Deserialize, Serialize};

/// Bytes by part at one time, with a name for the time.
///
/// ```
/// use tessera::metrics::MemorySnapshot;
///
/// let before = MemorySnapshot::new("built").with("synapses", 1_000).with("calendar", 64);
/// let after = MemorySnapshot::new("run").with("synapses", 1_000).with("calendar", 512);
/// let grown = before.diff(&after);
/// assert_eq!((grown.len(), &*grown[0].part, grown[0].change()), (1, "calendar", 448));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemorySnapshot {
    /// The time it was taken at, for example `built`.
    pub name: String,
    /// Parts in the order in which they were added; each name stands once.
    pub parts: Vec<MemoryPart>,
    /// Resident memory of the process then, bytes; 0 where the system does not say.
    pub resident_bytes: u64,
    /// Largest resident memory of the process in the phase that ended then, bytes; 0 where it is not known.
    pub high_water_bytes: u64,
}

/// Bytes of one part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryPart {
    /// Name of the part.
    pub part: String,
    /// Bytes counted.
    pub bytes: u64,
    /// Whether they lie in a mapped file: they take memory only as far as they were touched, and the system takes it
    /// back where it is short.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mapped: bool,
}

/// A part that two snapshots differ in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryChange {
    /// Name of the part.
    pub part: String,
    /// Bytes in the earlier snapshot; 0 where the part is not in it.
    pub before: u64,
    /// Bytes in the later one.
    pub after: u64,
}

impl MemoryChange {
    /// Bytes more than before; below zero for bytes less.
    pub fn change(&self) -> i64 {
        self.after as i64 - self.before as i64
    }
}

impl MemorySnapshot {
    /// A snapshot without parts, with the resident memory of this process.
    pub fn new(name: impl Into<String>) -> Self {
        let (resident_bytes, high_water_bytes) = (super::resident_bytes(), super::peak_since_start());
        Self { name: name.into(), parts: Vec::new(), resident_bytes, high_water_bytes }
    }

    /// Adds bytes to a part, which is made where there is none of the name; none is made of 0 bytes.
    pub fn add(&mut self, part: &str, bytes: u64) {
        self.add_to(part, bytes, false);
    }

    /// As [`add`](Self::add), for bytes of a mapped file.
    pub fn add_mapped(&mut self, part: &str, bytes: u64) {
        self.add_to(part, bytes, true);
    }

    fn add_to(&mut self, part: &str, bytes: u64, mapped: bool) {
        match self.parts.iter_mut().find(|own| own.part == part) {
            Some(own) => own.bytes = own.bytes.saturating_add(bytes),
            None if bytes > 0 => self.parts.push(MemoryPart { part: part.to_owned(), bytes, mapped }),
            None => {}
        }
    }

    /// The snapshot with such a part.
    pub fn with(mut self, part: &str, bytes: u64) -> Self {
        self.add(part, bytes);
        self
    }

    /// Bytes of a part; 0 where there is none of that name.
    pub fn bytes(&self, part: &str) -> u64 {
        self.parts.iter().find(|own| own.part == part).map_or(0, |own| own.bytes)
    }

    /// Bytes of all parts but mapped files.
    pub fn counted(&self) -> u64 {
        self.parts.iter().filter(|part| !part.mapped).fold(0, |sum, part| sum.saturating_add(part.bytes))
    }

    /// The parts in which `later` differs from this one, those of this one first.
    pub fn diff(&self, later: &Self) -> Vec<MemoryChange> {
        let own = self.parts.iter().map(|part| &part.part);
        let new =
            later.parts.iter().map(|part| &part.part).filter(|part| self.parts.iter().all(|own| own.part != **part));
        let change =
            |part: &String| MemoryChange { part: part.clone(), before: self.bytes(part), after: later.bytes(part) };
        own.chain(new).map(change).filter(|change| change.before != change.after).collect()
    }
}

impl std::fmt::Display for MemorySnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 * 1e-6;
        let total = self.counted();
        write!(f, "{:<22} {:>12} {:>7}", format!("memory, {}", self.name), "MB", "share")?;
        for part in &self.parts {
            write!(f, "\n{:<22} {:>12.3}", part.part, megabytes(part.bytes))?;
            if part.mapped {
                write!(f, "  mapped")?;
            } else {
                write!(f, " {:>6.1}%", 100.0 * part.bytes as f64 / total.max(1) as f64)?;
            }
        }
        write!(f, "\n{:<22} {:>12.3}", "counted", megabytes(total))?;
        if self.resident_bytes > 0 {
            let (resident, most) = (megabytes(self.resident_bytes), megabytes(self.high_water_bytes));
            write!(f, "\n{:<22} {resident:>12.3}  at most {most:.3} in this phase", "resident")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_summed_and_compared() {
        let mut before = MemorySnapshot::new("built").with("neurons", 100).with("gone", 8);
        before.add("neurons", 20);
        before.add("nothing", 0);
        before.add_mapped("file", 5_000);
        let after = MemorySnapshot::new("run").with("neurons", 120).with("logs", 64);
        assert_eq!((before.bytes("neurons"), before.counted(), before.parts.len()), (120, 128, 3));
        let told: Vec<_> = before.diff(&after).iter().map(|c| (c.part.clone(), c.change())).collect();
        assert_eq!(told, [("gone".to_owned(), -8), ("file".to_owned(), -5_000), ("logs".to_owned(), 64)]);
        assert!(before.diff(&before).is_empty());
        assert!(before.to_string().contains("file") && before.to_string().contains("mapped"), "{before}");
    }
}
